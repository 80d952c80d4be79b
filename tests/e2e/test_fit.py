"""GhostNets for a budget: the sizes are those of the files that the recipes make."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ghost_edge.core.errors import RecipeError
from ghost_edge.host.explore import memory_budget as fit
from ghost_edge.host.explore.memory_budget import Candidate, search, write_recipes
from ghost_edge.host.explore.networks import convert_untrained
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.tflite.graph import read_model
from ghost_edge.host.tflite_micro.arena import plan_arena

pytestmark = pytest.mark.slow
ARENA, FLASH = 96 * 1024, 128 * 1024


@pytest.fixture(scope="module")
def found() -> tuple[Candidate, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "WIDTHS", (0.1, 0.2, 1.0))
        patch.setattr(fit, "TABLES", {"four stages": fit.TABLES["four stages"]})
        return search(arena=ARENA, flash=FLASH, classes=10, channels=1, say=lambda share, text: None)


def test_all_are_within_both_budgets_and_none_betters_another(found: tuple[Candidate, ...]) -> None:
    assert len(found) > 1
    assert max(each.arena for each in found) <= ARENA
    assert max(each.flash for each in found) <= FLASH
    macs = [each.macs for each in found]
    assert macs == sorted(macs, reverse=True)
    for one in found:
        for other in found:
            assert one is other or one.macs > other.macs or one.flash < other.flash or one.arena < other.arena


def test_the_sizes_are_those_of_the_file_that_the_recipe_makes(found: tuple[Candidate, ...], tmp_path: Path) -> None:
    write_recipes(found, 10, 1, tmp_path)
    best = found[0]
    recipe = load_recipe(tmp_path / f"{best.name}.toml")
    assert recipe.micro is not None
    assert recipe.network is not None
    network = {"kind": recipe.network.kind, **vars(recipe.network.options)}
    (tmp_path / "out").mkdir()
    real = convert_untrained(network, tmp_path / "out").int8_tflite
    assert plan_arena(read_model(real), 32).advised == best.arena
    assert abs(real.stat().st_size / best.flash - 1) < 0.01


def test_a_file_of_another_size_is_planned_as_the_real_one(tmp_path: Path) -> None:
    for size in (64, 96):
        (tmp_path / str(size)).mkdir()
    table = fit._network("table 7", 0.1, 96, 10, 3)
    files = {
        size: convert_untrained({**table, "input_size": size}, tmp_path / str(size)).int8_tflite for size in (64, 96)
    }
    graph = fit.resized(read_model(files[96]), files[96], (1, 64, 64, 3))
    assert plan_arena(graph, 32).total == plan_arena(read_model(files[64]), 32).total


def test_a_budget_for_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "WIDTHS", (0.1,))
    monkeypatch.setattr(fit, "TABLES", {"four stages": fit.TABLES["four stages"]})
    with pytest.raises(
        RecipeError, match=r"no GhostNet .* fits into 1,024 bytes of arena and 1,024 of flash; give more"
    ):
        search(arena=1024, flash=1024, classes=10, channels=3, say=lambda share, text: None)


def test_a_size_that_is_none_is_refused(ghost_edge: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    run = ghost_edge("fit", "--arena", "lots", "--flash", "1M")
    assert run.returncode == 2
    assert run.stderr == "ghost-edge: --arena 'lots' is no size; write bytes, 256k or 1M\n"
