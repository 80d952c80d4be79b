"""Training of a network: AdamW, cosine schedule with warm-up, label smoothing, crops and flips."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import sha256_file, write_bytes
from ghost_edge.core.preprocess import Preprocess, fit_image, normalise
from ghost_edge.core.progress import Progress, Reporter, Say, timed
from ghost_edge.core.tasks import check_truth
from ghost_edge.host.datasets import DataTable, fingerprint, open_dataset
from ghost_edge.host.datasets.places import Places, places_for
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.networks.state_dict import load_weights, save_weights
from ghost_edge.host.recipe.network import ImageCount, ModelCard, read_model_card, write_model_card
from ghost_edge.host.recipe.schema import NetworkTable, Recipe, Training, load_recipe, require

_DATA_KEYS = {field.name for field in dataclasses.fields(DataTable)}
SETTINGS = tuple(field.name for field in dataclasses.fields(Training) if field.name not in _DATA_KEYS)


def train(
    recipe: str | Path | Recipe,
    weights: str | Path | None = None,
    *,
    epochs: int | None = None,
    data: str | Path | None = None,
    progress: Progress = Reporter(),  # noqa: B008  # it holds nothing
) -> ModelCard:
    """Train the network of a recipe, write weights and model card, and return the model card.

    weights: the .safetensors to write, default weights/<name>.safetensors beside the recipe. epochs: in place of the
    recipe's. data: a folder in which the recipe's data paths are looked up too. A training that was stopped resumes;
    one that is finished, with the same recipe and images, is not repeated. Raises as fit() does.
    """
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe))
    options: Training = require(loaded.training, "training", "train")
    loaded = dataclasses.replace(loaded, training=dataclasses.replace(options, epochs=epochs or options.epochs))
    places = places_for(loaded.path.parent, Path(data) if data else None)
    path = Path(weights) if weights else loaded.path.parent / "weights" / f"{loaded.name}.safetensors"
    model_card = read_model_card(path)
    if model_card and model_card.made_of == _made_of(loaded, places):
        progress.finished("train", None)
        return model_card
    with timed(progress, "train") as say:
        return fit(loaded, places, path, say=say)


def fit(recipe: Recipe, places: Places, weights: Path, *, say: Say) -> ModelCard:
    """Train the recipe's network; write the weights (.safetensors) and the model card beside them.

    say: called with the share that is done (0..1) and a few words. A run that was stopped resumes after its last whole
    epoch, which <weights>.checkpoint keeps. AdamW: arXiv 1711.05101. Raises RecipeError for missing tables and a loss
    that is not finite, DataError for labels that the network has no class for.
    """
    options: Training = require(recipe.training, "training", "train")
    network: NetworkTable = require(recipe.network, "network", "train")
    made_of, train_set = _made_of(recipe, places), open_dataset(options, places)
    evaluation = open_dataset(require(recipe.evaluation, "evaluation", "train"), places)
    model = _build(network, places, seed=recipe.seed, start=options.start)
    classes = model.output_shape[-1]
    for dataset in (train_set, evaluation):
        check_truth(dataset.labels, [np.empty((1, classes), np.float32)], dataset.name)
    batches = Batches(stack(train_set, recipe.preprocess), train_set.labels, recipe, classes=classes)
    images = normalise(stack(evaluation, recipe.preprocess), recipe.preprocess)
    checkpoint = weights.with_suffix(".checkpoint")
    _claim(checkpoint, weights, {"network": network, "training": options, "seed": recipe.seed})
    report = Report(batches, options.epochs, (images, evaluation.labels), say)
    seconds = _fit(model, batches, options, checkpoint, report)
    save_weights(model, weights)
    model_card = ModelCard(
        name=recipe.name,
        network={"kind": network.kind, **dataclasses.asdict(network.options)},
        preprocess=recipe.preprocess,
        trained_on=ImageCount(train_set.name, len(train_set)),
        evaluated_on=ImageCount(evaluation.name, len(evaluation)),
        class_names=train_set.class_names,
        training={**{name: getattr(options, name) for name in SETTINGS}, "seed": recipe.seed},
        seconds=seconds,
        top1=report.measure_top1(model),
        weights_sha256=sha256_file(weights),
        made_of=made_of,
    )
    write_model_card(model_card, weights)
    shutil.rmtree(checkpoint)  # now that nothing can be lost any more
    return model_card


def _fit(model: keras.Model, batches: Batches, options: Training, checkpoint: Path, report: Report) -> int:
    """Fit the network, with a checkpoint after each epoch, and return the seconds that it took."""
    _compile(model, options, steps=len(batches))
    started_ns = time.perf_counter_ns()
    model.fit(
        batches,
        epochs=options.epochs,
        verbose=0,
        shuffle=False,  # the batches are shuffled by epoch and seed; a second shuffle would differ after a resume
        callbacks=[report, keras.callbacks.BackupAndRestore(checkpoint, delete_checkpoint=False)],
    )
    return round((time.perf_counter_ns() - started_ns) / 1e9)


def _made_of(recipe: Recipe, places: Places) -> str:
    """Return the SHA-256 of everything that decides the weights."""
    options: Training = require(recipe.training, "training", "train")
    settings = {
        "network": recipe.network,
        "training": options,
        "seed": recipe.seed,
        "preprocess": recipe.preprocess,
        "images": fingerprint(options, places),
        "start": sha256_file(places.find(options.start)) if options.start else "",
    }
    return hashlib.sha256(json.dumps(settings, default=dataclasses.asdict, sort_keys=True).encode()).hexdigest()


def _claim(checkpoint: Path, weights: Path, settings: Mapping[str, Any]) -> None:
    """Note the settings in the checkpoint folder; RecipeError where it holds a stopped run with other settings."""
    if weights.is_dir():
        raise RecipeError(f"{weights} is a folder; --out names the weights file")
    note, text = checkpoint / "settings.json", json.dumps(settings, default=dataclasses.asdict, sort_keys=True)
    if note.exists() and note.read_text(encoding="utf-8") != text:
        raise RecipeError(
            f"{checkpoint} holds a stopped run with other settings; remove that folder to start anew, or choose "
            "another --out"
        )
    write_bytes(text.encode(), note)


def _build(network: NetworkTable, places: Places, *, seed: int, start: str) -> keras.Model:
    """Build the network with an open batch, from seeded random weights or from the file to start from."""
    keras.utils.set_random_seed(seed)
    one = NETWORKS[network.kind].build(network.options, places)
    model = keras.models.clone_model(one, input_tensors=keras.Input(one.input_shape[1:], name="image"))
    model.set_weights(one.get_weights())
    if start:
        load_weights(model, places.find(start), without="classifier.")
    return model


class Batches(keras.utils.PyDataset):
    """Shuffled, augmented, normalised batches; the images of epoch e are equal in every run with this seed."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], recipe: Recipe, *, classes: int) -> None:
        super().__init__()
        self._options: Training = require(recipe.training, "training", "train")
        self._labels, self._preprocess, self.seed = labels, recipe.preprocess, recipe.seed
        margin = self._options.crop_padding
        self._padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge")
        self._targets = np.eye(classes, dtype=np.float32)
        self.epoch = 0

    def __len__(self) -> int:
        return max(1, len(self._labels) // self._options.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        batch = self._options.batch_size
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self._labels))
        chosen = order[index * batch : (index + 1) * batch]
        rng = np.random.default_rng((self.seed, self.epoch, index))
        images = normalise(self._augment(self._padded[chosen], rng), self._preprocess)
        return _mix(images, self._targets[self._labels[chosen]], self._options.mixup, rng)

    def _augment(self, padded: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        size = self._preprocess.height, self._preprocess.width
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(1, 2))
        top, left = rng.integers(0, 2 * self._options.crop_padding + 1, (2, len(padded)))
        images = np.moveaxis(windows[np.arange(len(padded)), top, left], 1, -1)
        if self._options.flip:
            mirrored = rng.random(len(images)) < 0.5
            images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
        return np.asarray(images)


