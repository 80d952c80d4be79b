"""Every mistake of a user: one clear line, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.cli.main import main
from ghost_edge.core.dataset import image_digest
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import save_npz, seal
from ghost_edge.host.chain.stage import Outside
from ghost_edge.host.datasets.health import examine_images, refuse_fatal
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.recipe.schema import load_recipe

Run = Callable[..., str]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
LABELS = np.arange(40) % 4

RECIPE = """
name = "tiny"
[network]
kind = "ghostnet"
input_size = 16
classes = 4
width = 0.25
head_channels = 8
stages = [[3, 16, 16, 0, 1]]
weights = "random"
[preprocess]
size = 16
[calibration]
kind = "arrays"
path = "calibration.npz"
samples = 10
[evaluation]
kind = "arrays"
path = "evaluation.npz"
[gate]
max_drop = 0.5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recipe and images in which all is well."""
    save_npz({"images": IMAGES[:20], "labels": LABELS[:20]}, tmp_path / "calibration.npz")
    save_npz({"images": IMAGES[20:], "labels": LABELS[20:]}, tmp_path / "evaluation.npz")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def fails(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command that has to fail with this exit code; returns its one line on stderr."""

    def run(exit_code: int, *arguments: object) -> str:
        with pytest.raises(SystemExit, match=str(exit_code)) as stopped:
            main([str(argument) for argument in arguments])
        assert stopped.value.code == exit_code
        lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("ghost-edge: ")]
        assert len(lines) == 1
        return lines[0]

    return run


def change(recipe: Path, pattern: str, replacement: str) -> Path:
    text, count = re.subn(pattern, replacement, recipe.read_text())
    assert count == 1
    recipe.write_text(text)
    return recipe


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        ("width = 0.25", "widht = 0.25", r"\[network\] has no key 'widht'; did you mean 'width'\?"),
        ("width = 0.25", 'width = "0.25"', r"\[network\] width must be a number, not '0.25'"),
        ("width = 0.25", "width = nan", r"\[network\] width must be a finite number"),
        ("classes = 4", "classes = 0", r"\[network\] classes is 0; it must be 1 or more"),
        ("classes = 4", "classes = true", r"\[network\] classes must be a whole number, not True"),
        ('kind = "ghostnet"', 'kind = "gostnet"', r"kind 'gostnet' is not known; did you mean 'ghostnet'\?"),
        ("size = 16\n\\[", "[", r"\[preprocess\] needs the key 'size', and it is missing"),
        (r"\[preprocess\]\nsize = 16", "", r"needs the table \[preprocess\]"),
        (r"\[preprocess\]", "[preprocessing]", r"no table or key 'preprocessing'; did you mean 'preprocess'\?"),
        ("max_drop = 0.5", "max_drop = 5", r"\[gate\] max_drop is 5.0; it is a fraction"),
        ("max_drop = 0.5", 'max_drop = "1%"', r"\[gate\] max_drop must be a number, not '1%'"),
        ("samples = 10", "samples = 10\nranges = 'minmx'", r"ranges 'minmx' is not known; did you mean 'minmax'\?"),
        ("samples = 10", "samples = 0", r"\[calibration\] samples is 0"),
        ('name = "tiny"', 'name = "../tiny"', "name '../tiny' becomes file names"),
        ('name = "tiny"', "name = tiny", "is not TOML"),
        (r"\[\[3, 16, 16, 0, 1\]\]", "[[3, 16, 16]]", r"stages row \[3.0, 16.0, 16.0\] has 3 numbers"),
        (r"\[\[3, 16, 16, 0, 1\]\]", "[]", r"\[network\] stages is empty"),
        ('weights = "random"', "", r"\[network\] names no weights; train them with"),
    ],
)
def test_a_mistake_in_the_recipe_is_named(folder: Path, fails: Run, pattern: str, replacement: str, said: str) -> None:
    recipe = change(folder / "recipe.toml", pattern, replacement)
    assert re.search(said, fails(2, "convert", recipe, "--out", folder / "out"))
    assert not list((folder / "out").glob("*.tflite"))


@pytest.mark.parametrize("recipe", ["nowhere.toml", "."])
def test_a_recipe_that_is_no_file_is_named(folder: Path, fails: Run, recipe: str) -> None:
    assert "cannot be read" in fails(2, "convert", folder / recipe)


