"""Folders of image files: how they are listed, decoded, and told from other folders."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.errors import DataError
from ghost_edge.host.datasets import DataTable, fingerprint, folder
from ghost_edge.host.datasets.folder import decode_image
from ghost_edge.host.datasets.places import Places

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)


def png(image: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def open_folder(path: Path, **options: Any) -> Dataset:
    return folder.load(folder.Folder(path=path.name, **options), Places((path.parent,)))


def test_class_folders_are_labels_in_alphabetical_order(tmp_path: Path) -> None:
    for name, image in zip(("b/2.png", "b/1.PNG", "a/9.png", "a/notes.txt"), IMAGES):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(png(image))
    dataset = open_folder(tmp_path / "set")
    assert (list(dataset.labels), dataset.class_names) == ([0, 1, 1], ("a", "b"))
    assert_array_equal(np.stack(list(dataset.images)), IMAGES[[2, 1, 0]])


def listed(path: Path, text: str) -> Path:
    (path / "images").mkdir(parents=True)
    for number, image in enumerate(IMAGES):
        (path / "images" / f"{number}.png").write_bytes(png(image))
    (path / "labels.csv").write_text(text)
    return path


def test_a_labels_csv_gives_order_and_labels(tmp_path: Path) -> None:
    csv = "file,class_index,name\n3.png,1,dog\n0.png,0,cat\n"
    dataset = open_folder(listed(tmp_path / "set", csv))
    assert (list(dataset.labels), dataset.class_names) == ([1, 0], ("cat", "dog"))
    assert_array_equal(np.stack(list(dataset.images)), IMAGES[[3, 0]])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("file,class_index\n0.png,0\n1.png,dog\n", 3),
        ("file,class_index\n0.png\n", 2),
        ("file,label\n0.png,0\n", 2),
        ("name,class_index\n0.png,0\n", 2),
    ],
)
def test_a_bad_line_in_labels_csv_is_numbered(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"labels\.csv line {line} needs the columns file and class_index"):
        open_folder(listed(tmp_path / "set", text))


def test_a_negative_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv line 2 has the class_index -1; it starts at 0"):
        open_folder(listed(tmp_path / "set", "file,class_index\n0.png,-1\n"))


def test_a_listed_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    dataset = open_folder(listed(tmp_path / "set", "file,class_index\n7.png,0\n"))
    with pytest.raises(DataError, match=r"7\.png cannot be read \(No such file or directory\)"):
        list(dataset.images)


def test_a_labels_csv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (listed(tmp_path / "set", "") / "labels.csv").write_bytes(b"file,class_index\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"labels\.csv is not a readable UTF-8 CSV file"):
        open_folder(tmp_path / "set")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"set holds no images \(\.jpg, .*\) in class sub-folders, and no labels\.csv"):
        open_folder(tmp_path / "set")


def test_a_file_where_a_folder_of_images_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("x")
    with pytest.raises(DataError, match='set is a file; kind = "folder" needs a folder'):
        open_folder(tmp_path / "set")


@pytest.mark.parametrize("content", [b"", b"not an image", png(IMAGES[0])[:60]], ids=["empty", "text", "truncated"])
def test_bytes_that_are_no_image_are_named(content: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.png is not a readable JPEG, PNG, BMP, WEBP image"):
        decode_image(content, "x.png")


@pytest.mark.parametrize(
    ("mode", "channels"), [("RGB", 3), ("RGBA", 3), ("P", 3), ("CMYK", 3), ("L", 1), ("LA", 1), ("1", 1)]
)
def test_images_of_any_mode_become_colour_or_grey(mode: str, channels: int) -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(IMAGES[0]).convert(mode).save(file, "JPEG" if mode == "CMYK" else "PNG")
    decoded = decode_image(file.getvalue(), "x")
    assert (decoded.shape, decoded.dtype) == ((8, 8, channels), np.uint8)


def test_an_image_of_16_bits_is_refused_and_not_clipped() -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(file, "PNG")
    with pytest.raises(DataError, match=r"x has more than 8 bits a pixel \(mode I;16\)"):
        decode_image(file.getvalue(), "x")


def test_a_format_that_runs_other_programs_is_refused() -> None:
    with pytest.raises(DataError, match="x is not a readable JPEG"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "x")


def test_decoding_keeps_the_order_of_the_channels() -> None:
    assert_array_equal(decode_image(png(IMAGES[0]), "x"), IMAGES[0])


def test_a_changed_folder_is_other_data(tmp_path: Path) -> None:
    path = listed(tmp_path / "set", "file,class_index\n0.png,0\n")
    table = DataTable("folder", folder.Folder(path="set"))
    before = fingerprint(table, Places((tmp_path,)))
    (path / "images" / "new.png").write_bytes(png(IMAGES[0]))
    assert fingerprint(table, Places((tmp_path,))) != before


def test_a_folder_counts_by_what_is_in_it_and_not_by_its_place(tmp_path: Path) -> None:
    listed(tmp_path / "here" / "set", "file,class_index\n0.png,0\n")
    shutil.copytree(tmp_path / "here", tmp_path / "there")  # keeps time stamps
    table = DataTable("folder", folder.Folder(path="set"))
    here, there = (fingerprint(table, Places((tmp_path / name,))) for name in ("here", "there"))
    assert here == there


def test_a_new_class_folder_without_images_is_other_data(tmp_path: Path) -> None:
    (tmp_path / "set" / "b").mkdir(parents=True)
    (tmp_path / "set" / "b" / "0.png").write_bytes(png(IMAGES[0]))
    table = DataTable("folder", folder.Folder(path="set"))
    before = fingerprint(table, Places((tmp_path,)))
    (tmp_path / "set" / "a").mkdir()  # moves the label of b from 0 to 1
    assert fingerprint(table, Places((tmp_path,))) != before
