"""Files that are whole or absent."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.errors import ArtifactError, GhostEdgeError
from ghost_edge.core.files import read_document, seal, whole_file, write_bytes, write_json


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    value: float = 0.0


@dataclasses.dataclass(frozen=True)
class Document:
    rows: tuple[Row, ...]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_content_arrives_under_its_name_alone(tmp_path: Path) -> None:
    write_bytes(b"whole", tmp_path / "a.bin")
    assert (names(tmp_path), (tmp_path / "a.bin").read_bytes()) == (["a.bin"], b"whole")


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_bytes(b"x", tmp_path / "a" / "b" / "c.bin")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"x"


def test_nothing_is_seen_under_the_name_while_it_is_written(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.bin") as part:
        part.write_bytes(b"half")
        assert names(tmp_path) == ["a.bin.part"]


def test_a_failure_inside_keeps_its_class_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="division by zero"), whole_file(tmp_path / "a.bin") as part:
        part.write_bytes(b"half")
        1 / 0  # noqa: B018
    assert names(tmp_path) == []


def test_ctrl_c_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="now"), whole_file(tmp_path / "a.bin") as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt("now")
    assert names(tmp_path) == []


def test_a_failure_leaves_the_earlier_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"earlier")
    with pytest.raises(ZeroDivisionError, match="division by zero"), whole_file(target) as part:
        part.write_bytes(b"half")
        1 / 0  # noqa: B018
    assert (names(tmp_path), target.read_bytes()) == (["a.bin"], b"earlier")


def test_what_a_killed_run_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"a much longer half of an earlier run")
    write_bytes(b"new", tmp_path / "a.bin")
    assert (names(tmp_path), (tmp_path / "a.bin").read_bytes()) == (["a.bin"], b"new")


def test_a_full_disk_is_said_so_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(
            GhostEdgeError, match=r"a\.bin could not be written \(No space left on device\); free some space"
        ),
        whole_file(tmp_path / "a.bin") as part,
        Path("/dev/full").open("wb", buffering=0) as full,  # Linux's disk that is always full
    ):
        part.write_bytes(b"half")
        full.write(b"more")
    assert names(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(GhostEdgeError, match=r"out/a\.bin could not be written \(File exists\); .* another place"):
        write_bytes(b"x", tmp_path / "out" / "a.bin")
    assert (tmp_path / "out").read_text() == "a file"


def test_a_folder_under_the_name_is_said_so_and_kept(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(GhostEdgeError, match=r"a\.bin is a folder and cannot be written as a file"):
        write_bytes(b"x", tmp_path / "a.bin")
    assert names(tmp_path) == ["a.bin"]


def test_json_is_indented_utf8_with_a_newline_at_the_end(tmp_path: Path) -> None:
    write_json({"drop": 0.005, "unit": "±"}, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == '{\n  "drop": 0.005,\n  "unit": "±"\n}\n'.encode()


def test_json_keeps_the_order_of_the_keys(tmp_path: Path) -> None:
    write_json({"b": 1, "a": 2}, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text().index('"b"') < (tmp_path / "a.json").read_text().index('"a"')


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_json_does_not_have_is_our_bug_and_leaves_nothing(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"sqnr_db": value}, tmp_path / "a.json")
    assert names(tmp_path) == []


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "kept.txt")
    write_bytes(b"new", tmp_path / "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "kept.txt").read_text() == "new"


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(b"text", pipe)
    assert os.read(reader, 10) == b"text"
    assert pipe.is_fifo()
    os.close(reader)


def test_a_document_is_read_into_its_dataclass(tmp_path: Path) -> None:
    document = Document((Row("a", 1.0), Row("b")))
    write_json({"format": 1, **dataclasses.asdict(document)}, tmp_path / "a.json")
    assert read_document(tmp_path / "a.json", Document, format=1) == document


def test_a_list_of_rows_is_read_into_a_tuple(tmp_path: Path) -> None:
    write_json([{"name": "a"}, {"name": "b", "value": 2}], tmp_path / "a.json")
    assert read_document(tmp_path / "a.json", tuple[Row, ...]) == (Row("a"), Row("b", 2.0))


def test_a_table_of_rows_is_read_into_a_dict(tmp_path: Path) -> None:
    write_json({"x": {"name": "a"}}, tmp_path / "a.json")
    assert read_document(tmp_path / "a.json", dict[str, Row]) == {"x": Row("a")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not readable JSON"),
        (b"\xff\xfe", "is not readable JSON"),
        (b"[" * 100_000, "is not readable JSON"),
        (b'{"format": 1, "rows": ' + b"[" * 900 + b"]" * 900 + b"}", "is damaged: "),
        (b"[]", "has format 'list', this ghost-edge reads 1"),
        (b'{"rows": []}', "has format None, this ghost-edge reads 1"),
        (b'{"rows": [], "format": 2}', "has format 2, this ghost-edge reads 1"),
        (b'{"format": 1}', r"is damaged: a\.json needs the key 'rows'"),
        (b'{"format": 1, "rows": [], "more": 1}', r"is damaged: a\.json has no key 'more'"),
        (
            b'{"format": 1, "rows": [{"name": 3}]}',
            r"is damaged: a\.json rows\[0\] name must be a text in quotes",
        ),
    ],
)
def test_a_damaged_document_says_what_to_run(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"a\.json {message}.*; run ghost-edge bench again$"):
        read_document(tmp_path / "a.json", Document, format=1, written_by="ghost-edge bench")


def test_a_missing_document_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a\.json does not exist; ghost-edge bench writes it$"):
        read_document(tmp_path / "a.json", Document, written_by="ghost-edge bench")


@pytest.mark.parametrize("change", [{"rows": [{"name": "b"}]}, {"sha256": "0" * 64}, {"sha256": None}])
def test_a_sealed_document_that_was_edited_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    write_json({**seal({"format": 1, "rows": [{"name": "a"}]}), **change}, tmp_path / "a.json")
    with pytest.raises(ArtifactError, match="its content does not have the SHA-256 it names"):
        read_document(tmp_path / "a.json", Document, format=1, sealed=True)


def test_a_sealed_document_that_is_as_it_was_is_read(tmp_path: Path) -> None:
    write_json(seal({"format": 1, "rows": [{"name": "a"}]}), tmp_path / "a.json")
    assert read_document(tmp_path / "a.json", Document, format=1, sealed=True) == Document((Row("a"),))


def test_a_message_does_not_hold_a_whole_file(tmp_path: Path) -> None:
    write_json({"format": 1, "rows": "x" * 100_000}, tmp_path / "a.json")
    with pytest.raises(ArtifactError, match=r"rows must be a list, not 'xxx.*\.\.\.; run ghost-edge convert") as caught:
        read_document(tmp_path / "a.json", Document, format=1)
    assert len(str(caught.value)) < 500