def test_an_unknown_command_gets_a_suggestion(fails: Run) -> None:
    assert "there is no command 'convret'; did you mean 'convert'?" in fails(2, "convret")


def test_the_command_alone_shows_its_help(ghost_edge: Callable[..., Any]) -> None:
    run = ghost_edge()
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == ghost_edge("--help").stdout
    assert len(run.stdout.splitlines()) > 25


def test_the_beginning_of_several_names_suggests_them_all(folder: Path, fails: Run) -> None:
    recipe = change(folder / "recipe.toml", 'name = "tiny"', 'target = "zynq"')
    assert "target 'zynq' is not known; did you mean 'zynq7000' or 'zynqmp'?" in fails(2, "convert", recipe)


def test_a_text_without_quotes_is_told_that_it_needs_them(folder: Path, fails: Run) -> None:
    recipe = change(folder / "recipe.toml", 'name = "tiny"', "target = zynq7000")
    assert "a text needs quotes" in fails(2, "convert", recipe)


def test_missing_data_says_which_file_and_how_to_name_its_folder(folder: Path, fails: Run) -> None:
    (folder / "evaluation.npz").unlink()
    line = fails(3, "convert", folder / "recipe.toml", "--out", folder / "out")
    assert "evaluation.npz was not found in" in line
    assert "--data or GHOST_EDGE_DATA" in line


def test_data_that_is_not_what_was_promised_is_refused(folder: Path, fails: Run) -> None:
    recipe = change(folder / "recipe.toml", "samples = 10", f'samples = 10\nsha256 = "{"0" * 64}"')
    assert "expected 000000000000..." in fails(3, "convert", recipe, "--out", folder / "out")


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (IMAGES[:0], LABELS[:0], "holds no images"),
        (IMAGES[:20], LABELS[:20] * 0, "are all of one class"),
        (IMAGES[:20] / np.float32(255) * np.nan, LABELS[:20], "hold NaN or infinity"),
        (IMAGES[:20] / np.float32(255), LABELS[:20], "normalisation is the recipe's"),
        (IMAGES[:20].reshape(20, -1), LABELS[:20], r"expected \[N, H, W, C\]"),
        (IMAGES[:20], LABELS[:19], r"labels \[19\]"),
        (IMAGES[:20].transpose(0, 3, 1, 2), LABELS[:20], r"looks like NCHW, did you mean transpose"),
        (IMAGES[:20] * 0, LABELS[:20], "are of one colour"),
        (IMAGES[20:], LABELS[20:], "are also evaluation images"),
    ],
)
def test_an_unfit_calibration_set_is_refused(folder: Path, images: np.ndarray, labels: np.ndarray, said: str) -> None:
    save_npz({"images": images, "labels": labels}, folder / "calibration.npz")
    recipe, places = load_recipe(folder / "recipe.toml"), places_for(folder)
    outside = Outside(recipe, places)
    with pytest.raises(DataError, match=said):
        refuse_fatal(list(examine_images(outside.calibration, outside.evaluation)))