class Report(keras.callbacks.Callback):
    """Progress of training (loss, accuracy, time left); puts batches and dropout on the epoch that is resumed."""

    def __init__(self, batches: Batches, epochs: int, evaluation: tuple[Any, Any], say: Say) -> None:
        super().__init__()
        self._batches, self._epochs, self._evaluation, self._say = batches, epochs, evaluation, say
        self._seconds: list[float] = []
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Seed the batches and the dropout of this epoch: a checkpoint holds no state of random generators."""
        self._batches.epoch, self._started = epoch, time.perf_counter()
        dropouts = [layer for layer in self.model.layers if isinstance(layer, keras.layers.Dropout) and layer.rate > 0]
        for number, layer in enumerate(dropouts):
            layer.seed_generator.state.assign([(self._batches.seed + number) % 2**32, epoch])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Report how far the epoch is, at every tenth batch."""
        if batch % 10 == 0:
            self._tell("training", self._batches.epoch + (batch + 1) / len(self._batches), logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report top-1 on the evaluation images; it is shown, nothing is chosen by it."""
        if not math.isfinite(logs["loss"]):
            raise RecipeError(f"the loss is {logs['loss']} after epoch {epoch + 1}; lower [training] learning_rate")
        top1 = self.measure_top1(self.model)
        self._seconds.append(time.perf_counter() - self._started)
        self._tell(f"evaluation top-1 {top1:.2%}", epoch + 1, logs)

    def measure_top1(self, model: keras.Model) -> float:
        """Return top-1 on the evaluation images, a fraction."""
        images, labels = self._evaluation
        logits = model.predict(images, batch_size=256, verbose=0)
        return float((logits.argmax(axis=1) == labels).mean())

    def _tell(self, what: str, done: float, logs: Any) -> None:
        # without the first epoch: its first step is compiled, which can take longer than all other epochs
        left = f"  {(self._epochs - done) * np.median(self._seconds) / 60:.0f} min left" if self._seconds else ""
        found = f"loss {logs['loss']:.3f}  top-1 {logs['accuracy']:.1%}"
        self._say(done / self._epochs, f"epoch {math.ceil(done)}/{self._epochs}  {found}  {what}{left}")


def stack(dataset: Dataset, preprocess: Preprocess) -> NDArray[np.uint8]:
    """Fit all images to the model's input: uint8 [N, height, width, C]."""
    return np.stack([fit_image(image, preprocess) for image in dataset.images])


def _compile(model: keras.Model, options: Training, *, steps: int) -> None:
    warmup = options.warmup_epochs * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, options.epochs * steps - warmup),
        warmup_target=options.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=options.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=options.label_smoothing)
    model.compile(optimizer, loss=loss, metrics=["accuracy"])


def _mix(
    images: NDArray[np.float32], targets: NDArray[np.float32], alpha: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blend each image and its target [N, classes] with another one of the batch (mixup, arXiv 1710.09412)."""
    if alpha == 0:
        return images, targets
    share, other = np.float32(rng.beta(alpha, alpha)), rng.permutation(len(images))
    return share * images + (1 - share) * images[other], share * targets + (1 - share) * targets[other]
