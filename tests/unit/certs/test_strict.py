"""A table is read exactly or refused with the key's name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pytest

from certs.errors import TableKeyMissing, TableKeyUnknown, TableUnreadable, TableValueWrong
from certs.strict import nearest, parse_text, parse_toml, read_table


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    width: float
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Outer:
    name: str
    count: int
    inner: Inner
    on: bool = False
    note: str | None = None
    names: tuple[str, ...] = ()
    inners: tuple[Inner, ...] = ()
    colours: dict[str, Colour] | None = None
    either: int | str = 0

    def __post_init__(self):
        if self.count < 0:
            raise ValueError("count must not be negative")


GOOD = """
name = "Sở"
count = 3
names = ["a", "b"]
either = "x"
[inner]
width = 2
colour = "blue"
[colours]
seal = "red"
[[inners]]
width = 1.5
"""


def read(text: str) -> Outer:
    return read_table(Outer, parse_toml(text, "file.toml"), "file.toml")


def test_a_good_table_becomes_typed_values():
    assert read(GOOD) == Outer(
        name="Sở",
        count=3,
        inner=Inner(2.0, Colour.BLUE),
        names=("a", "b"),
        inners=(Inner(1.5),),
        colours={"seal": Colour.RED},
        either="x",
    )


def test_an_unknown_key_names_the_nearest_and_the_place():
    with pytest.raises(TableKeyUnknown) as refused:
        read(GOOD.replace("width = 2", "widht = 2"))
    assert refused.value.facts["key"] == "widht"
    assert refused.value.facts["nearest"] == "width"
    assert refused.value.facts["where"] == "file.toml: [inner]"


def test_an_unknown_key_far_from_all_others_has_no_nearest():
    with pytest.raises(TableKeyUnknown) as refused:
        read("zzzz = 1\n" + GOOD)
    assert refused.value.facts["nearest"] == ""
    assert "count" in refused.value.facts["valid"]


def test_a_missing_key_is_named():
    with pytest.raises(TableKeyMissing) as refused:
        read(GOOD.replace("count = 3", ""))
    assert refused.value.facts["key"] == "count"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("count = 3", 'count = "3"', "count"),
        ("count = 3", "count = true", "count"),
        ("count = 3", "count = 3.0", "count"),
        ('name = "Sở"', "name = 1", "name"),
        ("count = 3", "count = 3\non = 1", "on"),
        ('names = ["a", "b"]', 'names = "a"', "names"),
        ('names = ["a", "b"]', 'names = ["a", 2]', "names[1]"),
        ('colour = "blue"', 'colour = "green"', "colour"),
        ('either = "x"', "either = 1.5", "either"),
        ('seal = "red"', 'seal = "rot"', "seal"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(old, new, key):
    with pytest.raises(TableValueWrong) as refused:
        read(GOOD.replace(old, new))
    assert refused.value.facts["key"] == key


def test_a_dataclass_refuses_what_it_cannot_mean():
    with pytest.raises(TableValueWrong, match="count must not be negative"):
        read(GOOD.replace("count = 3", "count = -1"))


def test_text_that_is_not_toml_is_refused_with_the_file():
    with pytest.raises(TableUnreadable) as refused:
        read("name = ")
    assert refused.value.facts["where"] == "file.toml"


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "a", "a"),
        (int, " 5 ", 5),
        (float, "0.5", 0.5),
        (bool, "TRUE", True),
        (bool, "false", False),
        (Colour, "blue", Colour.BLUE),
        (tuple[str, ...], "a, b", ("a", "b")),
        (str | None, "x", "x"),
        (int | None, "7", 7),
    ],
)
def test_plain_text_becomes_the_fields_type(annotation, text, value):
    assert parse_text(annotation, text, "ANTIN_X__Y", "y") == value


@pytest.mark.parametrize(("annotation", "text"), [(int, "x"), (bool, "yes"), (Colour, "green"), (float, "")])
def test_plain_text_that_does_not_fit_is_refused(annotation, text):
    with pytest.raises(TableValueWrong) as refused:
        parse_text(annotation, text, "ANTIN_X__Y", "y")
    assert refused.value.facts["where"] == "ANTIN_X__Y"


def test_hyphens_and_capitals_do_not_hide_the_nearest():
    assert nearest("Agency-Seal", ["agency_seal", "officer"]) == "agency_seal"
