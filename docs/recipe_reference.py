"""Write docs/reference/recipe.md from the dataclasses that read a recipe: `python docs/recipe_reference.py`."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.preprocess import CHANNELS, FITS, LAYOUTS, Preprocess, Size
from ghost_edge.core.targets import TARGETS
from ghost_edge.core.tasks import TASKS
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.datasets import DATASETS, DataTable
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.networks.ghostnet import HARD_SIGMOIDS, PADDINGS
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.recipe.schema import Calibration, Evaluation, Training
from ghost_edge.host.tflite_micro.options import Micro

Row = tuple[str, str, str, str]  # key, type, default, what it is
PAGE = Path(__file__).parent / "reference" / "recipe.md"
_HEAD = """\
# The recipe: every key

Made by `python docs/recipe_reference.py` from the program's own tables; a test compares the two.

A recipe is one TOML file. `ghost-edge init` writes a first one. A key that is unknown, missing or of another type is
named, with the nearest known one, and the exit code is 2. A key without a default is needed. Paths are looked up in the
recipe's folder, then in `--data`, then in `GHOST_EDGE_DATA`.
"""
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true, false"}
_CHOICES = {
    "channels": CHANNELS,
    "fit": FITS,
    "layout": LAYOUTS,
    "padding": PADDINGS,
    "hard_sigmoid": HARD_SIGMOIDS,
    "ranges": ESTIMATORS,
}
# keys that no docstring explains as "key: text"; where classes use a name differently, the class stands before it
_PLAIN = {
    "input_size": "side of a square image, or its [height, width], in pixels; `size` of [preprocess] is the same",
    "input_channels": '3, or 1 where `channels` of [preprocess] is "GRAY"',
    "classes": "how many the network answers",
    "width": "multiplier of the channels of all layers; more is slower and more accurate",
    "ShuffleNetV2.width": "0.5, 1.0, 1.5 or 2.0",
    "ratio": "of a ghost module: all its channels to those of its plain convolution",
    "stem_channels": "of the first convolution",
    "stem_stride": "of the first convolution; 1 keeps the pixels of a small image",
    "head_channels": "of the layer before the classifier",
    "dropout": "before the classifier, in training alone; a fraction",
    "kernel": "of a ghost module's plain convolution, in pixels",
    "cheap_kernel": "of a ghost module's depthwise convolution, in pixels",
    "mean": "what is subtracted, by channel or one for all",
    "std": "what is divided by, by channel or one for all",
    "layout": "of the model's input",
    "epochs": "so often every image is seen",
    "batch_size": "images a step",
    "weight_decay": "of AdamW",
    "warmup_epochs": "while the learning rate rises",
    "label_smoothing": "share of the label that is spread over all classes",
    "Training.flip": "mirror half of the images; false where left and right differ",
    "samples": "how many of the images, chosen by the recipe's seed",
    "ranges": "how the range of a tensor is chosen from what it held",
    "Evaluation.label_offset": "added to labels where a model has a background class 0",
    "Mixed.float32": "spans that stay in float32, as [[first, last], ...]",
    "int16": "spans with int16 activations, as [[first, last], ...]",
    "opset": "version of ONNX's operations",
    "max_drop": "largest drop of top-1 against the float model, as a fraction: 0.005 is half a point",
    "min_agreement": "least share of answers equal to the float model's",
    "Limits.min_sqnr_db": "least SQNR of the logits against the float model, in dB",
    "Limits.max_size_bytes": "largest quantized file",
    "max_loss": "against a baseline: largest loss of top-1 or agreement beyond chance, as a fraction",
    "max_sqnr_loss_db": "against a baseline: largest loss of SQNR, in dB",
    "max_size_ratio": "against a baseline: largest ratio of bytes, now / then",
    "max_latency_ratio": "against a baseline: largest ratio of median times, now / then",
    "path": "the file or folder",
    "split": 'which part of it, such as "test"',
    "sha256": "of the file; another one is refused",
    "class_names": "in the order of the labels",
    "Folder.labels": "the file that lists images and classes, where there is one",
    "Arrays.images": "key of the images",
    "Arrays.labels": "key of the labels",
    "Int8.correct_bias": "add the mean error of rounded weights to the biases",
    "Mixed.correct_bias": "add the mean error of rounded weights to the biases",
    "count": "how many images",
    "Synthetic.size": "side of a square image, or its [height, width], in pixels",
    "Synthetic.channels": "1 or 3",
    "Synthetic.classes": "labels go from 0 to this, in turn",
    "Synthetic.seed": "another seed, other images",
}


def page() -> str:
    """The whole page."""
    network = _kinds("[network]", "the architecture, and the weights to load into it", NETWORKS, _weights())
    parts = [_HEAD, _top(), network, _table("[preprocess]", f"The model's {_lower(_first(Preprocess))}", Preprocess)]
    data = "`path` and its like belong to the `kind` of source, see [Images](#images)."
    for name, cls in (("training", Training), ("calibration", Calibration), ("evaluation", Evaluation)):
        of_data = (_kind(DATASETS), *_rows(DataTable, "kind", "source"))
        parts.append(_table(f"[{name}]", f"{_first(cls)} {data}", cls, of_data))
    parts.append("## Images\n\nThe kinds of [training], [calibration] and [evaluation].\n")
    parts += [_kind_part(kind, row.options) for kind, row in DATASETS.items()]
    parts.append(
        _kinds(
            "[quantization]",
            "How numbers become integers; int8 without the table",
            QUANTIZERS,
        )
    )
    exporters = {**{kind: row.options for kind, row in EXPORTERS.items()}, "micro": Micro}
    told = "one table for each file beside the `.tflite`; without any, all ONNX files that can be made"
    parts.append(_kinds("[[export]]", told, exporters))
    parts.append(_table("[gate]", "beyond these limits `convert` and `gate` end with exit code 7.", Limits))
    return "\n".join(parts)


def _top() -> str:
    rows = [
        ("name", "text", "the file's name", "of the files that `convert` makes: letters, digits, - and _"),
        ("seed", "whole number", "0", "of first weights, of batches, of the choice of calibration images"),
        ("target", _or(TARGETS), "none", "refuse what that board cannot run, exit code 6"),
        ("task", _or(TASKS), '`"classification"`', "what an answer is, and how answers are scored and compared"),
    ]
    return f"## Above the first table\n\n{_markdown(rows)}"


def _weights() -> Iterable[Row]:
    return (
        ("weights", "text", '`""`', 'a checkpoint, or "random" to measure speed alone; `ghost-edge train` writes one'),
        ("weights_sha256", "text", '`""`', "of that file; another one is refused"),
    )


def _kinds(header: str, told: str, table: Mapping[str, Any], common: Iterable[Row] = ()) -> str:
    """A table of a recipe whose other keys depend on its kind; kinds with the same options are told together."""
    rows = [_kind(table), *common]
    parts = [f"## {header}\n\n{_sentence(told)}\n\n{_markdown(rows)}"]
    groups: dict[type, list[str]] = {}
    for kind, row in table.items():
        groups.setdefault(_with_keys(getattr(row, "options", row)), []).append(kind)
    parts += [_kind_part(", ".join(kinds), cls) for cls, kinds in groups.items()]
    return "\n".join(parts)


def _with_keys(cls: type) -> type:
    """Return the class itself or, where it only gives its parent another name, that one."""
    parent, own = cls.__mro__[1], {"__annotations__", "__post_init__"} & vars(cls).keys()
    return parent if dataclasses.is_dataclass(parent) and not own else cls


def _kind_part(kinds: str, cls: type) -> str:
    names = ", ".join(f"`{kind}`" for kind in kinds.split(", "))
    rows = list(_rows(cls))
    return "\n\n".join(filter(None, (f"### {names}", _first(cls), _markdown(rows).rstrip() if rows else ""))) + "\n"


def _table(header: str, told: str, cls: type, before: Iterable[Row] = ()) -> str:
    known = [field.name for field in dataclasses.fields(DataTable)] if issubclass(cls, DataTable) else []
    return f"## {header}\n\n{_sentence(told)}\n\n{_markdown([*before, *_rows(cls, *known)])}"


def _kind(table: Mapping[str, Any]) -> Row:
    return "kind", _or(table), "needed", "which of these; the other keys follow from it"


def _rows(cls: type, *without: str) -> Iterator[Row]:
    hints, told = typing.get_type_hints(cls), _explained(cls)
    for field in dataclasses.fields(cls):
        if field.name not in without:
            own = _PLAIN.get(f"{cls.__name__}.{field.name}")
            sentence = own or told.get(field.name) or _PLAIN[field.name]
            yield field.name, _type(field.name, hints[field.name]), _default(field), sentence


def _explained(cls: type) -> dict[str, str]:
    """What the docstrings of a dataclass and its parents say of their keys, in the form "key: text" or "a, b: text"."""
    told: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if dataclasses.is_dataclass(each):
            names = [field.name for field in dataclasses.fields(each)]
            told.update(_keys_of(inspect.cleandoc(each.__doc__ or ""), names))
    return told


def _keys_of(text: str, names: list[str]) -> Iterator[tuple[str, str]]:
    text = " ".join(text.split())
    name = "|".join(names)
    pattern = rf"(?:(?<=[.;] )|(?<=\) )|^)((?:{name})(?:, (?:{name}))*): "
    found = list(re.finditer(pattern, text)) if names else []
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        for key in match[1].split(", "):
            yield key, text[match.end() : end].strip().rstrip(".;")


def _first(cls: type) -> str:
    """The first sentence of the docstring, without the table that it names."""
    text = " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())
    names = "|".join(field.name for field in dataclasses.fields(cls)) or "$^"
    text = re.split(rf"(?:; | )(?:{names}): ", text)[0]
    text = re.sub(r"^\[\[?\w+\]?\]( with| of)?[,:]? *", "", text)
    text = re.sub(r'^kind = "\w+"( or "\w+")?[,:;]? *|,?( such as)? kind = "\w+"( for one)?', "", text)
    text = re.sub(r"(\w*<\w+>\w*)", r"`\1`", text)  # which a browser takes for a tag
    return _sentence(text) if text.strip(".") else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _sentence(text: str) -> str:
    text = text.strip().rstrip(":;")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "`.")) else ".")


def _type(name: str, hint: Any) -> str:
    if name in _CHOICES and hint is str:
        return _or(_CHOICES[name])
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return f"list of {_type('', arguments[0])}s" if arguments[0] in _WORDS else "list of lists of numbers"
    if type(None) in arguments:
        return _type("", arguments[0])
    if hint == Size:
        return "whole number or [height, width]"
    return _WORDS[hint]


def _or(names: Iterable[str]) -> str:
    return ", ".join(f'`"{name}"`' for name in names)


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        return "needed"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "table 7 of the paper" if field.name == "stages" else f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _markdown(rows: Iterable[Row]) -> str:
    lines = ["| key | type | default | what it is |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {kind} | {default} | {told} |" for key, kind, default, told in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
