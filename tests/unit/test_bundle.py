"""What goes into a bundle: pins, our own wheel, images that a board prepares again, and the watchdog."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomllib
from one_op import one_op
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ghost_edge.core.errors import ArtifactError, DataError, DeviceError, MissingPackageError, RecipeError
from ghost_edge.core.files import describe
from ghost_edge.core.manifest import Manifest, read_manifest, write_manifest
from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.device.board import TARGETS, target_for
from ghost_edge.host.board import bundle
from ghost_edge.host.board.bundle import download_wheels, make_bundle, sample_images, store_image, write_own_wheel
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.recipe.shipped import default_recipe

WATCH = Path(bundle.__file__).parent / "watch.py"


@pytest.mark.parametrize("name", TARGETS)
def test_every_package_of_a_target_is_pinned(name: str) -> None:
    assert [pin for pin in TARGETS[name].packages if "==" not in pin] == []


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("python", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_a_target_fulfils_what_the_package_asks_for_on_a_board(repository: Path, name: str, python: str) -> None:
    target = TARGETS[name]
    if python not in target.pythons:
        with pytest.raises(RecipeError, match=f"no wheels for Python {python} on {target.machine}; --python takes 3"):
            download_wheels(target, [python], repository)
        return
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    asked = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["device"]]
    pins = {canonicalize_name(pin.name): pin for pin in map(Requirement, (*target.packages, *target.expected))}
    board = {"python_version": python, "platform_machine": target.machine}
    for requirement in asked:
        if requirement.marker is None or requirement.marker.evaluate(board):
            (pin, *_) = pins[canonicalize_name(requirement.name)].specifier
            assert requirement.specifier.contains(pin.version), f"{pin} and {requirement}"


@pytest.mark.parametrize(
    ("machine", "device_tree", "name"),
    [
        ("armv7l", "Xilinx ZC702 board xlnx,zynq-zc702 xlnx,zynq-7000", "zynq7000"),
        ("aarch64", "ZynqMP ZCU102 Rev1.0 xlnx,zynqmp-zcu102-rev1.0 xlnx,zynqmp", "zynqmp"),
        ("aarch64", "Raspberry Pi 4 Model B raspberrypi,4-model-b brcm,bcm2711", "generic-aarch64"),
        ("aarch64", "", "generic-aarch64"),
        ("x86_64", "", "generic-x86_64"),
    ],
)
def test_a_board_is_known_by_its_machine_and_its_device_tree(machine: str, device_tree: str, name: str) -> None:
    assert target_for(machine, device_tree) == name


def test_a_machine_without_an_interpreter_is_said_so() -> None:
    with pytest.raises(DeviceError, match=r"the board is 'riscv64'; bundles are made for zynq7000, zynqmp"):
        target_for("riscv64", "")


def test_what_pip_says_is_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MissingPackageError, match=r"no wheels for armv7l, Python 3\.11: pip says ERROR: No matching"):
        download_wheels(TARGETS["zynq7000"], ["3.11"], tmp_path / "wheels")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed our own wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = write_own_wheel(["click==8.1.8"], folder)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"]
    subprocess.run([*command, folder / "site", wheel], check=True)
    return folder / "site"


def test_our_own_wheel_runs(installed: Path) -> None:
    code = "import ghost_edge; print(ghost_edge.__file__); from ghost_edge.cli.main import main; main(['--version'])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(f"{installed}/ghost_edge/__init__.py\nghost-edge, version ")


def test_our_own_wheel_makes_the_command(installed: Path) -> None:
    assert (installed / "bin" / "ghost-edge").is_file()


def test_our_own_wheel_asks_for_the_pins_alone(installed: Path) -> None:
    (metadata,) = installed.glob("ghost_edge-*.dist-info/METADATA")
    assert [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: click==8.1.8"
    ]


def test_our_own_wheel_can_bundle_and_has_no_images(installed: Path) -> None:
    package = installed / "ghost_edge"
    suffixes = {path.suffix for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert (suffixes, (package / "host" / "board" / "run.sh").is_file()) == ({".py", ".sh"}, True)


def test_our_own_wheel_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    wheels = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        wheels.append(write_own_wheel(["numpy<2"], tmp_path / name).read_bytes())
    assert wheels[0] == wheels[1]


def draw_image(height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(height * width + channels).integers(0, 256, (height, width, channels), np.uint8)


# of 180 combinations 30: each shape with each pair of sizes, channels and fits in turn
SIZES = [(24, 0), (24, 24), (24, 31), (23, 32), (24, 33)]
SHAPES = [(24, 24, 3), (40, 33, 3), (32, 33, 3), (17, 90, 1), (33, 31, 1), (12, 13, 3)]
STORED = [
    (("RGB", "BGR", "GRAY")[(row + column) % 3], ("crop", "stretch")[(row + column) % 2], *sizes, shape)
    for row, shape in enumerate(SHAPES)
    for column, sizes in enumerate(SIZES)
]


@pytest.mark.parametrize(("channels", "fit", "size", "resize", "shape"), STORED)
def test_a_stored_image_gives_the_very_input_of_the_image(
    channels: str, fit: str, size: int, resize: int, shape: tuple[int, int, int]
) -> None:
    options = Preprocess(size=size, resize=resize, fit=fit, channels=channels, mean=(0.4,), std=(0.3,))
    image = draw_image(*shape)
    stored = store_image(image, options)
    assert stored.shape[:2] == (max(size, resize),) * 2
    assert np.array_equal(prepare(stored, options), prepare(image, options))


def test_an_image_with_its_channels_in_the_models_order_would_give_another_input() -> None:
    options = Preprocess(size=24, channels="BGR")
    image = draw_image(30, 30, 3)
    swapped = store_image(image, options)[..., ::-1]
    assert not np.array_equal(prepare(swapped, options), prepare(image, options))


def test_images_are_taken_from_the_whole_evaluation_set() -> None:
    recipe = load_recipe(default_recipe())
    places = places_for(default_recipe().parent)
    all_labels = sample_images(recipe, places, 1600, []).labels
    sample = sample_images(recipe, places, 100, [])
    assert (sample.images.shape, sample.images.dtype) == ((100, 28, 28, 1), np.uint8)
    assert np.array_equal(sample.labels, all_labels[::16])


def test_more_images_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match=r"--images 1601: mnist\.npz\S* has 1600 images; ask for no more"):
        sample_images(load_recipe(default_recipe()), places_for(default_recipe().parent), 1601, [])


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "download_wheels", lambda target, pythons, folder: folder.mkdir())


@pytest.mark.usefixtures("without_network")
def test_the_recipe_has_to_be_the_one_that_made_the_folder(
    tmp_path: Path, make_manifest: Callable[..., Manifest]
) -> None:
    make_manifest(tmp_path / "out")
    with pytest.raises(
        RecipeError, match=r"needs the recipe's images; give --recipe the one that made .*out, as it was"
    ):
        make_bundle(tmp_path / "out", "zynqmp", out=tmp_path / "b.tar.gz", images=1, say=print)
    assert not (tmp_path / "b.tar.gz").exists()


@pytest.mark.usefixtures("without_network")
def test_a_damaged_model_is_not_packed(tmp_path: Path, make_manifest: Callable[..., Manifest]) -> None:
    make_manifest(tmp_path / "out")
    (tmp_path / "out" / "m_int8.tflite").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"m_int8\.tflite has SHA-256"):
        make_bundle(tmp_path / "out", "zynqmp", out=tmp_path / "b.tar.gz", say=print)
    assert not (tmp_path / "b.tar.gz").exists()


@pytest.mark.usefixtures("without_network")
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("zynq7000", ["left out: f.tflite: this interpreter's float kernels need VFPv4, a Cortex-A9 has VFPv3"]),
        ("zynqmp", []),
    ],
)
def test_a_model_that_dies_on_the_board_is_left_out_with_the_reason(
    tmp_path: Path, make_manifest: Callable[..., Manifest], target: str, said: list[str]
) -> None:
    add_models(tmp_path, make_manifest(tmp_path), {"f.tflite": "float32", "i.tflite": "int8"})
    lines: list[str] = []
    make_bundle(tmp_path, target, out=tmp_path / "b.tar.gz", say=lines.append)
    assert lines == said
    assert len(read_manifest(tmp_path).models) == 2


@pytest.mark.usefixtures("without_network")
def test_a_board_that_runs_none_of_the_models_gets_no_bundle(
    tmp_path: Path, make_manifest: Callable[..., Manifest]
) -> None:
    add_models(tmp_path, make_manifest(tmp_path), {"f.tflite": "float32"})
    with pytest.raises(RecipeError, match=r"no model in .* runs on zynq7000; convert with another kind in \[quantizat"):
        make_bundle(tmp_path, "zynq7000", out=tmp_path / "b.tar.gz", say=print)
    assert not (tmp_path / "b.tar.gz").exists()


def add_models(folder: Path, manifest: Manifest, dtypes: dict[str, str]) -> None:
    """Real .tflite files of these dtypes instead of the manifest's models."""
    (model,) = manifest.models
    models = []
    for name, dtype in dtypes.items():
        (folder / name).write_bytes(one_op("ADD", [(1, 4)] * 2, (1, 4), dtype=dtype))
        models.append(dataclasses.replace(model, role="quantized", artifact=describe(folder / name)))
    write_manifest(dataclasses.replace(manifest, models=tuple(models)), folder)


