"""The writer of TOML: what it writes reads back as the same values."""

from __future__ import annotations

import tomllib

from ghost_edge.host.recipe.toml import COLUMN, as_toml, table

RECIPE = {
    "name": 'del\x7fete "quoted" ä',
    "network": {"kind": "ghostnet", "width": 0.5, "stages": [[3, 16, 16, 0.25, 1], [3, 48, 24, 0, 2]]},
    "export": [{"kind": "micro"}, {"kind": "onnx_int8"}],
    "classes": [],
}


def test_a_recipe_reads_back_as_it_was() -> None:
    assert tomllib.loads(as_toml(RECIPE)) == RECIPE


def test_an_empty_line_stands_before_each_table_and_nowhere_else() -> None:
    lines = as_toml(RECIPE).splitlines()
    assert [after for line, after in zip(lines, lines[1:]) if not line] == ["[network]", "[[export]]", "[[export]]"]


def test_comments_begin_in_one_column_and_stand_above_long_lines() -> None:
    keys = {"flip": False, "weights": "weights/somewhere.safetensors"}
    made = table("[training]", keys, about="first", notes={"flip": "second", "weights": "third"}).splitlines()
    assert [line.find("#") for line in made] == [COLUMN, COLUMN, 0, -1]
    assert made[3] == 'weights = "weights/somewhere.safetensors"'
