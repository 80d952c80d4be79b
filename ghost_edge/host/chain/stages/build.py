"""Stages build and float: the network frozen once, and the float .tflite that everything else is made of."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import save_npz, whole_file, write_bytes
from ghost_edge.core.progress import Say, part
from ghost_edge.host.chain.stage import Nothing
from ghost_edge.host.networks.frozen import answer, freeze, import_frozen
from ghost_edge.host.recipe.network import NetworkFiles, make_network

_PROBES = 8


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """The network, and the files that decide it."""

    network: NetworkFiles


@dataclasses.dataclass(frozen=True)
class BuildOutputs:
    """keras: the model with its weights. frozen: its graph with constants. probe: inputs and Keras' logits."""

    keras: Path
    frozen: Path
    probe: Path


def build(inputs: Nothing, settings: BuildSettings, outputs: BuildOutputs, say: Say) -> BuildOutputs:
    """Build the network, load its weights, trace and freeze it once, and answer probes with Keras itself."""
    model = make_network(settings.network, part(say, 0.0, 0.6))
    with whole_file(outputs.keras) as file, tempfile.TemporaryDirectory(dir=outputs.keras.parent) as scratch:
        model.save(Path(scratch) / outputs.keras.name)  # Keras insists on the ending .keras
        (Path(scratch) / outputs.keras.name).replace(file)
    traced = freeze(model, outputs.frozen)
    probes = np.random.default_rng(settings.network.seed).normal(size=(_PROBES, *model.input_shape)).astype(np.float32)
    # answered by Keras' own graph, with its variables: the proof that nothing was lost when it was frozen
    save_npz({"inputs": probes, "logits": answer(traced, probes)}, outputs.probe)
    return outputs


@dataclasses.dataclass(frozen=True)
class FloatInputs:
    """The frozen graph of build()."""

    frozen: Path


@dataclasses.dataclass(frozen=True)
class FloatOutputs:
    """The float32 .tflite: the reference of everything after it."""

    float_tflite: Path


def convert_float(inputs: FloatInputs, settings: Nothing, outputs: FloatOutputs, say: Say) -> FloatOutputs:
    """Convert the frozen graph to a float32 .tflite; raises ConversionError with the converter's reason."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    function = import_frozen(inputs.frozen)
    say(0.3, "graph read")
    try:
        content = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    except (tf.errors.OpError, ConverterError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConversionError(f"TensorFlow could not make {outputs.float_tflite.name}: {reason}") from error
    write_bytes(content, outputs.float_tflite)
    return outputs
