"""The kit for TFLite Micro: C and C++ sources of an int8 model that verify themselves on the target."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import string
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ghost_edge import __version__
from ghost_edge.core.files import write_bytes
from ghost_edge.core.manifest import parse_metadata
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device.runtimes.open import check_model_file, open_model
from ghost_edge.host.tflite.graph import Model, read_model
from ghost_edge.host.tflite_micro import check_prefix, default_prefix
from ghost_edge.host.tflite_micro.arena import ArenaPlan, draw_arena, plan_arena, shrink_advice
from ghost_edge.host.tflite_micro.feed import feed_parts
from ghost_edge.host.tflite_micro.operations import REVISION, add_method, check_deployable
from ghost_edge.host.tflite_micro.verify import Golden, answer, noise, verify_kit

_TEMPLATES = Path(__file__).parent / "templates"
_PER_LINE = 20


@dataclasses.dataclass(frozen=True)
class Kit:
    """A kit that was verified and written into `folder`.

    arenas: by 32 and 64 bits of the target. advice: what sets the arena's peak on 32 bits, and what lowers it.
    checks: what verify_kit() found to be right, a line each.
    """

    folder: Path
    files: tuple[Path, ...]
    arenas: Mapping[int, ArenaPlan]
    advice: str
    checks: tuple[str, ...]


def to_tflite_micro(
    tflite: str | Path | Model, folder: str | Path, *, vectors: Golden | None = None, prefix: str = ""
) -> Kit:
    """Write an int8 .tflite into the folder as C and C++ sources for TFLite Micro, if they pass verify_kit().

    tflite: a file, or what quantize() returned. vectors: golden inputs (default: three of noise). prefix: starts every
    C name (default: made of the file's name).
    Raises RecipeError for a prefix that is no C name, ArtifactError for a damaged file, ConversionError where TFLite
    Micro does not run the model or a runtime answers other bytes; nothing is written then.
    """
    with tempfile.TemporaryDirectory(prefix="ghost-edge-") as scratch:
        path = tflite.save(Path(scratch) / tflite.name) if isinstance(tflite, Model) else Path(tflite)
        files, arenas, advice = make_kit(path, prefix or default_prefix(path.stem), vectors or noise(path, 3))
        write_kit(files, Path(scratch) / "kit")
        checks = verify_kit(Path(scratch) / "kit")
    return Kit(Path(folder), tuple(write_kit(files, Path(folder))), arenas, advice, tuple(checks))


def make_kit(tflite: Path, prefix: str, golden: Golden) -> tuple[dict[str, bytes], dict[int, ArenaPlan], str]:
    """Return the kit's files, name to content, and the arenas and the advice of a Kit; raises as to_tflite_micro().

    Equal inputs give equal bytes.
    """
    check_prefix(prefix)
    check_model_file(tflite)
    graph = read_model(tflite)
    check_deployable(graph)
    model, metadata = open_model(tflite, kernels="reference"), parse_metadata(graph.content, graph.name)
    plans = {bits: plan_arena(graph, bits) for bits in (32, 64)}
    advice = shrink_advice(plans[32], graph)
    values = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "file": re.sub(r"[^A-Za-z0-9._-]", "_", tflite.name),  # for comments
        "version": __version__,
        "revision": REVISION,
        "sha256": hashlib.sha256(graph.content).hexdigest(),
        "model_bytes": len(graph.content),
        "model_array": _array(graph.content),
        **{f"arena_{bits}": plan.advised for bits, plan in plans.items()},
        **{f"used_{bits}": plan.total for bits, plan in plans.items()},
        **{f"head_{bits}": plan.head for bits, plan in plans.items()},
        "advice": advice,
        **_operations(graph),
        **_input(model.inputs[0]),
        "outputs": _outputs(prefix.upper(), model.outputs),
        "labels": _labels(prefix.upper(), metadata.class_names if metadata else ()),
        **feed_parts(prefix, model.inputs[0], metadata, tflite),
        "golden_count": len(golden.inputs),
        "golden_source": golden.source,
        "golden_in": _arrays(given.tobytes() for given in golden.inputs),
        "golden_out": _arrays(answer(model, given) for given in golden.inputs),
    }
    files = {_file_name(path, prefix): _filled(path, values) for path in sorted(_TEMPLATES.iterdir())}
    document = {"format": 1, **{f"bits_{bits}": dataclasses.asdict(plan) for bits, plan in plans.items()}}
    files[f"{prefix}_arena.json"] = json.dumps(document, indent=1).encode() + b"\n"
    files[f"{prefix}_arena.svg"] = draw_arena(plans[32], graph).encode()
    return files, plans, advice


def write_kit(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write the files into a folder, each whole or not at all, and return their paths."""
    for name, content in files.items():
        write_bytes(content, folder / name)
    return [folder / name for name in files]


def _file_name(template: Path, prefix: str) -> str:
    name = template.name.removesuffix(".in")
    return name if name in ("CMakeLists.txt", "README.md", "main.cc") else f"{prefix}_{name}"


def _filled(template: Path, values: Mapping[str, Any]) -> bytes:
    text = string.Template(template.read_text(encoding="utf-8")).substitute(values)
    return re.sub(r"\n{3,}", "\n\n", text).encode()  # an empty part leaves empty lines


def _array(content: bytes) -> str:
    numbers = [f"0x{byte:02x}" for byte in content]
    return ",\n".join(",".join(numbers[start : start + _PER_LINE]) for start in range(0, len(numbers), _PER_LINE))


def _arrays(contents: Iterable[bytes]) -> str:
    return ",\n".join(f"{{\n{_array(content)}\n}}" for content in contents)


def _operations(graph: Model) -> dict[str, Any]:
    names = sorted({op.name for op in graph.operations})
    calls = [f"  status = (status == kTfLiteOk) ? resolver.{add_method(name)}() : status;" for name in names]
    return {"count": len(names), "registrations": "\n".join(calls)}


def _input(spec: TensorSpec) -> dict[str, Any]:
    return {
        "input_type": spec.dtype,
        "input_bytes": int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize,
        "input_rank": len(spec.shape),
        "input_shape": _list(spec.shape),
        "input_scale": real(spec.scale),
        "input_zero_point": spec.zero_point,
    }


def _outputs(upper: str, specs: Iterable[TensorSpec]) -> str:
    lines, sizes, has_lsb = [], [], True
    for number, spec in enumerate(specs):
        sizes.append(int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize)
        name, has_lsb = f"{upper}_OUTPUT{number}", has_lsb and spec.dtype in ("int8", "uint8")
        lines += [
            f"/* output {number}: {spec.dtype} */",
            f"#define {name}_SHAPE {{ {_list(spec.shape)} }}",
            f"#define {name}_SCALE {real(spec.scale)}f",
            f"#define {name}_ZERO_POINT ({spec.zero_point})",
        ]
    return "\n".join(
        [
            f"\n#define {upper}_OUTPUTS {len(sizes)}u",
            f"#define {upper}_OUTPUT_BYTES {{ {_list(f'{size}u' for size in sizes)} }}",
            f"#define {upper}_OUTPUT_BYTES_ALL {sum(sizes)}u",
            f"#define {upper}_OUTPUT_LSB {int(has_lsb)} /* 1: a difference of 1 in a byte is one LSB of an output */",
            *lines,
        ]
    )


def _labels(upper: str, class_names: Sequence[str]) -> str:
    if not class_names:
        return ""
    quoted = ", \\\n  ".join(c_string(name) for name in class_names)
    return f"\n#define {upper}_LABELS {len(class_names)}u\n#define {upper}_LABEL_NAMES {{ \\\n  {quoted} }}\n"


def c_string(text: str) -> str:
    """Return any text as a C string literal; characters that are not plain become octal bytes of their UTF-8."""
    plain = set(string.ascii_letters + string.digits + " _-.,:;()[]+=/<>|!#%&'*")
    return '"' + "".join(c if c in plain else "".join(f"\\{byte:03o}" for byte in c.encode()) for c in text) + '"'


def real(value: float) -> str:
    """Return the exact C literal of a float32, without its suffix."""
    text = f"{np.float32(value):.9g}"
    return text if set(text) & {".", "e", "n"} else f"{text}.0"


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
