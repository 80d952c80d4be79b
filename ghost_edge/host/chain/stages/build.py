"""Build the network, load its weights, trace and freeze it once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ghost_edge.core.errors import ArtifactError, DataError, RecipeError
from ghost_edge.core.files import check_sha256, save_npz, sha256_file, whole_file, write_bytes
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.networks.fold_hard_sigmoid import fold_gates
from ghost_edge.host.recipe.schema import NetworkTable, Recipe, require

RANDOM = "random"  # [network] weights = "random": to measure speed, never to deploy
_PROBES = 8


def settings(recipe: Recipe, places: Places) -> Mapping[str, Any]:
    """What decides the network: its options and the bytes of its weights."""
    weights = find_weights(recipe, places)
    network: NetworkTable = require(recipe.network, "network", "convert")
    find_source = NETWORKS[network.kind].source
    source = find_source(network.options, places) if find_source else None
    return {
        "kind": network.kind,
        "options": network.options,
        "seed": recipe.seed,
        "weights": sha256_file(weights) if weights else RANDOM,
        "source": sha256_file(source) if source else "",
        # code may import anything: it runs each time, and where it gives the same graph the stages after it do not
        "asked": time.time_ns() if source and source.suffix == ".py" else 0,
    }


def find_weights(recipe: Recipe, places: Places) -> Path | None:
    """The weights file, checked against the recipe's SHA-256; None for random ones, and those that a model brings."""
    network: NetworkTable = require(recipe.network, "network", "convert")
    if not network.weights and NETWORKS[network.kind].source:
        return None
    if not network.weights:
        raise RecipeError(
            '[network] names no weights; train them with `ghost-edge train`, or write weights = "random" '
            "to measure speed alone"
        )
    if network.weights == RANDOM:
        return None
    try:
        path = places.find(network.weights)
    except DataError as error:
        raise ArtifactError(
            f"[network] weights: {network.weights} is not beside {recipe.path}; `ghost-edge train {recipe.path}` makes "
            "them, --data names the folder of some that are elsewhere"
        ) from error
    if not path.is_file():
        raise ArtifactError(f"[network] weights: {path} is not a file; name a checkpoint")
    check_sha256(path, network.weights_sha256)
    return path


def is_trained(recipe: Recipe, places: Places) -> bool:
    """Whether the weights that [network] names are there, or none are needed."""
    weights = recipe.network.weights if recipe.network else ""
    return weights in ("", RANDOM) or any((folder / weights).exists() for folder in places.folders)


def run(work: Work) -> tuple[Path, ...]:
    """Write <name>.keras, the frozen graph, and probes: seeded inputs with Keras' own logits, for the proof later."""
    model = make_network(work)
    paths = tuple(map(work.path, (work.names.keras, work.names.frozen, work.names.probe)))
    with whole_file(paths[0]) as part, tempfile.TemporaryDirectory(dir=work.folder) as scratch:
        model.save(Path(scratch) / work.names.keras)  # Keras insists on the ending .keras
        (Path(scratch) / work.names.keras).replace(part)
    work.tell(0.6, "weights in place")
    _write_frozen(model, paths[1], paths[2], seed=work.recipe.seed)
    return paths


def make_network(work: Work) -> Any:
    """The recipe's keras.Model with its weights."""
    import keras

    from ghost_edge.host.networks.state_dict import load_weights

    network: NetworkTable = require(work.recipe.network, "network", "convert")
    weights = find_weights(work.recipe, work.places)
    keras.utils.set_random_seed(work.recipe.seed)
    model = NETWORKS[network.kind].build(network.options, work.places)
    work.tell(0.3, "network built")
    if weights is not None:
        load_weights(model, weights)
    elif network.weights == RANDOM:
        _stir(model, seed=work.recipe.seed)
    return model


def _stir(model: Any, *, seed: int) -> None:
    """Noise in place of zeros: the converter leaves a bias of zeros out, and the file would be too small."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_weights:
        if not np.any(variable):
            variable.assign(rng.normal(0, 0.01, variable.shape))


def _write_frozen(model: Any, graph_path: Path, probe_path: Path, *, seed: int) -> None:
    """Trace once with the batch fixed, turn variables into constants, and answer the probes with Keras itself."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec(model.input_shape, tf.float32, name="image")]
    traced = tf.function(lambda image: model(image, training=False), input_signature=signature).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced)
    graph = frozen.graph.as_graph_def()
    fold_gates(graph)
    write_bytes(graph.SerializeToString(deterministic=True), graph_path)
    inputs = np.random.default_rng(seed).normal(size=(_PROBES, *model.input_shape)).astype(np.float32)
    logits = np.stack([traced(tf.constant(probe)).numpy() for probe in inputs])  # Keras' graph, with its variables
    save_npz({"inputs": inputs, "logits": logits}, probe_path)
