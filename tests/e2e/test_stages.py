"""Real stages: each needs no more than it declares, and a whole run opens outside data once."""

from __future__ import annotations

import collections
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import pytest
from one_stage import BY_NAME, find_inputs, run_stage

from ghost_edge.core.dataset import image_digest
from ghost_edge.core.files import save_npz
from ghost_edge.core.progress import Reporter
from ghost_edge.host.chain.stage import paths_of
from ghost_edge.host.chain.stages import STAGES, run_chain
from ghost_edge.host.datasets import arrays, folder
from ghost_edge.host.datasets.folder import decode_image
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.recipe.schema import Recipe, load_recipe, parse_recipe

pytestmark = pytest.mark.slow
TIMED = {"latency.json", "nodes_latency.json", "ghostnet_mnist.keras"}  # hold times, or the time of day


@pytest.fixture(scope="module")
def recipe(repository: Path) -> Recipe:
    return load_recipe(repository / "models" / "ghostnet_mnist.toml")


@pytest.mark.parametrize("name", [stage.name for stage in STAGES])
def test_a_stage_makes_the_same_files_in_a_folder_that_holds_only_its_inputs(
    converted: Path, recipe: Recipe, tmp_path: Path, name: str
) -> None:
    keras.backend.clear_session()  # names of layers are counted through a process
    inputs = find_inputs(BY_NAME[name], recipe, converted)
    for path in (path for files in vars(inputs).values() for path in paths_of(files)):
        shutil.copy(path, tmp_path / path.name)
    outputs = run_stage(name, recipe, places_for(recipe.path.parent), tmp_path)
    made = [path for files in vars(outputs).values() for path in paths_of(files)]
    assert all(path.is_file() for path in made)
    assert [path.name for path in made] or name == "micro"  # the recipe asks for no kit
    different = [path.name for path in made if path.read_bytes() != (converted / path.name).read_bytes()]
    assert {*different} <= TIMED


def test_the_int8_onnx_model_is_built_once(
    converted: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(converted, tmp_path / "copy"))
    row, built = EXPORTERS["onnx_int8"], []

    def export(*arguments: Any) -> bytes:
        built.append(arguments)
        return row.export(*arguments)

    monkeypatch.setitem(EXPORTERS, "onnx_int8", row._replace(export=export))
    for name in ("quantize", "export"):
        run_stage(name, recipe, places_for(recipe.path.parent), copy)
    assert len(built) == 1


IMAGES, SIDE = 12, 32  # of each of two classes
NETWORK = {
    "kind": "ghostnet",
    "input_size": SIDE,
    "classes": 2,
    "head_channels": 16,
    "stages": [[3, 16, 16, 0, 2]],
    "weights": "random",
}


def draw() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2 * IMAGES, SIDE, SIDE, 3), np.uint8)


def convert(root: Path, **source: str) -> None:
    tables = {
        part: {**source, "list": f"{part}.txt", **({"samples": 8} if part == "calibration" else {})}
        for part in ("calibration", "evaluation")
    }
    table = {"name": "m", "network": NETWORK, "preprocess": {"size": SIDE}, **tables}
    stages = STAGES[: [stage.name for stage in STAGES].index("gate") + 1]
    run_chain(parse_recipe(table, root / "m.toml"), places_for(root), root / "out", Reporter(), stages=stages)
    assert json.loads((root / "out" / "gate.json").read_text())["reasons"] is not None


def write_lists(root: Path, images: list[np.ndarray]) -> None:
    digests = list(map(image_digest, images))
    for part, chosen in (("calibration", digests[::2]), ("evaluation", digests[1::2])):
        (root / f"{part}.txt").write_text("\n".join(chosen))


def test_each_file_of_a_folder_is_decoded_at_most_once_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: collections.Counter[str] = collections.Counter()

    def count(decode: Callable[..., Any]) -> Callable[..., Any]:
        def counted(content: bytes, name: str) -> Any:
            decoded[name] += 1
            return decode(content, name)

        return counted

    for number, image in enumerate(draw()):
        path = tmp_path / "photos" / f"class{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(image).save(path)
    paths = sorted((tmp_path / "photos").rglob("*.png"))
    write_lists(tmp_path, [decode_image(path.read_bytes(), path.name) for path in paths])
    monkeypatch.setattr(folder, "decode_image", count(decode_image))
    convert(tmp_path, kind="folder", path="photos")
    assert len(decoded) == 2 * IMAGES
    assert max(decoded.values()) <= 2  # calibration and evaluation


def test_an_npz_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, read = draw(), []
    save_npz({"images": images, "labels": np.arange(len(images)) // 2 % 2}, tmp_path / "images.npz")
    write_lists(tmp_path, list(images))
    plain = arrays.read_npz

    def count(path: Path, *keys: Any, **options: Any) -> Any:
        read.append(path)
        return plain(path, *keys, **options)

    monkeypatch.setattr(arrays, "read_npz", count)
    convert(tmp_path, kind="arrays", path="images.npz")
    assert len(read) == 1
