"""Lists of images, and what a stage's key hears of outside data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.core.dataset import Dataset, image_digest
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import save_npz, sha256_file
from ghost_edge.host.datasets import DataTable, arrays, fingerprint, open_dataset, read_list
from ghost_edge.host.datasets.places import Places

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
LABELS = np.arange(6) % 3


def write_list(path: Path, *digests: str) -> Path:
    path.write_text("\n".join(["# a comment", *digests, ""]))
    return path


def open_listed(folder: Path, path: Path) -> Dataset:
    save_npz({"images": IMAGES, "labels": LABELS}, folder / "six.npz")
    return open_dataset(DataTable("arrays", arrays.Arrays(path="six.npz"), list=path.name), Places((folder,)))


def test_a_list_chooses_images_in_its_order(tmp_path: Path) -> None:
    path = write_list(tmp_path / "l.txt", *(image_digest(IMAGES[index]) for index in (4, 1)))
    chosen = open_listed(tmp_path, path)
    assert_array_equal(np.stack(list(chosen.images)), IMAGES[[4, 1]])
    assert list(chosen.labels) == [1, 1]


def test_a_list_of_another_data_set_is_refused(tmp_path: Path) -> None:
    path = write_list(tmp_path / "l.txt", image_digest(IMAGES[0]), "0" * 16)
    with pytest.raises(DataError, match=r"l\.txt lists 1 images that six\.npz does not hold, first 0000000000000000"):
        open_listed(tmp_path, path)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"l\.txt is not a readable list"):
        read_list(tmp_path / "l.txt")


def test_comments_and_empty_lines_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("# x\n\n ab \n#y\ncd\n")
    assert read_list(tmp_path / "l.txt") == ["ab", "cd"]


def print_of(folder: Path, **options: Any) -> dict[str, Any]:
    table = DataTable("arrays", arrays.Arrays(path="a.npz"), **options)
    return fingerprint(table, Places((folder,)))


def test_data_counts_by_content_and_not_by_place(tmp_path: Path) -> None:
    for name in ("here", "there"):
        save_npz({"images": IMAGES, "labels": LABELS}, tmp_path / name / "a.npz")
    assert print_of(tmp_path / "here") == print_of(tmp_path / "there")


def test_other_images_under_the_same_name_are_other_data(tmp_path: Path) -> None:
    for name, images in (("here", IMAGES), ("there", IMAGES[::-1])):
        save_npz({"images": images, "labels": LABELS}, tmp_path / name / "a.npz")
    assert print_of(tmp_path / "here") != print_of(tmp_path / "there")


def test_another_list_is_other_data(tmp_path: Path) -> None:
    save_npz({"images": IMAGES, "labels": LABELS}, tmp_path / "a.npz")
    write_list(tmp_path / "l.txt", image_digest(IMAGES[0]))
    before = print_of(tmp_path, list="l.txt", list_sha256=sha256_file(tmp_path / "l.txt"))
    write_list(tmp_path / "l.txt", image_digest(IMAGES[1]), image_digest(IMAGES[0]))
    assert print_of(tmp_path, list="l.txt") != before
