"""SHA-256 of files and of images."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.dataset import image_digest
from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.files import check_sha256, sha256_file

# FIPS 180-2, appendix B.1: the message "abc"
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
# the digest of no bytes at all, as `sha256sum /dev/null` prints it
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def abc(tmp_path: Path) -> Path:
    path = tmp_path / "abc.bin"
    path.write_bytes(b"abc")
    return path


def test_the_digest_is_that_of_the_standard(abc: Path) -> None:
    assert sha256_file(abc) == ABC


def test_a_file_without_bytes_has_the_digest_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_file(tmp_path / "empty") == EMPTY


def test_a_file_longer_than_a_block_is_read_to_its_end(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4097  # one block of 2**20 bytes and 256 more
    (tmp_path / "long").write_bytes(content)
    assert sha256_file(tmp_path / "long") == hashlib.sha256(content).hexdigest()


def test_a_changed_file_is_read_again(abc: Path) -> None:
    assert sha256_file(abc) == ABC
    abc.write_bytes(b"abd")
    os.utime(abc, ns=(1, 1))  # the time stamp a later write has, without the wait
    assert sha256_file(abc) == hashlib.sha256(b"abd").hexdigest()


def test_the_promised_file_passes(abc: Path) -> None:
    check_sha256(abc, ABC)


def test_one_flipped_bit_is_refused(abc: Path) -> None:
    abc.write_bytes(b"abb")
    with pytest.raises(
        ArtifactError, match=r"abc\.bin has SHA-256 715edf8ba872\.\.\., expected ba7816bf8f01\.\.\.; it was"
    ):
        check_sha256(abc, ABC)


def test_the_caller_chooses_the_class_of_the_error(abc: Path) -> None:
    with pytest.raises(DataError, match="expected 000000000000"):
        check_sha256(abc, "0" * 64, error=DataError)


def test_an_empty_expectation_promises_nothing(tmp_path: Path) -> None:
    check_sha256(tmp_path / "is not even there", "")


def test_a_missing_file_breaks_the_promise(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"gone\.bin cannot be read \(No such file or directory\)"):
        check_sha256(tmp_path / "gone.bin", ABC)


def test_a_folder_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\), and a SHA-256 is promised; give a file"):
        check_sha256(tmp_path, ABC, error=DataError)


def test_an_image_has_one_identity() -> None:
    # sha256 over the text "(2, 2, 1)" and four zero bytes: pinned, since lists in calibration/ hold such digests
    assert image_digest(np.zeros((2, 2, 1), np.uint8)) == "e74109626b659a44"


def test_the_shape_belongs_to_the_identity_of_a_image() -> None:
    assert image_digest(np.zeros((4, 1, 1), np.uint8)) == "22f160778cd56d4f"


def test_the_order_in_memory_does_not_belong_to_it() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert image_digest(np.asfortranarray(image)) == image_digest(image)


def test_swapped_channels_are_another_image() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert image_digest(image[..., ::-1]) != image_digest(image)
