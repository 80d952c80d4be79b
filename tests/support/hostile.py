"""A network built to break int8: one wide channel, one outlier in 500 images, ghost halves of 30 to 1."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from one_stage import run_stage

from ghost_edge.host.datasets.places import Places
from ghost_edge.host.quantization.schemes import Int8
from ghost_edge.host.recipe.schema import Recipe, parse_recipe

SIZE, CLASSES, NOISE = 12, 10, 1.4
TABLE = {
    "name": "hostile",
    "preprocess": {"size": SIZE, "mean": [0.5, 0.5, 0.5], "std": [0.01, 0.01, 0.01]},  # 1 is 2.55 levels
    "calibration": {"kind": "arrays", "path": "images.npz", "samples": 500},
}


def draw_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten patterns under noise, uint8 [N, H, W, 3], and their labels."""
    patterns = np.random.default_rng(0).normal(size=(CLASSES, SIZE, SIZE, 3))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    values = patterns[labels] + rng.normal(scale=NOISE, size=(count, SIZE, SIZE, 3))
    return np.clip(np.rint(127.5 + 2.55 * values), 0, 255).astype(np.uint8), labels


def hostile_network() -> keras.Model:
    """One depthwise channel 200 times the others, ghost halves of 30 to 1, a readout by least squares."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    stem = layers.Conv2D(16, 3, padding="same", activation="relu")
    depthwise = layers.DepthwiseConv2D(3, padding="same", activation="relu")
    primary = layers.Conv2D(16, 1, activation="relu")
    cheap = layers.DepthwiseConv2D(3, padding="same", activation="relu")
    joined = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")
    head = layers.Dense(CLASSES)

    def features(values: tf.Tensor) -> tf.Tensor:
        first = primary(depthwise(stem(values)))
        return layers.Flatten()(joined(layers.Concatenate()([first, cheap(first)])))

    model = keras.Model(image, head(features(image)))
    wide = np.where(np.arange(16) == 5, 200.0, 1.0)
    for layer, factor in ((depthwise, wide[:, None]), (primary, 1 / wide[:, None]), (cheap, 1 / 30)):
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * factor, bias])
    kernel, bias = joined.get_weights()
    kernel[:, :, 16:] *= 30
    joined.set_weights([kernel, bias])
    images, labels = draw_images(2000, seed=1)
    found = np.array(features((images.astype(np.float32) - 127.5) / 2.55))
    mean = found.mean(0)
    found -= mean
    readout = np.linalg.solve(found.T @ found + 10 * np.eye(len(mean)), found.T @ (np.eye(CLASSES)[labels] - 0.1))
    head.set_weights([readout, -mean @ readout])
    return model


def write_hostile(folder: Path) -> None:
    """The float file and 500 calibration images."""
    keras.backend.clear_session()  # layers are numbered through a process: names of tensors must not depend on it
    content = tf.lite.TFLiteConverter.from_keras_model(hostile_network()).convert()
    (folder / "hostile_float.tflite").write_bytes(content)
    images, labels = draw_images(500, seed=2)
    images[250, 6, 6] = 255, 0, 255  # one image of 500 with a pixel that no other has
    np.savez(folder / "images.npz", images=images, labels=labels)


def quantize_hostile(folder: Path, ranges: str, **options: bool) -> Recipe:
    """Make hostile_int8.tflite; options: of Int8. Return the recipe."""
    recipe = parse_recipe({**TABLE, "calibration": {**TABLE["calibration"], "ranges": ranges}}, folder / "hostile.toml")
    recipe = dataclasses.replace(recipe, quantization=dataclasses.replace(recipe.quantization, options=Int8(**options)))
    for name in ("calibrate", "quantize"):
        run_stage(name, recipe, Places((folder,)), folder)
    return recipe
