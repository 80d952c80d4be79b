"""Where images come from, and what is said when they are not what was promised."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import read_npz, save_npz
from ghost_edge.host.datasets import DataTable, arrays, open_dataset, packed, synthetic
from ghost_edge.host.datasets.places import VARIABLE, Places, places_for

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
LABELS = np.arange(6) % 3


def png(image: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def pack(path: Path, **changes: Any) -> None:
    """A packed set of the six images, or one with other arrays in it (None: without it)."""
    files = [png(image) for image in IMAGES]
    values: dict[str, Any] = {
        "test_bytes": np.frombuffer(b"".join(files), np.uint8),
        "test_offsets": np.cumsum([0, *map(len, files)]),
        "y_test": LABELS,
        "class_names": np.array(["cat", "dog", "owl"]),
        **changes,
    }
    save_npz({key: value for key, value in values.items() if value is not None}, path)


def open_packed(folder: Path, **options: Any) -> Dataset:
    return packed.load(packed.Packed(path="p.npz", **{"split": "test", **options}), Places((folder,)))


def open_arrays(folder: Path, **options: Any) -> Dataset:
    return arrays.load(arrays.Arrays(path="a.npz", **options), Places((folder,)))


def test_the_recipes_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recipe", "data", "variable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.npz").write_text(name)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "variable"))
    places = places_for(tmp_path / "recipe", tmp_path / "data")
    found = []
    for name in ("recipe", "data", "variable"):
        found.append(places.find("a.npz").read_text())
        (tmp_path / name / "a.npz").unlink()
    assert found == ["recipe", "data", "variable"]


def test_missing_data_says_where_it_was_looked_for_and_how_to_name_the_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.npz was not found in .*; name the folder .* --data or GHOST_EDGE_DATA"):
        Places((tmp_path,)).find("a.npz")


def test_data_with_another_sum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("x")
    with pytest.raises(DataError, match=r"a\.npz has SHA-256 2d711642b726\.\.\., expected 000000000000\.\.\."):
        Places((tmp_path,)).find("a.npz", sha256="0" * 64)


@pytest.mark.parametrize("name", ["nowhere", "a_file"])
def test_a_data_folder_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a_file").touch()
    with pytest.raises(DataError, match=rf"--data names .*{name}, which is not a folder"):
        places_for(tmp_path, tmp_path / name)


def test_a_variable_that_names_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"GHOST_EDGE_DATA names .*nowhere, which is not a folder"):
        places_for(tmp_path)


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert places_for(tmp_path).folders == (tmp_path,)


def test_packed_images_are_decoded_in_order(tmp_path: Path) -> None:
    pack(tmp_path / "p.npz")
    dataset = open_packed(tmp_path)
    assert_array_equal(np.stack(list(dataset.images)), IMAGES)
    assert (list(dataset.labels), dataset.class_names) == (list(LABELS), ("cat", "dog", "owl"))


def test_a_split_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    pack(tmp_path / "p.npz")
    with pytest.raises(DataError, match=r"p\.npz has no array 'train_bytes'; it has class_names, test_bytes, test_off"):
        open_packed(tmp_path, split="train")


@pytest.mark.parametrize(
    "changes",
    [
        {"y_test": LABELS[:5]},
        {"test_offsets": np.array([0, 10, 5, 30, 40, 50, 60])},
        {"test_bytes": np.zeros(10, np.uint8)},
    ],
)
def test_a_packed_set_whose_offsets_do_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    pack(tmp_path / "p.npz", **changes)
    with pytest.raises(DataError, match=r"split 'test' has \d labels but offsets that do not fit"):
        open_packed(tmp_path)


def test_a_damaged_image_in_a_packed_set_is_numbered(tmp_path: Path) -> None:
    files = [png(image) for image in IMAGES]
    content = np.frombuffer(b"".join([*files[:3], b"\0" * len(files[3]), *files[4:]]), np.uint8)
    pack(tmp_path / "p.npz", test_bytes=content)
    with pytest.raises(DataError, match=r"p\.npz image 3 is not a readable JPEG, PNG, BMP, WEBP image"):
        list(open_packed(tmp_path).images)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_truncated_npz_is_refused(tmp_path: Path, share: float) -> None:
    pack(tmp_path / "p.npz")
    content = (tmp_path / "p.npz").read_bytes()
    (tmp_path / "p.npz").write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"p\.npz is not a readable \.npz file"):
        open_packed(tmp_path)


def test_a_flipped_bit_in_an_npz_is_refused(tmp_path: Path) -> None:
    save_npz({"images": IMAGES, "labels": LABELS}, tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[600] ^= 1  # inside the pixels: the archive's own CRC notices
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz is not a readable \.npz file \(Bad CRC-32"):
        open_arrays(tmp_path)


def test_an_npz_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.array([{}], dtype=object), labels=LABELS)
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        open_arrays(tmp_path)


def test_an_npz_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_npz({"images": IMAGES}, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_an_npz_gives_the_arrays_it_was_given(tmp_path: Path) -> None:
    save_npz({"images": IMAGES, "labels": LABELS}, tmp_path / "a.npz")
    assert_array_equal(read_npz(tmp_path / "a.npz")["images"], IMAGES)


def test_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    save_npz({"x": IMAGES, "y": LABELS.astype(np.uint8)}, tmp_path / "a.npz")
    dataset = open_arrays(tmp_path, images="x", labels="y")
    assert_array_equal(np.stack(list(dataset.images)), IMAGES)
    assert dataset.labels.dtype == np.int64


def test_grey_arrays_get_a_channel_axis(tmp_path: Path) -> None:
    save_npz({"images": IMAGES[..., 0], "labels": LABELS}, tmp_path / "a.npz")
    assert open_arrays(tmp_path).images[0].shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES / np.float32(255) * np.nan, LABELS, "the images hold NaN or infinity; store the camera's bytes"),
        (IMAGES.astype(np.float32), LABELS, r"an image is float32 \[8, 8, 3\]; .* store the bytes of the image"),
        (IMAGES.transpose(0, 3, 1, 2), LABELS, r"this looks like NCHW, did you mean transpose\(1, 2, 0\)"),
        (IMAGES.reshape(6, -1), LABELS, r"images \[6, 192\] and labels \[6\]; expected \[N, H, W, C\] and \[N\]"),
        (IMAGES, LABELS[:5], r"images \[6, 8, 8, 3\] and labels \[5\]"),
        (IMAGES, LABELS.astype(float), r"labels are float64 \[6\]; expected whole numbers \[N\]"),
        (IMAGES, np.eye(6, dtype=np.int64), r"labels \[6, 6\]; expected \[N, H, W, C\] and \[N\]"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path: Path, images: Any, labels: Any, message: str) -> None:
    save_npz({"images": images, "labels": labels}, tmp_path / "a.npz")
    with pytest.raises(DataError, match=message):
        open_arrays(tmp_path)


def test_a_set_without_images_is_refused(tmp_path: Path) -> None:
    save_npz({"images": IMAGES[:0], "labels": LABELS[:0]}, tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.npz holds no images; check path, split and list"):
        open_dataset(DataTable("arrays", arrays.Arrays(path="a.npz")), Places((tmp_path,)))


def test_synthetic_images_are_those_of_their_seed() -> None:
    first, again, other = (
        np.stack(list(synthetic.load(synthetic.Synthetic(count=2, size=20, seed=seed), Places(())).images))
        for seed in (0, 0, 1)
    )
    assert_array_equal(first, again)
    assert first.shape == (2, 20, 20, 3)
    assert (first != other).any()
