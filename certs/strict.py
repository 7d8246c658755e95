"""Reads a table (from TOML or the environment) into a frozen dataclass, and refuses whatever does not fit exactly."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, cast

from certs.errors import TableError, TableKeyMissing, TableKeyUnknown, TableUnreadable, TableValueWrong

T = TypeVar("T")

_PLAIN = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
_BOOLEANS = {"true": True, "false": False}


def nearest(word: str, valid: Iterable[str]) -> str:
    """The valid word that looks most like this one, or an empty string."""
    words = list(valid)
    by_form = {entry.lower().replace("-", "_"): entry for entry in words}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), by_form, n=1, cutoff=0.5)
    return by_form[close[0]] if close else ""


def parse_toml(text: str, where: str) -> dict[str, object]:
    """TOML text to a table; `where` names the file in the error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TableUnreadable(f"{where}: {error}", where=where, problem=str(error)) from error


def read_table(cls: type[T], table: Mapping[str, object], where: str) -> T:
    """Build the dataclass `cls` from a table. Unknown, missing and ill-typed keys raise a TableError that names them.

    Fields may be str, int, bool, float, an Enum (by value), a dataclass, `X | None`, list[X], tuple[X, ...],
    frozenset[X] or dict[str, X]. A ValueError of the dataclass's own __post_init__ becomes TableValueWrong.
    """
    hints = _hints(cast("Any", cls))
    fields = {field.name: field for field in dataclasses.fields(cast("Any", cls)) if field.init}
    for key in table:
        if key not in fields:
            raise TableKeyUnknown(
                f"{where}: unknown key {key!r}",
                where=where,
                key=key,
                nearest=nearest(key, fields),
                valid=", ".join(sorted(fields)),
            )
    values: dict[str, object] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], where, name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise TableKeyMissing(f"{where}: key {name!r} is missing", where=where, key=name)
    try:
        return cls(**values)
    except TableError:
        raise
    except ValueError as error:
        raise TableValueWrong(
            f"{where}: {error}", where=where, key="", expected=str(error), found="something else"
        ) from error


@functools.cache
def _hints(cls: type) -> Mapping[str, Any]:
    """The types of the fields. Every annotation is compiled for it, and the profiles are tables of a few classes."""
    return typing.get_type_hints(cls)


def parse_text(annotation: Any, text: str, where: str, key: str) -> object:
    """One value written as plain text, as an environment variable holds it, converted to a field's type.

    Lists are separated by commas; a list of tables is written as in a file: `[{name = "value"}]`. The same refusals as in a file.
    """
    options = _without_none(annotation)
    if len(options) > 1:
        raise TableValueWrong(
            f"{where}: {key} cannot be given as text", where=where, key=key, expected="a file", found=text
        )
    kind = options[0]
    origin = typing.get_origin(kind)
    if origin in (list, tuple, frozenset):
        inner = typing.get_args(kind)[0]
        if dataclasses.is_dataclass(inner):
            table = parse_toml(f"value = {text or '[]'}", where)["value"]
            _convert(kind, table, where, key)
            return table  # as a file would bring it: whoever reads the whole table converts it there
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return origin(parse_text(inner, part, where, key) for part in parts)
    try:
        if kind is bool:
            return _BOOLEANS[text.strip().lower()]
        if kind is int:
            return int(text.strip())
        if kind is float:
            return float(text.strip())
    except (KeyError, ValueError) as error:
        raise _wrong(where, key, _PLAIN[kind], text) from error
    return _convert(kind, text, where, key)


def _convert(annotation: Any, value: object, where: str, key: str) -> object:
    options = _without_none(annotation)
    if value is None and len(options) < len(_members(annotation)):
        return None
    if len(options) > 1:
        return _first_that_fits(options, value, where, key)
    kind = options[0]
    origin = typing.get_origin(kind)
    if kind in _PLAIN:
        return _plain(kind, value, where, key)
    if origin in (list, tuple, frozenset):
        return _sequence(kind, value, where, key)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(where, key, "a table", value)
        inner = typing.get_args(kind)[1]
        return {str(name): _convert(inner, entry, f"{where}: {key}", str(name)) for name, entry in value.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        allowed = [str(member.value) for member in kind]
        if str(value) not in allowed:
            raise _wrong(where, key, "one of " + ", ".join(allowed), value)
        return next(member for member in kind if str(member.value) == str(value))
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise _wrong(where, key, "a table", value)
        return read_table(cast("type[object]", kind), value, f"{where}: [{key}]")
    raise TypeError(f"strict tables cannot hold {kind!r} (field {key})")


def _plain(kind: type, value: object, where: str, key: str) -> object:
    # A bool is an int in Python, but `days = true` is a mistake in a file.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(where, key, _PLAIN[kind], value)
    return value


def _sequence(kind: Any, value: object, where: str, key: str) -> object:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _wrong(where, key, "a list", value)
    inner, *rest = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin is tuple and rest != [Ellipsis]:
        raise TypeError(f"strict tables know tuple[X, ...] only (field {key})")
    return origin(_convert(inner, entry, where, f"{key}[{number}]") for number, entry in enumerate(value))


def _first_that_fits(options: list[Any], value: object, where: str, key: str) -> object:
    for option in options:
        try:
            return _convert(option, value, where, key)
        except TableValueWrong:
            continue
    raise _wrong(where, key, " or ".join(_PLAIN.get(option, str(option)) for option in options), value)


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _without_none(annotation: Any) -> list[Any]:
    return [member for member in _members(annotation) if member is not type(None)]


def _wrong(where: str, key: str, expected: str, found: object) -> TableValueWrong:
    return TableValueWrong(
        f"{where}: {key} should be {expected}, not {found!r}",
        where=where,
        key=key,
        expected=expected,
        found=repr(found),
    )
