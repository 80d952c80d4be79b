"""ghost-edge init on real images: digits of calibration/mnist as PNG files in class folders."""

from __future__ import annotations

import csv
import itertools
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from digits import EACH, MNIST, write_digits

from ghost_edge.core.dataset import image_digest
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import save_npz, sha256_file
from ghost_edge.core.tasks.classification import compare
from ghost_edge.host.datasets import open_dataset, read_list
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.init.images import ONE_POINT, best_size, deal, visible_drop
from ghost_edge.host.init.models import recognise
from ghost_edge.host.init.write import make_recipe
from ghost_edge.host.recipe.schema import Recipe, load_recipe

PARTS = ("training", "calibration", "evaluation")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the folder "digits" in it."""
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path / "digits")
    return tmp_path


def opened(recipe: Recipe, part: str) -> list[tuple[str, int]]:
    """Digest and label of each image of a table, opened as train and convert do."""
    dataset = open_dataset(getattr(recipe, part), Places((recipe.path.parent,)))
    return [(image_digest(image), int(label)) for image, label in zip(dataset.images, dataset.labels)]


def made(source: str | Path, **options: object) -> Recipe:
    return load_recipe(make_recipe(Path(source), **options).files[-1])  # type: ignore[arg-type]


def test_a_folder_of_images_becomes_a_recipe_that_opens(work: Path) -> None:
    recipe = made("digits")
    assert [len(opened(recipe, part)) for part in PARTS] == [40, 40, 20]


def test_no_image_is_in_two_lists(work: Path) -> None:
    recipe = made("digits")
    for one, other in itertools.combinations(PARTS, 2):
        assert {*opened(recipe, one)} & {*opened(recipe, other)} == set()


def test_a_name_that_json_leaves_as_it_is_and_toml_forbids_is_escaped(work: Path) -> None:
    recipe = made((work / "digits").rename(work / "del\x7fete"), out=work / "a.toml")
    assert recipe.training is not None
    assert recipe.training.source.path == "del\x7fete"


def test_a_comment_stands_above_a_line_that_is_too_long(work: Path) -> None:
    lines = make_recipe(Path("digits")).files[-1].read_text().splitlines()
    assert lines[lines.index('weights = "weights/digits.safetensors"') - 1].startswith("# `ghost-edge train` writes")


def test_what_is_a_proposal_is_said(work: Path) -> None:
    assert "target and [training] flip are proposals; check both before you train" in make_recipe(Path("digits")).found


@pytest.mark.parametrize("part", PARTS)
def test_every_list_has_every_class(work: Path, part: str) -> None:
    assert {label for _, label in opened(made("digits"), part)} == set(range(10))


@pytest.mark.parametrize("part", PARTS)
def test_a_list_is_pinned_by_its_sum(work: Path, part: str) -> None:
    assert getattr(made("digits"), part).list_sha256 == sha256_file(work / f"digits_{part}.txt")


def test_the_same_images_give_the_same_bytes(work: Path) -> None:
    first = {path: path.read_bytes() for path in make_recipe(Path("digits")).files}
    assert {path: path.read_bytes() for path in make_recipe(Path("digits"), force=True).files} == first


def test_a_copy_is_listed_once(work: Path) -> None:
    image = next((work / "digits" / "digit3").iterdir())
    shutil.copy(image, image.with_name("again.png"))
    recipe = made("digits")
    listed = [digest for part in PARTS for digest, _ in opened(recipe, part)]
    assert listed.count(image_digest(np.asarray(PIL.Image.open(image))[..., np.newaxis])) == 1


def test_how_many_copies_are_left_out_is_said(work: Path) -> None:
    for number in (1, 2):
        image = next((work / "digits" / f"digit{number}").iterdir())
        shutil.copy(image, image.with_name("again.png"))
    assert "2 copies, and images in two classes, are in no list" in make_recipe(Path("digits")).found


def test_an_image_in_two_classes_is_in_no_list(work: Path) -> None:
    image = next((work / "digits" / "digit3").iterdir())
    shutil.copy(image, work / "digits" / "digit4")
    recipe = made("digits")
    listed = {digest for part in PARTS for digest, _ in opened(recipe, part)}
    assert len(listed) == 10 * EACH - 1


def test_size_and_channels_are_those_of_the_images(work: Path) -> None:
    recipe = made("digits")
    assert (recipe.preprocess.size, recipe.preprocess.channels) == (32, "GRAY")


def test_mean_and_deviation_are_those_of_the_training_images(work: Path) -> None:
    recipe = made("digits")
    assert recipe.training is not None
    pixels = np.stack(list(open_dataset(recipe.training, Places((work,))).images)) / 255
    assert recipe.preprocess.mean == pytest.approx([pixels.mean()], abs=5e-5)  # four digits
    assert recipe.preprocess.std == pytest.approx([pixels.std()], abs=5e-5)


def test_images_in_colour_have_three_means(work: Path) -> None:
    write_digits(work / "colour", colour=True)
    mean = made("colour").preprocess.mean
    assert mean[0] == mean[1] > 1.9 * mean[2] > 0  # blue was halved


def test_colour_files_without_colour_are_grey(work: Path) -> None:
    for path in (work / "digits").rglob("*.png"):
        PIL.Image.open(path).convert("RGB").save(path)
    assert made("digits").preprocess.channels == "GRAY"


def test_size_is_what_is_asked_for(work: Path) -> None:
    recipe = made("digits", size=64)
    assert recipe.network is not None
    assert recipe.network.options.input_size == recipe.preprocess.size == 64


def test_paths_are_relative_to_a_recipe_beside_the_images(work: Path) -> None:
    (work / "recipes").mkdir()
    recipe = made("digits", out=work / "recipes" / "mine.toml")
    assert recipe.training is not None
    assert recipe.training.source.path == "../digits"


def test_a_recipe_elsewhere_names_the_images_whole_path(work: Path) -> None:
    (work / "a" / "b").mkdir(parents=True)
    recipe = made("digits", out=work / "a" / "b" / "mine.toml")
    assert recipe.training is not None
    assert recipe.training.source.path == str(work / "digits")


def test_the_name_is_that_of_the_source(work: Path) -> None:
    (work / "digits").rename(work / "my digits, 2nd")
    assert made("my digits, 2nd").name == "my_digits_2nd"


def test_train_and_test_folders_are_not_mixed(work: Path) -> None:
    write_digits(work / "both" / "train")
    write_digits(work / "both" / "test", start=EACH, count=3)
    recipe = made("both")
    assert [len(opened(recipe, part)) for part in PARTS] == [50, 50, 30]


def test_which_of_three_sets_are_used_is_said(work: Path) -> None:
    for start, name in enumerate(("train", "test", "val")):
        write_digits(work / "both" / name, start=start * EACH)
    assert "used: train for training, test for evaluation; not used: val" in make_recipe(Path("both")).found


def test_a_test_image_among_those_to_train_with_judges_alone(work: Path) -> None:
    write_digits(work / "both" / "train")
    write_digits(work / "both" / "val", start=EACH - 1, count=3)
    recipe = made("both")
    assert len(opened(recipe, "training")) + len(opened(recipe, "calibration")) == 10 * (EACH - 1)


def test_train_and_test_of_other_classes_are_refused(work: Path) -> None:
    write_digits(work / "both" / "train")
    write_digits(work / "both" / "test", start=EACH, count=3)
    (work / "both" / "test" / "digit9").rename(work / "both" / "test" / "nine")
    with pytest.raises(DataError, match="train and test differ in their classes: digit9, nine"):
        make_recipe(Path("both"))


def test_a_class_may_be_called_train(work: Path) -> None:
    (work / "digits" / "digit9").rename(work / "digits" / "train")
    recipe = made("digits")
    assert {label for _, label in opened(recipe, "evaluation")} == set(range(10))


def test_a_labels_csv_is_read(work: Path) -> None:
    with (work / "digits" / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "class_index", "name"))
        for path in sorted((work / "digits").rglob("*.png")):
            writer.writerow((path.relative_to(work / "digits"), path.parent.name[-1], f"n{path.parent.name[-1]}"))
    recipe = made("digits")
    assert len(opened(recipe, "evaluation")) == 20


def write_npz(path: Path, kind: str) -> None:
    with np.load(MNIST) as arrays:
        images, labels = arrays["images"][::20], arrays["labels"][::20]
    if kind == "arrays":
        save_npz({"images": images, "labels": labels}, path)
    elif kind == "x_train":
        half = {"x_train": images[::2], "y_train": labels[::2], "x_test": images[1::2], "y_test": labels[1::2]}
        save_npz(half, path)
    else:
        packed = {}
        for split, part in (("train", slice(0, None, 2)), ("test", slice(1, None, 2))):
            files = []
            for image in images[part]:
                PIL.Image.fromarray(image.squeeze()).save(path.with_suffix(".png"))
                files.append(path.with_suffix(".png").read_bytes())
            packed[f"{split}_bytes"] = np.frombuffer(b"".join(files), np.uint8)
            packed[f"{split}_offsets"] = np.cumsum([0, *map(len, files)])
            packed[f"y_{split}"] = labels[part]
        save_npz({**packed, "class_names": np.array(list("0123456789"))}, path)


@pytest.mark.parametrize(("kind", "judges"), [("arrays", 50), ("x_train", 125), ("packed", 125)])
def test_an_npz_is_read(work: Path, kind: str, judges: int) -> None:
    write_npz(work / "some.npz", kind)
    assert len(opened(made("some.npz"), "evaluation")) == pytest.approx(judges, abs=5)  # a share of each class, rounded


def test_digits_are_not_mirrored(work: Path) -> None:
    write_npz(work / "some.npz", "packed")
    recipe = made("some.npz")
    assert recipe.training is not None
    assert not recipe.training.flip


def test_a_class_is_never_dealt_out_whole() -> None:
    chosen, rest = deal(np.zeros(3, np.int64), np.arange(3), 1.0, np.random.default_rng(0))
    assert (len(chosen), len(rest)) == (1, 2)


def test_single_images_of_many_classes_are_dealt_out_by_their_share() -> None:
    chosen, _ = deal(np.arange(1000), np.arange(1000), 0.1, np.random.default_rng(0), least=0)
    assert len(chosen) == pytest.approx(100, abs=30)  # three deviations of a binomial


@pytest.mark.parametrize(("side", "size"), [(28, 32), (63, 48), (64, 64), (256, 224)])
def test_the_input_is_no_larger_than_the_images(side: int, size: int) -> None:
    assert best_size(side) == size


def test_the_gate_can_see_its_limit() -> None:
    labels = np.zeros(200, int)
    changed = np.where(np.arange(200) == 0, 1, 0), np.where(np.arange(200) == 1, 1, 0)  # 1 %: one lost, one won
    assert compare(*changed, labels).margin <= visible_drop(200)


def test_the_gate_can_see_its_limit_against_a_baseline_too() -> None:
    # 0.5 ** 6 * 5 tests is over 0.05, 0.5 ** 7 * 5 is not: 7 of 200
    assert visible_drop(200) == 0.035


def test_so_many_images_see_one_point_and_one_fewer_do_not() -> None:
    assert visible_drop(ONE_POINT) == 0.01 < visible_drop(ONE_POINT - 1)


def test_many_images_see_half_a_point() -> None:
    assert visible_drop(10_000) == 0.005


@pytest.mark.parametrize(("inputs", "width"), [(480, 0.5), (960, 1.0), (1248, 1.3)])
def test_a_checkpoints_width_is_seen_in_its_shapes(inputs: int, width: float) -> None:
    shapes = {
        "conv_stem.weight": (16, 3, 3, 3),
        "conv_head.weight": (1280, inputs, 1, 1),
        "classifier.weight": (7, 1280),
    }
    assert recognise(shapes) == ("ghostnet", {"input_channels": 3, "classes": 7, "width": width})


def test_a_checkpoint_with_attention_is_the_second_version() -> None:
    shapes = {"conv_stem.weight": (16, 3, 3, 3), "conv_head.weight": (1280, 960, 1, 1), "classifier.weight": (7, 1280)}
    assert recognise({**shapes, "blocks.2.0.ghost1.short_conv.0.weight": (72, 24, 1, 1)})[0] == "ghostnet_v2"


def test_a_list_says_what_it_is(work: Path) -> None:
    make_recipe(Path("digits"))
    assert (work / "digits_training.txt").read_text().startswith("# training images of digits: first 16 hex digits")
    assert len(read_list(work / "digits_training.txt")) == 40
