"""Mistakes with ghost-edge init: one line that says what to do, and nothing written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from digits import write_digits

from ghost_edge.core.errors import DataError, GhostEdgeError, RecipeError
from ghost_edge.core.files import save_npz
from ghost_edge.host.datasets import DataTable, fingerprint, folder, open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.init.write import make_recipe


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
    for image in sorted((path / "digit7").iterdir())[2:]:
        image.unlink()


def no_class_folders(path: Path) -> None:
    shutil.copytree("digits/digit0", path)


def unreadable(path: Path) -> None:
    shutil.copytree("digits", path)
    (path / "digit0" / "broken.png").write_bytes(b"\x89PNG")


def gif_alone(path: Path) -> None:
    shutil.copytree("digits", path)
    for image in (path / "digit7").iterdir():
        image.rename(image.with_suffix(".gif"))


def gifs_alone(path: Path) -> None:
    (path / "one").mkdir(parents=True)
    (path / "one" / "a.gif").write_bytes(b"GIF89a")


def one_colour(path: Path) -> None:
    for label in "ab":
        (path / label).mkdir(parents=True)
        for side in range(20, 25):
            size = (side, side + (label == "b"))  # of other sizes: copies would be left out
            PIL.Image.new("RGB", size, (77, 38, 25)).save(path / label / f"{side}.png")


def latin_1(name: str) -> str:
    """A name in bytes that are not UTF-8, as Python has it."""
    return os.fsdecode(name.encode("latin-1"))


def class_in_latin_1(path: Path) -> None:
    shutil.copytree("digits", path)
    (path / "digit3").rename(path / latin_1("café"))


def image_in_latin_1(path: Path) -> None:
    shutil.copytree("digits", path)
    next((path / "digit3").iterdir()).rename(path / "digit3" / latin_1("é.png"))


def source_in_latin_1(path: Path) -> None:
    shutil.copytree("digits", path)


def other_npz(path: Path) -> None:
    save_npz({"weights": np.zeros(3)}, path)


def no_npz(path: Path) -> None:
    path.write_bytes(b"PK")


MISTAKES = {
    "nothing there": (lambda path: None, "gone", RecipeError, "gone does not exist; give a folder"),
    "one image": (lambda path: path.write_bytes(b"x"), "a.jpg", RecipeError, "a.jpg is one image; give a folder"),
    "a .tflite": (
        lambda path: path.write_bytes(b"x"),
        "a.tflite",
        RecipeError,
        "converted already; `ghost-edge parity`",
    ),
    "a text": (lambda path: path.write_bytes(b"x"), "a.txt", RecipeError, "a.txt is of no kind that init reads"),
    "an empty folder": (empty, "a", DataError, "put the images of each class into a folder of its own"),
    "no class folders": (no_class_folders, "a", DataError, "put the images of each class into a folder of its own"),
    "one class": (one_class, "a", DataError, "a has one class, 'digit0'; a network tells two or more apart"),
    "too few": (too_few, "a", DataError, "class 'digit7' of a has 2 different images; 3 or more are needed"),
    "an unreadable image": (unreadable, "a", DataError, "broken.png is not a readable"),
    "a class without images": (
        gif_alone,
        "a",
        DataError,
        r"'digit7' of a has 0 .*; not read: \.gif \(10\), save",
    ),
    "no images": (gifs_alone, "a", DataError, r"a holds no images \(.*; not read: \.gif \(1\)"),
    "one colour": (one_colour, "a", DataError, "every pixel of a channel is the same in all images of a; take real"),
    "a class in Latin-1": (class_in_latin_1, "a", DataError, r"a/caf\\udce9' is not named in UTF-8, .*; rename it"),
    "an image in Latin-1": (image_in_latin_1, "a", DataError, r"a/digit3/\\udce9\.png' is not named in UTF-8"),
    "a source in Latin-1": (source_in_latin_1, latin_1("é"), RecipeError, r"/\\udce9' is not named in UTF-8"),
    "too long a name": (
        lambda path: None,
        "a" * 300,
        RecipeError,
        r"aaa cannot be read \(File name too long\); give a",
    ),
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
        ({"out": Path(latin_1("é.toml"))}, r"udce9\.toml' is not named in UTF-8"),
        ({"out": Path("a" * 300 + ".toml")}, r"cannot be written \(File name too long\); name another place"),
        ({"name": "a/b"}, "name 'a/b' becomes file names"),
        ({"name": "a" * 101}, "--name has 101 characters and becomes file names; give it 100 or fewer"),
        ({"out": Path("digits/a.toml")}, "would lie among the folders of the classes"),
        ({"out": Path("digits/digit1/a.toml")}, r"would lie among the folders of the classes, .*: -o a\.toml"),
        ({"images": Path("digits")}, "--images goes with a trained model"),
    ],
)
def test_a_place_or_a_name_that_will_not_do_is_one_line(work: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_recipe(Path("digits"), **options)  # type: ignore[arg-type]


def test_a_folder_may_have_a_longer_name_than_the_recipe(work: Path) -> None:
    (work / "digits").rename(work / ("a" * 200))
    assert make_recipe(Path("a" * 200)).files[-1].name == "a" * 100 + ".toml"


@pytest.mark.parametrize("inside", ["digits", "digits/digit3"])  # of the class folders, and of one of them
def test_a_folder_that_may_not_be_read_is_one_line(work: Path, monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    listed = Path.iterdir

    def iterdir(path: Path) -> object:  # root, who runs the tests, may read everything
        if path == work / inside:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(DataError, match=rf"{inside} cannot be read \(Permission denied\); check its name and its perm"):
        make_recipe(Path("digits"))


def test_a_name_that_is_too_long_in_a_recipe_is_one_line(work: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\)"):
        Places((work,)).find("a" * 300)


def test_convert_refuses_a_class_in_latin_1_as_init_does(work: Path) -> None:
    class_in_latin_1(work / "a")
    table, places = DataTable("folder", folder.Folder("a")), Places((work,))
    fingerprint(table, places)  # what convert asks for first
    with pytest.raises(DataError, match=r"a/caf\\udce9' is not named in UTF-8"):
        open_dataset(table, places)


def test_files_that_are_not_read_are_counted(work: Path) -> None:
    for name in ("digit3/a.gif", "digit4/b.GIF", "digit4/c.tiff"):
        (work / "digits" / name).write_bytes(b"x")
    assert "not read: .gif (2), .tiff (1)" in make_recipe(Path("digits")).found


def test_a_limit_that_lets_almost_anything_pass_is_warned_of(work: Path) -> None:
    (told,) = [line for line in make_recipe(Path("digits")).found if line.startswith("warning: ")]
    assert "20 evaluation images resolve no drop under 35 points" in told
