"""GhostNet from a recipe to a ZYNQ board, and the proof that nothing was lost on the way.

The names in __all__ are the public API. Each is imported when it is first used, so that `import ghost_edge` costs
nothing and the part for boards (bench, gate, the errors) needs no package of the workstation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ghost_edge.core.dataset import Dataset as Dataset
    from ghost_edge.core.errors import ArtifactError as ArtifactError
    from ghost_edge.core.errors import ConversionError as ConversionError
    from ghost_edge.core.errors import DataError as DataError
    from ghost_edge.core.errors import DeviceError as DeviceError
    from ghost_edge.core.errors import GateError as GateError
    from ghost_edge.core.errors import GhostEdgeError as GhostEdgeError
    from ghost_edge.core.errors import MissingPackageError as MissingPackageError
    from ghost_edge.core.errors import RecipeError as RecipeError
    from ghost_edge.core.gate.limits import Limits as Limits
    from ghost_edge.core.preprocess import Preprocess as Preprocess
    from ghost_edge.device.bench import Bench as Bench
    from ghost_edge.device.bench import BenchPlan as BenchPlan
    from ghost_edge.device.bench import bench as bench
    from ghost_edge.device.evaluate import RunOptions as RunOptions
    from ghost_edge.device.gate import GateResult as GateResult
    from ghost_edge.device.gate import gate as gate
    from ghost_edge.host.accuracy.evaluate import Evaluated as Evaluated
    from ghost_edge.host.accuracy.evaluate import evaluate as evaluate
    from ghost_edge.host.chain.convert import Run as Run
    from ghost_edge.host.chain.convert import convert as convert
    from ghost_edge.host.datasets.folder import load_images
    from ghost_edge.host.explore.inspect import Inspection as Inspection
    from ghost_edge.host.explore.inspect import inspect as inspect
    from ghost_edge.host.onnx.compare import OnnxModel, to_onnx
    from ghost_edge.host.quantization import quantize as quantize
    from ghost_edge.host.quantization.mixed import Mixed as Mixed
    from ghost_edge.host.quantization.schemes import Dynamic as Dynamic
    from ghost_edge.host.quantization.schemes import Float16 as Float16
    from ghost_edge.host.quantization.schemes import Int8 as Int8
    from ghost_edge.host.quantization.schemes import Int8FloatIo as Int8FloatIo
    from ghost_edge.host.quantization.schemes import Int16x8 as Int16x8
    from ghost_edge.host.quantization.schemes import Uint8Io as Uint8Io
    from ghost_edge.host.recipe.network import ModelCard
    from ghost_edge.host.recipe.schema import Recipe as Recipe
    from ghost_edge.host.recipe.schema import load_recipe as load_recipe
    from ghost_edge.host.tflite.graph import Model as Model
    from ghost_edge.host.tflite_micro.kit import Kit as Kit
    from ghost_edge.host.tflite_micro.kit import to_tflite_micro as to_tflite_micro
    from ghost_edge.host.training.train import train as train

_ERRORS = "ArtifactError ConversionError DataError DeviceError GateError GhostEdgeError MissingPackageError RecipeError"
_HOMES = {
    # what to do
    "bench": "device.bench",
    "convert": "host.chain.convert",
    "evaluate": "host.accuracy.evaluate",
    "gate": "device.gate",
    "inspect": "host.explore.inspect",
    "load_images": "host.datasets.folder",
    "load_recipe": "host.recipe.schema",
    "quantize": "host.quantization",
    "to_onnx": "host.onnx.compare",
    "to_tflite_micro": "host.tflite_micro.kit",
    "train": "host.training.train",
    # what to do it with, and what comes back
    "Bench": "device.bench",
    "BenchPlan": "device.bench",
    "Dataset": "core.dataset",
    "Dynamic": "host.quantization.schemes",
    "Evaluated": "host.accuracy.evaluate",
    "Float16": "host.quantization.schemes",
    "Inspection": "host.explore.inspect",
    "Int16x8": "host.quantization.schemes",
    "Int8": "host.quantization.schemes",
    "Int8FloatIo": "host.quantization.schemes",
    "Kit": "host.tflite_micro.kit",
    "Limits": "core.gate.limits",
    "Mixed": "host.quantization.mixed",
    "Model": "host.tflite.graph",
    "ModelCard": "host.recipe.network",
    "OnnxModel": "host.onnx.compare",
    "Preprocess": "core.preprocess",
    "Recipe": "host.recipe.schema",
    "Run": "host.chain.convert",
    "RunOptions": "device.evaluate",
    "Uint8Io": "host.quantization.schemes",
    "GateResult": "device.gate",
    **dict.fromkeys(_ERRORS.split(), "core.errors"),
}
__all__ = [
    "ArtifactError",
    "Bench",
    "BenchPlan",
    "ConversionError",
    "DataError",
    "Dataset",
    "DeviceError",
    "Dynamic",
    "Evaluated",
    "Float16",
    "GateError",
    "GateResult",
    "GhostEdgeError",
    "Inspection",
    "Int8",
    "Int8FloatIo",
    "Int16x8",
    "Kit",
    "Limits",
    "MissingPackageError",
    "Mixed",
    "Model",
    "ModelCard",
    "OnnxModel",
    "Preprocess",
    "Recipe",
    "RecipeError",
    "Run",
    "RunOptions",
    "Uint8Io",
    "bench",
    "convert",
    "evaluate",
    "gate",
    "inspect",
    "load_images",
    "load_recipe",
    "quantize",
    "to_onnx",
    "to_tflite_micro",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that holds it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ghost_edge' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ghost_edge.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
