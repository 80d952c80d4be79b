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
from ghost_edge.core.tasks import TASKS
from ghost_edge.device.board import TARGETS
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.datasets import DATASETS, DataTable
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.networks.ghostnet import HARD_SIGMOIDS, PADDINGS
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.recipe.schema import Calibration, Evaluation, Training
from ghost_edge.host.tflite_micro import Micro

Row = tuple[str, str, str, str]  # key, type, default, what it is
PAGE = Path(__file__).parent / "reference" / "recipe.md"
_HEAD = """\
# Every key of a recipe

Made by `python docs/recipe_reference.py` from the dataclasses of the program; a test compares the two.

A recipe is one TOML file, and `ghost-edge init` writes a first one. If a key is unknown, missing or of another type,
the message names it and the nearest known key, and the exit code is 2. A key whose default is "needed" must be there.
Paths are looked up in the recipe's folder, then in `--data`, then in `GHOST_EDGE_DATA`.
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
    "classes": "number of classes",
    "width": "multiplier of the channels of all layers; a larger one is slower and more accurate",
    "ShuffleNetV2.width": "0.5, 1.0, 1.5 or 2.0",
    "ratio": "in a ghost module: all channels divided by those of the plain convolution",
    "stem_channels": "channels of the first convolution",
    "stem_stride": "stride of the first convolution; 1 keeps the pixels of a small image",
    "head_channels": "channels of the layer before the classifier",
    "dropout": "dropout before the classifier, in training only; a fraction",
    "kernel": "size of the plain convolution in a ghost module, in pixels",
    "cheap_kernel": "size of the depthwise convolution in a ghost module, in pixels",
    "mean": "subtracted from each channel; one number, or one for each channel",
    "std": "divides each channel; one number, or one for each channel",
    "layout": "layout of the model's input",
    "epochs": "number of passes over all images",
    "batch_size": "images in each training step",
    "weight_decay": "weight decay of AdamW",
    "warmup_epochs": "epochs in which the learning rate rises",
    "label_smoothing": "share of the label that training spreads over all classes",
    "Training.flip": "mirror half of the images; false where left and right differ",
    "samples": "number of images, chosen with the recipe's seed",
    "ranges": "how an activation range is chosen from the observed values",
    "Evaluation.label_offset": "added to labels where a model has a background class 0",
    "Mixed.float32": "spans that stay in float32, as [[first, last], ...]",
    "int16": "spans with int16 activations, as [[first, last], ...]",
    "opset": "version of the ONNX operation set",
    "max_drop": "largest drop of top-1 against the float model, as a fraction: 0.005 is half a point",
    "min_agreement": "smallest share of answers equal to the float model's",
    "Limits.min_sqnr_db": "smallest SQNR of the logits against the float model, in dB",
    "Limits.max_size_bytes": "largest quantized file",
    "max_loss": "against a baseline: largest loss of top-1 or agreement beyond chance, as a fraction",
    "max_sqnr_loss_db": "against a baseline: largest loss of SQNR, in dB",
    "max_size_ratio": "against a baseline: largest ratio of bytes, now / then",
    "max_latency_ratio": "against a baseline: largest ratio of median latencies, now / then",
    "path": "the file or folder",
    "split": 'which part of it, such as "test"',
    "sha256": "SHA-256 of the file; other bytes are refused",
    "class_names": "names of the classes, in the order of the labels",
    "Folder.labels": "a file that lists images and classes, if there is one",
    "Arrays.images": "key of the images in the file",
    "Arrays.labels": "key of the labels in the file",
    "Int8.correct_bias": "shift the biases by the mean error of the rounded weights",
    "Mixed.correct_bias": "shift the biases by the mean error of the rounded weights",
    "count": "number of images",
    "Synthetic.size": "side of a square image, or its [height, width], in pixels",
    "Synthetic.channels": "1 or 3",
    "Synthetic.classes": "number of classes; labels go through them in turn",
    "Synthetic.seed": "seed of the images",
}


def page() -> str:
    """Return the whole page."""
    network = _kinds("[network]", "The network and its weights", NETWORKS, _weights())
    parts = [_HEAD, _top(), network, _table("[preprocess]", f"The model's {_lower(_first(Preprocess))}", Preprocess)]
    data = "`path` and similar keys depend on the `kind` of source: see [Images](#images)."
    for name, cls in (("training", Training), ("calibration", Calibration), ("evaluation", Evaluation)):
        of_data = (_kind(DATASETS), *_rows(DataTable, "kind", "source"))
        parts.append(_table(f"[{name}]", f"{_first(cls)} {data}", cls, of_data))
    parts.append("## Images\n\nThe kinds of [training], [calibration] and [evaluation].\n")
    parts += [_kind_part(kind, row.options) for kind, row in DATASETS.items()]
    parts.append(
        _kinds(
            "[quantization]",
            "The quantization scheme; int8 if the table is missing",
            QUANTIZERS,
        )
    )
    exporters = {**{kind: row.options for kind, row in EXPORTERS.items()}, "micro": Micro}
    told = "One table for each file beside the `.tflite`; without any table, every ONNX file that the model allows"
    parts.append(_kinds("[[export]]", told, exporters))
    parts.append(_table("[gate]", "`convert` and `gate` end with exit code 7 if a limit is not kept.", Limits))
    return "\n".join(parts)


def _top() -> str:
    rows = [
        ("name", "text", "the file's name", "first part of the output file names: letters, digits, - and _"),
        ("seed", "whole number", "0", "seed of initial weights, batches and the choice of calibration images"),
        ("target", _or(TARGETS), "none", "refuse what that board cannot run (exit code 6)"),
        ("task", _or(TASKS), '`"classification"`', "what an answer is, and how answers are scored and compared"),
    ]
    return f"## Above the first table\n\n{_markdown(rows)}"


def _weights() -> Iterable[Row]:
    return (
        ("weights", "text", '`""`', 'a checkpoint, or "random" to measure speed alone; `ghost-edge train` writes one'),
        ("weights_sha256", "text", '`""`', "SHA-256 of that file; other bytes are refused"),
    )


def _kinds(header: str, told: str, table: Mapping[str, Any], common: Iterable[Row] = ()) -> str:
    """Return the part for a table whose keys depend on its kind; kinds with the same options share a part."""
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
    return "kind", _or(table), "needed", "one of these; the other keys depend on it"


def _rows(cls: type, *without: str) -> Iterator[Row]:
    hints, told = typing.get_type_hints(cls), _explained(cls)
    for field in dataclasses.fields(cls):
        if field.name not in without:
            own = _PLAIN.get(f"{cls.__name__}.{field.name}")
            sentence = own or told.get(field.name) or _PLAIN[field.name]
            yield field.name, _type(field.name, hints[field.name]), _default(field), sentence


def _explained(cls: type) -> dict[str, str]:
    """Return the text of each key in the docstrings of a dataclass and its parents: "key: text" or "a, b: text"."""
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
    """Return the first sentence of the docstring, without the table that it names."""
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
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {kind} | {default} | {told} |" for key, kind, default, told in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
