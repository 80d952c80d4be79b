"""Tables to dataclasses: what is refused, and what the refusal says."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Optional, Union

import pytest

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.options import from_table, pick, suggest


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int


@dataclasses.dataclass(frozen=True)
class Table:
    size: int
    name: str = "x"
    scale: float = 1.0
    flip: bool = False
    mean: tuple[float, ...] = (0.0,)
    stages: tuple[tuple[float, ...], ...] = ()
    limit: Optional[float] = None
    source: Any = None
    extra: dict[str, int] = dataclasses.field(default_factory=dict)
    side: Union[int, tuple[int, int]] = 1
    pair: Optional[tuple[int, int]] = None
    inner: Optional[Inner] = None
    inners: tuple[Inner, ...] = ()
    named: dict[str, Inner] = dataclasses.field(default_factory=dict)


def test_pick_returns_the_row_of_that_name() -> None:
    assert pick({"int8": 1, "float16": 2}, "float16", kind="quantizer") == 2


def test_pick_names_the_nearest_row() -> None:
    with pytest.raises(RecipeError, match=r"^quantizer 'int-8' is not known; did you mean 'int8'\?$"):
        pick({"int8": 1, "float16": 2}, "int-8", kind="quantizer")


def test_pick_lists_the_rows_where_none_is_near() -> None:
    with pytest.raises(RecipeError, match=r"^exporter 'zzz' is not known; known: micro, onnx_float$"):
        pick({"onnx_float": 1, "micro": 2}, "zzz", kind="exporter")


def test_suggest_takes_any_iterable_of_names() -> None:
    assert suggest("stdd", iter(["mean", "std"])) == "did you mean 'std'?"


def test_an_unknown_key_is_named_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match=r"^\[preprocess\] has no key 'szie'; did you mean 'size'\?$"):
        from_table(Table, {"szie": 3}, "[preprocess]")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(RecipeError, match=r"^\[preprocess\] needs the key 'size', and it is missing$"):
        from_table(Table, {"name": "a"}, "[preprocess]")


def test_keys_with_a_default_may_be_left_out() -> None:
    assert from_table(Table, {"size": 3}, "[t]") == Table(size=3)


def test_a_key_with_a_default_factory_may_be_left_out() -> None:
    assert from_table(Table, {"size": 3}, "[t]").extra == {}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("size", "3", r"\[t\] size must be a whole number, not '3'"),
        ("size", 3.0, r"\[t\] size must be a whole number, not 3\.0"),
        ("size", True, r"\[t\] size must be a whole number, not True"),
        ("size", None, r"\[t\] size must be a whole number, not None"),
        ("scale", "1%", r"\[t\] scale must be a number, not '1%'"),
        ("scale", False, r"\[t\] scale must be a number, not False"),
        ("scale", math.nan, r"\[t\] scale must be a finite number, not nan"),
        ("scale", -math.inf, r"\[t\] scale must be a finite number, not -inf"),
        ("limit", math.nan, r"\[t\] limit must be a finite number, not nan"),
        ("name", 3, r"\[t\] name must be a text in quotes, not 3"),
        ("flip", 1, r"\[t\] flip must be true or false, not 1"),
        ("mean", 0.5, r"\[t\] mean must be a list, not 0\.5"),
        ("mean", "0.5", r"\[t\] mean must be a list, not '0\.5'"),
        ("mean", [0.5, "a"], r"\[t\] mean\[1\] must be a number, not 'a'"),
        ("stages", [[1, 2], [3, "x"]], r"\[t\] stages\[1\]\[1\] must be a number, not 'x'"),
        ("extra", [1], r"\[t\] extra must be a table, not \[1\]"),
        ("extra", {"a": 1.5}, r"\[t\] extra a must be a whole number, not 1\.5"),
        ("side", "3", r"\[t\] side must be a whole number, not '3'"),
        ("side", True, r"\[t\] side must be a whole number, not True"),
        ("side", [1, 2, 3], r"\[t\] side must be a list of 2, not \[1, 2, 3\]"),
        ("side", [1, "2"], r"\[t\] side\[1\] must be a whole number, not '2'"),
        ("side", None, r"\[t\] side must be a whole number, not None"),
        ("pair", 3, r"\[t\] pair must be a list, not 3"),
        ("inner", 3, r"\[t\] inner must be a table, not 3"),
        ("inner", {"with": 3}, r"\[t\] inner has no key 'with'; did you mean 'width'\?"),
        ("inners", [{"width": 1}, {}], r"\[t\] inners\[1\] needs the key 'width', and it is missing"),
        ("named", {"a": {"width": "3"}}, r"\[t\] named a width must be a whole number, not '3'"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(key: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^{message}$"):
        from_table(Table, {"size": 1, key: value}, "[t]")


def test_a_whole_number_will_do_for_a_number() -> None:
    value = from_table(Table, {"size": 1, "scale": 2}, "[t]").scale
    assert (value, type(value)) == (2.0, float)


def test_lists_become_tuples_of_their_type_at_every_depth() -> None:
    table = from_table(Table, {"size": 1, "mean": [0, 0.5], "stages": [[3, 16], [5]]}, "[t]")
    assert (table.mean, table.stages) == ((0.0, 0.5), ((3.0, 16.0), (5.0,)))


@pytest.mark.parametrize("value", [None, 0.25])
def test_an_optional_value_may_be_none(value: Optional[float]) -> None:
    assert from_table(Table, {"size": 1, "limit": value}, "[t]").limit == value


def test_a_value_of_any_type_is_passed_on_as_it_is() -> None:
    inner = Inner(width=3)
    assert from_table(Table, {"size": 1, "source": inner}, "[t]").source is inner


def test_a_table_inside_is_copied() -> None:
    given = {"a": 1}
    table = from_table(Table, {"size": 1, "extra": given}, "[t]")
    given["a"] = 2
    assert table.extra == {"a": 1}


def test_dataclasses_are_made_at_every_depth() -> None:
    tables = {"inner": {"width": 1}, "inners": [{"width": 2}], "named": {"a": {"width": 3}}}
    table = from_table(Table, {"size": 1, **tables}, "[t]")
    assert (table.inner, table.inners, table.named) == (Inner(1), (Inner(2),), {"a": Inner(3)})


@pytest.mark.parametrize(("given", "made"), [(3, 3), ([3, 4], (3, 4))])
def test_a_number_or_a_pair_is_either(given: Any, made: Any) -> None:
    assert from_table(Table, {"size": 1, "side": given}, "[t]").side == made


def test_a_dataclass_that_is_made_already_is_passed_on() -> None:
    inner = Inner(width=3)
    assert from_table(Table, {"size": 1, "inner": inner}, "[t]").inner is inner
