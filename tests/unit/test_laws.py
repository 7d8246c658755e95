"""The laws of the house that no linter knows: imports inside functions, the only clock, packaging, length of modules."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("hsm", "certs", "pki", "signer", "api")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 420


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _nested_imports(tree: ast.Module) -> Iterator[int]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (node.lineno for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_import_stands_inside_a_function_or_hides_behind_type_checking(path: Path) -> None:
    text = path.read_text("utf-8")
    assert list(_nested_imports(ast.parse(text))) == []
    assert "TYPE_CHECKING" not in text


def test_only_one_module_and_the_judge_import_by_name() -> None:
    by_name = {_name(path) for path in MODULES if "importlib.import_module" in path.read_text("utf-8")}
    assert by_name == {"api/loading.py", "signer/sandbox_child.py"}


def test_the_clock_is_the_only_one_that_knows_the_time() -> None:
    tellers = {
        _name(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "utcnow", "today")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("datetime", "date")
    }
    assert tellers == {"certs/clock.py"}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_says_what_it_owns_and_stays_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "the first sentence says which noun or deed it owns"
    assert len(text.splitlines()) <= LONGEST


def test_every_package_is_shipped() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    present = {_name(path.parent).replace("/", ".") for path in MODULES if path.name == "__init__.py"}
    assert set(shipped["packages"]) == present
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
            owner = next(parent for parent in path.parents if (parent / "__init__.py").exists())
            patterns = shipped["package-data"].get(_name(owner).replace("/", "."), [])
            assert any(path.relative_to(owner).match(pattern) for pattern in patterns), f"{_name(path)} is not shipped"


def test_no_folder_of_that_name_gathers_what_has_no_owner() -> None:
    refused = {"utils", "helpers", "common", "manager"}
    assert not {path.stem for path in MODULES} & refused