StartWatched = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_watched(tmp_path: Path) -> StartWatched:
    """Start a script under watch.py, which locks the folder two above: each test has its own."""
    folder = tmp_path / "bundle" / "unpacked"
    folder.mkdir(parents=True)

    def start(script: str, silence_s: str = "60") -> subprocess.Popen[bytes]:
        command = [sys.executable, str(WATCH), silence_s, "sh", "-c", script]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)

    return start


def is_running(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM)])
def test_a_watched_command_ends_with_its_own_code(start_watched: StartWatched, script: str, code: int) -> None:
    with start_watched(script) as watched:
        assert watched.wait(10) == code


def test_a_watched_command_does_not_read_the_signs_of_life(start_watched: StartWatched) -> None:
    with start_watched("cat; sleep 0.3") as watched:
        assert watched.communicate(b"...", timeout=10)[0] == b""


@pytest.mark.parametrize("how", ["end of stdin", "silence", "SIGTERM", "SIGHUP"])
def test_a_watched_command_is_killed_with_its_children(start_watched: StartWatched, how: str) -> None:
    with start_watched("sleep 100 & echo $!; wait", "1" if how == "silence" else "60") as watched:
        assert watched.stdin is not None
        assert watched.stdout is not None
        child = int(watched.stdout.readline())
        if how == "end of stdin":
            watched.stdin.close()
        elif how.startswith("SIG"):
            watched.send_signal(signal.Signals[how])
        assert watched.wait(10) == 128 + signal.SIGKILL
        end = time.monotonic() + 5
        while is_running(child):
            assert time.monotonic() < end, "the child of the watched command still runs"
            time.sleep(0.01)


def test_signs_of_life_keep_a_watched_command_running(start_watched: StartWatched) -> None:
    with start_watched("sleep 2; exit 3", "1") as watched:
        assert watched.stdin is not None
        for _ in range(8):
            time.sleep(0.3)
            if watched.poll() is None:
                watched.stdin.write(b".")
                watched.stdin.flush()
        assert watched.wait(10) == 3
