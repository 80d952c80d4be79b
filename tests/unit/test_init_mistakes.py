"""Mistakes with ghost-edge init: one line that says what to do, and nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from digits import write_digits

from ghost_edge.core.errors import DataError, GhostEdgeError, RecipeError
from ghost_edge.core.npz import save_npz
from ghost_edge.host.init import make_recipe


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the folder "digits" in it."""
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path / "digits")
    return tmp_path


def test_a_recipe_is_not_written_over(work: Path) -> None:
    make_recipe(Path("digits"))
    with pytest.raises(RecipeError, match=r"digits\.toml is there already; --force writes over it"):
        make_recipe(Path("digits"))


def test_a_list_is_not_written_over(work: Path) -> None:
    (work / "digits_training.txt").write_text("mine")
    with pytest.raises(RecipeError, match=r"digits_training\.txt is there already"):
        make_recipe(Path("digits"))


def empty(path: Path) -> None:
    path.mkdir()


def one_class(path: Path) -> None:
    shutil.copytree("digits/digit0", path / "digit0")


def too_few(path: Path) -> None:
    shutil.copytree("digits", path)
    for picture in sorted((path / "digit7").iterdir())[2:]:
        picture.unlink()


def no_class_folders(path: Path) -> None:
    shutil.copytree("digits/digit0", path)


def unreadable(path: Path) -> None:
    shutil.copytree("digits", path)
    (path / "digit0" / "broken.png").write_bytes(b"\x89PNG")


def other_npz(path: Path) -> None:
    save_npz({"weights": np.zeros(3)}, path)


def no_npz(path: Path) -> None:
    path.write_bytes(b"PK")


MISTAKES = {
    "nothing there": (lambda path: None, "gone", RecipeError, "gone does not exist; give a folder"),
    "one picture": (lambda path: path.write_bytes(b"x"), "a.jpg", RecipeError, "a.jpg is one picture; give a folder"),
    "a .tflite": (
        lambda path: path.write_bytes(b"x"),
        "a.tflite",
        RecipeError,
        "converted already; `ghost-edge parity`",
    ),
    "a text": (lambda path: path.write_bytes(b"x"), "a.txt", RecipeError, "a.txt is nothing that init knows"),
    "an empty folder": (empty, "a", DataError, "put the pictures of each class into a folder of its own"),
    "no class folders": (no_class_folders, "a", DataError, "put the pictures of each class into a folder of its own"),
    "one class": (one_class, "a", DataError, "a has one class, 'digit0'; a network tells two or more apart"),
    "too few": (too_few, "a", DataError, "class 'digit7' of a has 2 different pictures; 3 or more are needed"),
    "an unreadable picture": (unreadable, "a", DataError, "broken.png is not a readable"),
    "another .npz": (other_npz, "a.npz", DataError, "a.npz holds weights; expected images and labels"),
    "no .npz": (no_npz, "a.npz", DataError, "a.npz is not a readable .npz file"),
}


@pytest.mark.parametrize(("make", "name", "error", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_source_that_will_not_do_is_one_line(
    work: Path, make: object, name: str, error: type[GhostEdgeError], said: str
) -> None:
    make(work / name)  # type: ignore[operator]
    with pytest.raises(error, match=said):
        make_recipe(Path(name))
    assert not list(work.glob("*.toml"))
    assert not list(work.glob("*_training.txt"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"out": Path("gone/a.toml")}, "there is no folder gone; make it first"),
        ({"out": Path("a.json")}, r"name a file that ends in \.toml"),
        ({"name": "a/b"}, "name 'a/b' becomes file names"),
        ({"out": Path("digits/a.toml")}, "would lie among the folders of the classes"),
        ({"pictures": Path("digits")}, "--pictures goes with a trained model"),
    ],
)
def test_a_place_or_a_name_that_will_not_do_is_one_line(work: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_recipe(Path("digits"), **options)  # type: ignore[arg-type]