@pytest.mark.slow
def test_an_unfit_calibration_set_stops_the_chain_before_it_quantizes(folder: Path, fails: Run) -> None:
    save_npz({"images": IMAGES[20:], "labels": LABELS[20:]}, folder / "calibration.npz")
    line = fails(3, "convert", folder / "recipe.toml", "--out", folder / "out")
    assert "10 of 10 calibration images are also evaluation images" in line
    assert not list((folder / "out").glob("*int8*"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x00" * 100])
def test_a_damaged_npz_is_named(folder: Path, fails: Run, content: bytes) -> None:
    (folder / "calibration.npz").write_bytes(content)
    line = fails(3, "convert", folder / "recipe.toml", "--out", folder / "out")
    assert "calibration.npz is not a readable .npz file" in line


def test_weights_that_do_not_fit_name_the_layer(folder: Path, repository: Path, fails: Run) -> None:
    weights = repository / "models" / "weights" / "ghostnet_mnist.safetensors"
    recipe = change(folder / "recipe.toml", 'weights = "random"', f'weights = "{weights}"')
    line = fails(4, "convert", recipe, "--out", folder / "out")
    assert re.search(r"lacks 5 weights \(blocks\.1\.0\.conv\.weight, .*: it belongs to another network", line)


def test_weights_with_another_hash_are_refused(folder: Path, fails: Run) -> None:
    (folder / "w.safetensors").write_bytes(b"something else")
    promise = f'weights = "w.safetensors"\nweights_sha256 = "{"0" * 64}"'
    recipe = change(folder / "recipe.toml", 'weights = "random"', promise)
    assert "w.safetensors has SHA-256" in fails(4, "convert", recipe, "--out", folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["_int8.tflite", "_float.onnx"])
@pytest.mark.parametrize("keep", [0, 3000])
def test_a_truncated_model_is_refused(
    converted: Path, tmp_path: Path, repository: Path, fails: Run, suffix: str, keep: int
) -> None:
    content = (converted / f"ghostnet_mnist{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[:keep])
    recipe = repository / "models" / "ghostnet_mnist.toml"
    assert path.name in fails(4, "evaluate", path, "--recipe", recipe)
    assert path.name in fails(4, "bench", path)


@pytest.mark.slow
def test_answers_of_another_file_do_not_count(converted: Path, tmp_path: Path, fails: Run) -> None:
    folder = Path(shutil.copytree(converted, tmp_path / "copy"))
    model = folder / "ghostnet_mnist_int8.tflite"
    content = bytearray(model.read_bytes())
    content[-100] ^= 1
    model.write_bytes(content)
    assert "ghostnet_mnist_int8.tflite has SHA-256" in fails(4, "gate", folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\x"])
def test_a_manifest_that_points_outside_its_folder_is_refused(
    converted: Path, tmp_path: Path, fails: Run, name: str
) -> None:
    folder = Path(shutil.copytree(converted, tmp_path / "copy"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["models"][0]["artifact"]["file"] = name
    (folder / "manifest.json").write_text(json.dumps(seal(manifest)))
    assert "outside the folder" in fails(4, "gate", folder)


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_damaged_manifest_is_refused(converted: Path, tmp_path: Path, fails: Run, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    assert "manifest.json" in fails(4, "gate", tmp_path)


@pytest.mark.slow
def test_a_gate_that_cannot_see_its_limit_says_how_many_images_it_needs(converted: Path, fails: Run) -> None:
    line = fails(7, "gate", converted, "--max-drop", "0.0001")
    assert re.search(r"1600 images are too few: .* about \d+ would do", line)


@pytest.mark.slow
def test_a_limit_that_is_no_fraction_is_refused(converted: Path, fails: Run) -> None:
    assert "max_drop is 5.0; it is a fraction" in fails(2, "gate", converted, "--max-drop", "5")


@pytest.mark.slow
def test_a_baseline_on_other_images_is_refused(converted: Path, tmp_path: Path, fails: Run) -> None:
    from ghost_edge.core.files import describe
    from ghost_edge.core.manifest import load_predictions

    folder = Path(shutil.copytree(converted, tmp_path / "copy"))
    seen = load_predictions(folder / "predictions.npz")
    digests = np.array([*seen.digests[:-1], image_digest(IMAGES[0])])
    arrays = {"digests": digests, "labels": seen.labels}
    save_npz({**arrays, **{f"answers_{role}": seen.answers[role] for role in seen.answers}}, folder / "predictions.npz")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["predictions"]["sha256"] = describe(folder / "predictions.npz").sha256
    (folder / "manifest.json").write_text(json.dumps(seal(manifest)))
    assert "not evaluated on the same images" in fails(3, "gate", converted, "--baseline", folder)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    folder: Path, fails: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        if path.name.endswith(".tflite.part"):
            real(path, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    line = fails(1, "convert", folder / "recipe.toml", "--out", folder / "out")
    assert "could not be written (No space left on device)" in line
    assert {path.suffix for path in (folder / "out").iterdir()} & {".part", ".tflite"} == set()


def test_an_interpreter_that_is_not_installed_says_the_pip_command(
    folder: Path, repository: Path, fails: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    model = folder / "model.tflite"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3" + b"\x00" * 100)
    line = fails(5, "bench", model, "--runtime", "tflite-runtime")
    assert "pip install" in line
