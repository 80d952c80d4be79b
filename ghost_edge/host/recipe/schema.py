"""A recipe: everything that decides what comes out, read from one TOML file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

import tomllib

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.options import check_lowest, from_table, pick, suggest
from ghost_edge.core.preprocess import CHANNELS, Preprocess, say_size
from ghost_edge.core.tasks import CLASSIFICATION, TASKS
from ghost_edge.device.board import TARGETS
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.datasets import DATASETS, DataTable
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.tflite_micro import Micro


@dataclasses.dataclass(frozen=True)
class NetworkTable:
    """[network]: the architecture, and the weights to load into it (none: they are still to be trained)."""

    kind: str
    options: Any
    weights: str = ""
    weights_sha256: str = ""


@dataclasses.dataclass(frozen=True)
class Training(DataTable):
    """[training]: how to fit the network, on which images.

    learning_rate: the peak, after warmup_epochs; it falls to zero as a cosine (Loshchilov & Hutter, arXiv 1608.03983).
    crop_padding: pixels of shift in each direction; flip: mirror half of the images.
    mixup: how much images are blended (alpha of the beta distribution; 0: not at all).
    start: weights to begin with instead of random ones (fine-tuning).
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_epochs: int = 2
    label_smoothing: float = 0.1
    crop_padding: int = 4
    flip: bool = True
    mixup: float = 0.0
    start: str = ""

    def __post_init__(self) -> None:
        lowest = {"epochs": 1, "batch_size": 1, "learning_rate": 0, "weight_decay": 0, "warmup_epochs": 0}
        check_lowest(self, "[training]", {**lowest, "label_smoothing": 0, "crop_padding": 0, "mixup": 0})


@dataclasses.dataclass(frozen=True)
class Calibration(DataTable):
    """[calibration]: the representative dataset and how ranges are made from it."""

    samples: int = 200
    ranges: str = "mse"

    def __post_init__(self) -> None:
        check_lowest(self, "[calibration]", {"samples": 1})
        pick(ESTIMATORS, self.ranges, kind="[calibration] ranges")


@dataclasses.dataclass(frozen=True)
class Evaluation(DataTable):
    """[evaluation]: the images that accuracy is measured on.

    label_offset is added to labels where a model has a background class 0.
    """

    label_offset: int = 0


