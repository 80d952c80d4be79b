"""The costs of real networks, against what was published and what was counted by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.latency import TimeRatio, summarise
from ghost_edge.core.progress import Reporter
from ghost_edge.host.explore.ghost_modules import Ghost, GhostSizes, find_ghosts
from ghost_edge.host.explore.inspect import Inspection, inspect
from ghost_edge.host.tflite.cost import activation_bytes, count_layers
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
# width: trainable parameters as counted in the authors' PyTorch code (tests/numerics/test_network.py); multiply-
# accumulates from table 7 of arXiv 1911.11907 by hand, with SE, head and classifier (the paper prints 42, 141, 226 M)
PUBLISHED = {0.5: (2_587_292, 42_328_152), 1.0: (5_182_508, 141_150_512), 1.3: (7_358_820, 227_003_256)}
RECIPE = """
[network]
kind = "ghostnet"
width = {width}
[preprocess]
size = 224
"""
SIZES = GhostSizes(
    input=(6, 6, 8), filters=12, intrinsic=6, ratio=2, kernel=(1, 1), cheap_kernel=(3, 3), stride=(1, 1), padding="same"
)
# what a module may be, beside the usual: filters that the ratio does not divide, strides, no padding, oblong images
KINDS = {
    "usual": SIZES,
    "cut": dataclasses.replace(SIZES, filters=10, intrinsic=4, ratio=3),
    "strided": dataclasses.replace(SIZES, kernel=(3, 3), stride=(2, 2), padding="valid", cheap_kernel=(5, 5)),
    "oblong": dataclasses.replace(SIZES, input=(5, 9, 24), filters=8, intrinsic=2, ratio=4),
}


@pytest.fixture(scope="module", params=sorted(PUBLISHED), ids=str)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, Inspection]:
    path = tmp_path_factory.mktemp("published") / "ghostnet.toml"
    path.write_text(RECIPE.format(width=request.param))
    return request.param, inspect(path)


def test_the_published_widths_have_the_published_costs(published: tuple[float, Inspection]) -> None:
    width, found = published
    assert (found.trainable, found.totals["macs"]) == PUBLISHED[width]


def test_folding_leaves_one_bias_of_the_two_numbers_that_a_channel_is_normalised_by(
    published: tuple[float, Inspection],
) -> None:
    from ghost_edge.host.networks.ghostnet import GhostNet, build

    width, found = published
    normalised = sum(layer.gamma.shape[0] for layer in build(GhostNet(width=width)).layers if hasattr(layer, "gamma"))
    assert found.trainable == found.totals["parameters"] + normalised


def test_its_float_twin_has_the_bytes_of_its_parameters(published: tuple[float, Inspection]) -> None:
    found = published[1]
    assert found.float_bytes is not None
    # names, shapes and operations, 168 in each width: 92 kB beside the weights of 1.3x
    assert 0 < found.float_bytes - 4 * found.totals["parameters"] < 100_000


def test_all_its_ghost_modules_are_found(published: tuple[float, Inspection]) -> None:
    assert len(published[1].ghosts) == 2 * 16  # two in each of table 7's bottlenecks


@pytest.mark.data
@pytest.mark.parametrize("file", ["tfls_mobilenet_v1_0.25_224_quant.tflite", "tfls_mobilenet_v1_0.25_224_float.tflite"])
def test_somebody_elses_mobilenet_has_its_published_costs(data_folder: Path, file: str) -> None:
    totals = inspect(data_folder / "models" / file).totals
    # arXiv 1704.04861, table 6: 41 million mult-adds, 0.5 million parameters
    assert (round(totals["macs"] / 1e6), round(totals["parameters"] / 1e6, 1)) == (41, 0.5)


def test_the_shipped_network_has_the_costs_of_its_recipe_by_hand(converted: Path) -> None:
    graph = read_model(converted / "ghostnet_mnist_int8.tflite")
    assert sum(layer.macs for layer in count_layers(graph)) == 2_648_068  # from [network] stages, as table 7 above
    assert len(find_ghosts(graph)) == 10


def test_float_and_int8_differ_in_bytes_alone(converted: Path) -> None:
    costs, peaks = [], []
    for scheme in ("float", "int8"):
        graph = read_model(converted / f"ghostnet_mnist_{scheme}.tflite")
        costs.append([(layer.operation, layer.macs, layer.parameters) for layer in count_layers(graph)])
        peaks.append(max(activation_bytes(graph)))
    assert costs[0] == costs[1]
    assert peaks[0] == 4 * peaks[1]


@pytest.fixture(scope="module", params=list(KINDS), ids=str)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[GhostSizes, Path, Path]:
    """The sizes of a module, the file of the plain convolution and that of the module."""
    from ghost_edge.host.explore.ghost_modules import convert_int8, ghost_module, plain_convolution

    folder, sizes = tmp_path_factory.mktemp(request.param), KINDS[request.param]
    convert_int8(plain_convolution(sizes), folder / "plain.tflite")
    convert_int8(ghost_module(sizes), folder / "ghost.tflite")
    return sizes, folder / "plain.tflite", folder / "ghost.tflite"


def test_what_is_measured_is_the_module_that_was_found(pair: tuple[GhostSizes, Path, Path]) -> None:
    sizes, _, ghost = pair
    assert [found.sizes for found in find_ghosts(read_model(ghost))] == [sizes]


def test_the_plain_convolution_takes_and_gives_the_same(pair: tuple[GhostSizes, Path, Path]) -> None:
    plain, ghost = (read_model(path) for path in pair[1:])
    for ends in ("inputs", "outputs"):
        shapes = [graph.tensors[getattr(graph, ends)[0]].shape for graph in (plain, ghost)]
        assert shapes[0] == shapes[1]


def test_the_counted_ratio_is_that_of_the_two_files(pair: tuple[GhostSizes, Path, Path]) -> None:
    macs, parameters = (
        [sum(getattr(layer, key) for layer in count_layers(read_model(path))) for path in pair[1:]]
        for key in ("macs", "parameters")
    )
    (found,) = find_ghosts(read_model(pair[2]))
    assert (found.mac_ratio, found.parameter_ratio) == (macs[0] / macs[1], parameters[0] / parameters[1])


def test_both_are_int8(pair: tuple[GhostSizes, Path, Path]) -> None:
    dtypes = {tensor.dtype for path in pair[1:] for tensor in read_model(path).tensors}
    assert dtypes == {"int8", "int32"}


def test_equal_modules_are_measured_once_and_each_gets_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from ghost_edge.host.explore import ghost_modules as measure

    asked: list[int] = []

    def recorded(files: Sequence[Path], *, rounds: int) -> list[Any]:
        asked.append(rounds)
        return [summarise([len(asked) * 3_000] * rounds), summarise([1_000] * rounds)]

    monkeypatch.setattr(measure, "alternate", recorded)
    monkeypatch.setattr(measure, "convert_int8", lambda model, path: None)
    modules = [Ghost(0, "", sizes, 1, 1, 1, 1) for sizes in (SIZES, KINDS["cut"], SIZES)]
    timed = measure.measure_ghosts(modules, rounds=4, reporter=Reporter())
    assert asked == [4, 4]
    assert [ghost.time.ratio for ghost in timed if ghost.time] == pytest.approx([3, 6, 3])


def test_the_ratio_says_how_much_longer_the_plain_convolution_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from ghost_edge.host.explore import ghost_modules as measure

    convolutions: list[int] = []

    def recorded(files: Sequence[Path], *, rounds: int) -> list[Any]:
        counts = [len(read_model(file).operations) for file in files]
        convolutions.extend(counts)
        return [summarise([count * 1_000] * rounds) for count in counts]

    monkeypatch.setattr(measure, "alternate", recorded)
    (timed,) = measure.measure_ghosts([Ghost(0, "", SIZES, 1, 1, 1, 1)], rounds=1, reporter=Reporter())
    assert convolutions == [1, 3]  # the plain one first; the module has a depthwise one and a CONCATENATION too
    assert timed.time is not None
    assert timed.time.ratio == pytest.approx(1 / 3)


def test_an_image_has_the_same_bytes_for_the_same_numbers(tmp_path: Path) -> None:
    from ghost_edge.host.explore.ghost_modules import draw_ghosts

    def draw(name: str, value: float) -> bytes:
        times = [TimeRatio(value, 0.6, 0.8, median_ms=1.0, peer_ms=1.0), TimeRatio(0.9, 0.8, 1.0, 1.0, 1.0)]
        ghosts = [Ghost(number, "", SIZES, 1.5, 1.8, 1, 1, time) for number, time in enumerate(times)]
        draw_ghosts(tmp_path / name, ghosts, title="t")
        return (tmp_path / name).read_bytes()

    assert draw("1.svg", 0.7) == draw("2.svg", 0.7)
    assert draw("1.png", 0.7) == draw("2.png", 0.7)
    assert draw("1.svg", 0.7) != draw("3.svg", 0.75)


def test_a_damaged_file_is_an_error_wherever_it_is_cut(converted: Path, tmp_path: Path) -> None:
    from ghost_edge.core.errors import ArtifactError

    content = (converted / "ghostnet_mnist_int8.tflite").read_bytes()
    path = tmp_path / "cut.tflite"
    for length in np.random.default_rng(0).integers(8, len(content) - 1000, 20):
        path.write_bytes(content[:length])
        with pytest.raises(ArtifactError, match=r"cut\.tflite is damaged \(.+\); copy or convert it again"):
            read_model(path)
