"""What the comparison says of files and timings that are made up here; the clock is not asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.errors import ConversionError, RecipeError
from ghost_edge.core.latency import LatencyStats, summarise
from ghost_edge.core.options import from_table
from ghost_edge.core.progress import Reporter
from ghost_edge.core.tables import as_text
from ghost_edge.device.isolate import Outcome
from ghost_edge.device.runtimes.model import DelegateShare
from ghost_edge.host.explore import networks as rivals
from ghost_edge.host.explore.networks import COLUMNS, RIVALS, Untrained, compare_networks, footnotes, read_costs
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.tflite.graph import Model, Tensor

QUIET = [1_000_000, 1_010_000, 1_005_000] * 10
NOISY = [1_000_000, 9_000_000, 1_005_000] * 10
NAMES = ("mobilenet_v1", "ghostnet_v2_100", "ghostnet_100")


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """GhostNetV2 is refused; of the others each file takes as many milliseconds as it was handed over, from 1."""

    def convert(network: dict[str, Any], folder: Path, *, name: str) -> Untrained:
        if network["kind"] == "ghostnet_v2":
            raise ConversionError("TensorFlow could not convert it")
        return Untrained(folder / f"{name}_float.tflite", folder / f"{name}_int8.tflite")

    def time(files: Sequence[Path], **plan: Any) -> list[LatencyStats]:
        kinds = [NOISY if "ghostnet_100_int8" in file.name else QUIET for file in files]
        return [summarise([number * sample for sample in kind]) for number, kind in enumerate(kinds, start=1)]

    costs = {"macs_millions": 1.5, "parameters_millions": 2.25, "int8_bytes": 1234567, "result": "ok"}
    monkeypatch.setattr(rivals, "convert_untrained", convert)
    monkeypatch.setattr(rivals, "read_costs", lambda made: costs)
    monkeypatch.setattr(rivals, "alternate", time)


def compare(names: Sequence[str] = NAMES, size: int = 224) -> list[dict[str, Any]]:
    return compare_networks(names, Path("nowhere"), size=size, rounds=30, threads=1, reporter=Reporter())


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_is_a_network_that_a_recipe_can_name(name: str) -> None:
    table = dict(RIVALS[name].network)
    options = NETWORKS[table.pop("kind")].options
    assert from_table(options, table, "[network]").input_size == rivals.PUBLISHED_SIZE


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_published_top1_is_a_fraction_with_a_source(name: str) -> None:
    assert 0.5 < RIVALS[name].top1 < 0.9
    assert RIVALS[name].source


def test_a_network_that_does_not_convert_is_a_row_that_says_so(prepared: None) -> None:
    assert as_text(compare(), COLUMNS).splitlines()[1:] == [
        "mobilenet_v1        1.5          2.25   1,234,567     1.005    2.010            70.4%  [1]     ok",
        "ghostnet_v2_100       -             -           -         -        -            75.3%  [2]     "
        "failed: TensorFlow could not convert it",
        "ghostnet_100        1.5          2.25   1,234,567     3.015    4.020            73.9%  [3]     ok",
    ]


def test_notes_name_each_source_once_and_each_doubtful_file(prepared: None) -> None:
    first, second, third, doubt = footnotes(compare())
    sources = [RIVALS[name].source for name in NAMES]
    assert [first, second, third] == [f"[{number}] {source}" for number, source in enumerate(sources, start=1)]
    assert doubt == "doubt: two speeds: ghostnet_100 int8; stop other work and run again"


def test_two_networks_of_one_source_share_its_note(prepared: None) -> None:
    assert footnotes(compare(["mobilenet_v1", "mobilenet_v2"])) == [f"[1] {RIVALS['mobilenet_v1'].source}"]


def test_at_another_size_there_is_no_published_top1(prepared: None) -> None:
    rows = compare(["mobilenet_v1"], size=96)
    assert (rows[0]["top1"], rows[0]["footnote"]) == (None, None)
    assert footnotes(rows) == ["top-1 is left out: it was published for 224 x 224 pixels"]


def test_a_name_given_twice_is_compared_once(prepared: None) -> None:
    assert len(compare(["ghostnet_100", "ghostnet_100"])) == 1


def test_when_nothing_converts_it_is_an_error(prepared: None) -> None:
    with pytest.raises(ConversionError, match="no network was converted; the first, ghostnet_v2_100, failed: Tensor"):
        compare(["ghostnet_v2_100"])


def test_an_unknown_network_gets_a_suggestion() -> None:
    with pytest.raises(RecipeError, match=r"network 'mobilnet_v2' is not known; did you mean 'mobilenet_v2'\?"):
        compare(["mobilnet_v2"])


def fake_files(monkeypatch: pytest.MonkeyPatch, folder: Path, *, dtype: str, share: DelegateShare | None) -> Untrained:
    graph = Model((Tensor(0, "logits", (1, 10), dtype, constant=False),), (), (0,), (0,))
    monkeypatch.setattr(rivals, "read_model", lambda path: graph)
    monkeypatch.setattr(rivals, "run_isolated", lambda *_, **__: Outcome([None, share]))
    (folder / "m_int8.tflite").write_bytes(b"12345")
    return Untrained(folder / "m_float.tflite", folder / "m_int8.tflite")


@pytest.mark.parametrize(
    ("share", "result"),
    [
        (DelegateShare(ops=99, delegated_ops=99, partitions=1), "ok"),
        (DelegateShare(ops=99, delegated_ops=80, partitions=20), "int8: 80 of 99 ops delegated, 20 partitions"),
        (DelegateShare(ops=99, delegated_ops=98, partitions=1), "int8: 98 of 99 ops delegated, 1 partitions"),
        (None, "ok"),  # an interpreter that has no such thing
    ],
)
def test_a_file_that_the_delegate_takes_in_parts_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, share: DelegateShare | None, result: str
) -> None:
    costs = read_costs(fake_files(monkeypatch, tmp_path, dtype="int8", share=share))
    assert (costs["result"], costs["int8_bytes"]) == (result, 5)


def test_a_file_that_is_not_int8_throughout_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = fake_files(monkeypatch, tmp_path, dtype="float32", share=None)
    with pytest.raises(ConversionError, match=r"m_int8\.tflite holds 1 tensors that are not int32 or int8: logits"):
        read_costs(made)