@dataclasses.dataclass(frozen=True)
class Choice:
    """A row of a table and its options, such as one [[export]]."""

    kind: str
    options: Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model from network to gate; require() asks for a table that is absent.

    target, task: names in TARGETS and TASKS. has_default_exports: nobody asked for exports, so one that cannot be made
    is left out.
    """

    name: str
    path: Path
    seed: int
    preprocess: Preprocess
    network: NetworkTable | None
    training: Training | None
    calibration: Calibration | None
    quantization: Choice
    exports: tuple[Choice, ...]
    micro: Micro | None
    has_default_exports: bool
    evaluation: Evaluation | None
    gate: Limits
    target: str | None = None
    task: str = CLASSIFICATION


_TYPES = {"name": str, "seed": int, "target": str, "task": str, "export": list}  # of keys that are no table
TABLES = (*_TYPES, "network", "preprocess", "training", "calibration", "quantization", "evaluation", "gate")
_DEFAULT_EXPORTS = ("onnx_float", "onnx_int8")


def load_recipe(path: Union[str, Path]) -> Recipe:
    """Read a recipe. Raises RecipeError: no such file, no TOML, or a key that is unknown, missing or mistyped."""
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise RecipeError(f"recipe {path} cannot be read ({reason}); give the path of a .toml file") from error
    except (ValueError, RecursionError) as error:
        quotes = "; a text needs quotes" if "Invalid value" in str(error) else ""
        raise RecipeError(f"recipe {path} is not TOML: {error}{quotes}") from error
    try:
        return parse_recipe(table, path)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def parse_recipe(table: Mapping[str, Any], path: Path) -> Recipe:
    """Make a Recipe from parsed TOML; raises RecipeError that names table and key."""
    for key, value in table.items():
        if key not in TABLES:
            raise RecipeError(f"the recipe has no table or key {key!r}; {suggest(key, TABLES)}")
        expected = _TYPES.get(key, dict)
        if not isinstance(value, expected):
            way_out = ": write [[export]], one for each" if key == "export" else ""
            raise RecipeError(f"{key} must be a {expected.__name__}, not {value!r}{way_out}")
    name = table.get("name", path.stem)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name):
        raise RecipeError(f"name {name!r} becomes file names; use letters, digits, '-' and '_'")
    if "preprocess" not in table:
        raise RecipeError("the recipe needs the table [preprocess], and it is missing; at least: size, mean, std")
    seed = table.get("seed", 0)
    if isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise RecipeError(f"seed must be a whole number from 0 to 4294967295, not {seed!r}")
    task = pick(TASKS, table.get("task", CLASSIFICATION), kind="task")
    if "target" in table:
        pick(TARGETS, table["target"], kind="target")
    schemes = {kind: row.options for kind, row in QUANTIZERS.items()}
    quantization = _choice(schemes, table.get("quantization", {"kind": "int8"}), "[quantization]")
    kinds = {**{kind: row.options for kind, row in EXPORTERS.items()}, "micro": Micro}
    chosen = [_choice(kinds, export, "[[export]]") for export in table.get("export", ())]
    recipe = Recipe(
        name=name,
        path=path,
        seed=seed,
        preprocess=from_table(Preprocess, table["preprocess"], "[preprocess]"),
        network=_network(table["network"]) if "network" in table else None,
        training=_data(Training, table.get("training"), "[training]"),
        calibration=_data(Calibration, table.get("calibration"), "[calibration]"),
        quantization=quantization,
        exports=_exports(chosen, quantization, is_given="export" in table),
        has_default_exports=not any(each.kind in EXPORTERS for each in chosen),
        micro=next((each.options for each in chosen if each.kind == "micro"), None),
        evaluation=_data(Evaluation, table.get("evaluation"), "[evaluation]"),
        gate=from_table(Limits, {**task.limits, **table.get("gate", {})}, "[gate]"),
        target=table.get("target"),
        task=table.get("task", CLASSIFICATION),
    )
    _check_whole(recipe)
    return recipe


def _exports(chosen: Sequence[Choice], quantization: Choice, *, is_given: bool) -> tuple[Choice, ...]:
    """Return the exports that become a model: those listed or, where none is, one of each that can be made."""
    kinds = [each.kind for each in chosen]
    if len(set(kinds)) < len(kinds):
        raise RecipeError(f"[[export]] names {kinds} and each kind is made once; remove the second of a kind")
    listed = tuple(each for each in chosen if each.kind in EXPORTERS)
    if listed or (is_given and not kinds):
        return listed
    default = [kind for kind in _DEFAULT_EXPORTS if _can_export(kind, quantization)]
    return tuple(Choice(kind, EXPORTERS[kind].options()) for kind in default)


def _check_whole(recipe: Recipe) -> None:
    """Raise RecipeError for what no single table can know: images that fit the network, one file for each export."""
    kinds = [export.kind for export in recipe.exports] + (["micro"] if recipe.micro else [])
    for kind in kinds:
        if not _can_export(kind, recipe.quantization):
            raise RecipeError(
                f'[[export]] kind "{kind}" is made of an integer file, [quantization] kind '
                f'"{recipe.quantization.kind}" makes another; take it out, or quantize to int8'
            )
    if recipe.network is None:
        return
    options, given = recipe.network.options, recipe.preprocess
    made = say_size(given.size), CHANNELS[given.channels], given.layout
    wanted = say_size(options.input_size), options.input_channels, "NHWC"
    if made != wanted:
        raise RecipeError(
            f"[preprocess] makes size {made[0]}, {made[1]} channels, {made[2]}; "
            f"[network] takes input_size {wanted[0]}, {wanted[1]} channels, {wanted[2]}: "
            "set size, channels and layout, or input_size and input_channels"
        )


def _can_export(kind: str, quantization: Choice) -> bool:
    is_of_float = kind in EXPORTERS and EXPORTERS[kind].source == "float"
    return is_of_float or QUANTIZERS[quantization.kind].dtypes.inside <= {"int8", "int32"}


def require(value: Any, table: str, command: str) -> Any:
    """Return the recipe's table, or raise RecipeError: this command cannot do without it."""
    if value is None:
        raise RecipeError(f"{command} needs the table [{table}] in the recipe, and it is missing")
    return value


def _kind(table: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(table, Mapping) or "kind" not in table:
        raise RecipeError(f"{where} needs the key 'kind', and it is missing")
    rest = dict(table)
    return str(rest.pop("kind")), rest


def _choice(kinds: Mapping[str, type[Any]], table: Mapping[str, Any], where: str) -> Choice:
    kind, rest = _kind(table, where)
    return Choice(kind, from_table(pick(kinds, kind, kind=f"{where} kind"), rest, where))


def _network(table: Mapping[str, Any]) -> NetworkTable:
    kind, rest = _kind(table, "[network]")
    weights = {key: rest.pop(key) for key in ("weights", "weights_sha256") if key in rest}
    for key, value in weights.items():
        if not isinstance(value, str):
            raise RecipeError(f"[network] {key} must be a text in quotes, not {value!r}")
    row = pick(NETWORKS, kind, kind="[network] kind")
    return NetworkTable(kind=kind, options=from_table(row.options, rest, "[network]"), **weights)


def _data(cls: type[Any], table: Mapping[str, Any] | None, where: str) -> Any:
    if table is None:
        return None
    kind, rest = _kind(table, where)
    row = pick(DATASETS, kind, kind=f"{where} kind")
    own, options = ({field.name for field in dataclasses.fields(each)} for each in (cls, row.options))
    known = (own | options) - {"kind", "source"}
    for key in rest:
        if key not in known:
            raise RecipeError(f"{where} has no key {key!r}; {suggest(key, known)}")
    source = from_table(row.options, {key: rest.pop(key) for key in options & {*rest}}, where)
    return from_table(cls, {**rest, "kind": kind, "source": source}, where)
