"""The frozen graph as a float32 .tflite: the reference of everything after it."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_bytes
from ghost_edge.host.chain.work import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write <name>_float.tflite; raises ConversionError with the converter's reason where it refuses."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(work.path(work.names.frozen).read_bytes())
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    function = imported.prune("image:0", "Identity:0")
    work.tell(0.3, "graph read")
    try:
        content = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    except (tf.errors.OpError, ConverterError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConversionError(f"TensorFlow could not convert {work.recipe.name}: {reason}") from error
    path = work.path(work.names.float_tflite)
    write_bytes(content, path)
    return (path,)
