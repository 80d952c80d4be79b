"""Search for GhostNets that fit into a microcontroller's memory, by their sizes alone."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.progress import Say
from ghost_edge.host.explore.networks import convert_untrained, recipe_tables
from ghost_edge.host.networks.options import TABLE_7
from ghost_edge.host.recipe.toml import as_toml
from ghost_edge.host.tflite.cost import count_macs
from ghost_edge.host.tflite.graph import Model, read_model
from ghost_edge.host.tflite_micro.arena import plan_arena

WIDTHS = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.3)
SIZES = (48, 64, 80, 96, 112, 128, 160, 192, 224)
_CONVERTED = 96  # pixels: at 32 the converter removes a MEAN of one pixel, which other sizes need
_HEAD = 1280  # channels at width 1; below, it shrinks too: unscaled it would be most of a small network
Row = tuple[float, ...]


def _first_of_each(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows that change the number of channels or the size."""
    before = (None, *rows)
    return tuple(row for old, row in zip(before, rows) if old is None or row[2] != old[2] or row[4] == 2)


# name: a stage table, made of the paper's
TABLES: dict[str, tuple[Row, ...]] = {
    "table 7": TABLE_7,
    "one block a stage": _first_of_each(TABLE_7),
    "four stages": _first_of_each(TABLE_7[:11]),
}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that fits. macs: multiply-accumulates; flash: bytes of the int8 .tflite; arena: bytes, 32-bit."""

    table: str
    width: float
    size: int
    macs: int
    flash: int
    arena: int

    @property
    def name(self) -> str:
        """Name of its recipe."""
        return f"ghostnet_{self.table.replace(' ', '_')}_w{round(self.width * 100):03}_s{self.size}"

    def recipe(self, classes: int, channels: int) -> str:
        """Return its recipe as TOML, without the tables that name images."""
        tables = recipe_tables(self.name, _network(self.table, self.width, self.size, classes, channels))
        tables["export"] = [{"kind": "micro"}]
        return (
            f"# {self.macs / 1e6:.1f} M multiply-accumulates, {self.flash:,} bytes of flash, "
            f"{self.arena:,} bytes of arena on 32 bits\n"
            f"# still to be added: [training], [calibration], [evaluation]\n{as_toml(tables)}"
        )


def search(*, arena: int, flash: int, classes: int, channels: int, say: Say) -> tuple[Candidate, ...]:
    """Find the networks within both budgets, in bytes, that no other beats in MACs, flash and arena together.

    The one with most multiply-accumulates comes first: of what fits, it is likely the most accurate when trained.
    Raises RecipeError where none fits. say: a share of the work and a few words.
    """
    found = []
    for number, table in enumerate(TABLES):
        for step, width in enumerate(WIDTHS):
            say((number + step / len(WIDTHS)) / len(TABLES), f"{table}, width {width}")
            made = list(_convert(table, width, classes, channels))
            found += [each for each in made if each.arena <= arena and each.flash <= flash]
            if min(each.flash for each in made) > flash:
                break  # wider ones have more weights
    if not found:
        raise RecipeError(
            f"no GhostNet from width {WIDTHS[0]} and {SIZES[0]} pixels on fits into {arena:,} bytes of arena and "
            f"{flash:,} of flash; give more, or fewer --classes"
        )
    return tuple(sorted(_undominated(found), key=lambda each: -each.macs))


def write_recipes(candidates: Sequence[Candidate], classes: int, channels: int, folder: Path) -> None:
    """Write a recipe for each candidate."""
    for each in candidates:
        write_bytes(each.recipe(classes, channels).encode(), folder / f"{each.name}.toml")


def _convert(table: str, width: float, classes: int, channels: int) -> Iterator[Candidate]:
    """Convert a network once, and yield it at every size by the shapes that LiteRT computes."""
    with tempfile.TemporaryDirectory(prefix="ghost-edge-") as scratch:
        network = _network(table, width, _CONVERTED, classes, channels)
        tflite = convert_untrained(network, Path(scratch)).int8_tflite
        graph = read_model(tflite)
        for size in SIZES:
            sized = resized(graph, tflite, (1, size, size, channels))
            macs = sum(count_macs(sized, op) for op in sized.operations)
            plan = plan_arena(sized, bits=32)
            yield Candidate(table, width, size, macs, tflite.stat().st_size, plan.advised)


def resized(graph: Model, tflite: Path, shape: tuple[int, ...]) -> Model:
    """Return the graph of the file with an input of another shape."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # XNNPACK takes no other shape
    interpreter = Interpreter(str(tflite), num_threads=1, experimental_op_resolver_type=plain)
    interpreter.resize_tensor_input(graph.inputs[0], shape, strict=False)
    interpreter.allocate_tensors()
    shapes = {each["index"]: tuple(map(int, each["shape"])) for each in interpreter.get_tensor_details()}
    tensors = tuple(dataclasses.replace(each, shape=shapes.get(each.index, each.shape)) for each in graph.tensors)
    return dataclasses.replace(graph, tensors=tensors)


def _network(table: str, width: float, size: int, classes: int, channels: int) -> dict[str, object]:
    """Return a [network] table."""
    return {
        "kind": "ghostnet",
        "input_size": size,
        "input_channels": channels,
        "classes": classes,
        "width": width,
        "head_channels": max(64, 8 * round(_HEAD * min(width, 1.0) / 8)),
        "padding": "same",
        "stages": [list(row) for row in TABLES[table]],
    }


def _undominated(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Drop candidates that another equals or beats in everything (Pareto)."""

    def is_better(one: Candidate, other: Candidate) -> bool:
        gains = (one.macs - other.macs, other.flash - one.flash, other.arena - one.arena)
        return min(gains) >= 0 and max(gains) > 0

    return [each for each in candidates if not any(is_better(other, each) for other in candidates)]
