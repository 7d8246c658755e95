"""The locale catalogues against the source: every code that can be said has a sentence in three languages, and no other has one."""

from __future__ import annotations

import ast
import json
import re
import string
import tomllib
import typing
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from api.checkup import _CHECKS
from api.cli.usage import _FORMS
from api.errors import ApiError
from api.report import _GOOD_AS_IT_IS, _NO_DOCUMENT
from api.words import LANGUAGES, Words, read_catalogues
from certs.outages import _REFUSALS, _SQLITE_REASONS, _SQLSTATE_REASONS
from pki.audit_chain import BreakKind
from pki.history import _ACTS, Past
from pki.tsa.answer import Objection
from signer.errors import SignerError
from signer.findings import KINDS, LEFT_OUT
from signer.metadata import LENGTHS
from signer.office_policy import INTENTS, policy_files
from signer.prepared import STATES
from signer.validation.facts import TRUST_KINDS, SignatureFacts
from signer.validation.reasons import REASONS

ROOT = Path(__file__).parents[3]
LOCALE = ROOT / "api" / "locale"
CATALOGUES = sorted({path.name.split(".")[0] for path in LOCALE.glob("*.toml")})
SCHEMA = json.loads((ROOT / "signer/validation/verdict.schema.json").read_text("utf-8"))
# Where the code stands among the arguments of each call that says or raises one.
POSITIONS = {"say": 0, "Finding": 2} | {
    kind.__name__: 0 for tree in (SignerError, ApiError) for kind in tree.__subclasses__()
}
# Texts put together that begin like a code and are none: names of PKCS#11, a finding about CMS attributes for engineers.
NOT_CODES = {"CKA_*", "CKM_*", "ATTRIBUTES_*"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Saying:
    """One place in the source that says or raises codes. `facts` is None where what it brings cannot be read there."""

    where: str
    codes: tuple[str, ...]
    facts: frozenset[str] | None


def test_each_catalogue_is_there_in_three_languages_and_in_no_other():
    assert {path.name for path in LOCALE.iterdir()} == {
        f"{name}.{language}.toml" for name in CATALOGUES for language in LANGUAGES
    }


@pytest.mark.parametrize("catalogue", CATALOGUES)
@pytest.mark.parametrize("language", ["vi", "ko"])
def test_a_translation_has_the_codes_of_the_english_one_in_its_order(catalogue, language):
    assert list(_read(catalogue, language)) == list(_read(catalogue, "en"))


@pytest.mark.parametrize("catalogue", CATALOGUES)
@pytest.mark.parametrize("language", ["vi", "ko"])
def test_a_translation_names_the_same_facts(catalogue, language):
    english = {code: _named_facts(sentence) for code, sentence in _read(catalogue, "en").items()}
    assert {code: _named_facts(sentence) for code, sentence in _read(catalogue, language).items()} == english


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_text_on_one_line_in_normal_form(language):
    for code, sentence in read_catalogues(language).items():
        assert isinstance(sentence, str), code
        assert sentence.strip(), code
        assert sentence.isprintable(), code
        assert unicodedata.is_normalized("NFC", sentence), code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_takes_its_facts_and_shows_them(language):
    words = Words(language)
    for code, sentence in read_catalogues(language).items():
        named = _named_facts(sentence)
        # A fact is a plain name: an attribute or an index in a sentence would reach into what it is given.
        assert all(name.isidentifier() for name in named), code
        said = words.say(code, {name: f"<{name}>" for name in named})
        assert all(f"<{name}>" in said for name in named), code


def test_no_code_stands_in_two_catalogues():
    counted = Counter(code for catalogue in CATALOGUES for code in _read(catalogue, "en"))
    assert [code for code, times in counted.items() if times > 1] == []


@pytest.mark.parametrize("language", ["vi", "ko"])
def test_translated_sentences_are_translated(language):
    # Names and headings may be the same in every language; a sentence with three words or more is not.
    english = read_catalogues("en")
    left = [
        code
        for code, sentence in read_catalogues(language).items()
        if sentence == english[code] and len(re.findall(r"[A-Za-z]{2,}", re.sub(r"\{.*?\}", "", sentence))) > 2
    ]
    assert left == []


def test_every_code_that_can_be_said_has_a_sentence():
    english = read_catalogues("en")
    assert {code: where for code, where in _all_codes().items() if code not in english} == {}


def test_every_sentence_can_be_said():
    # What the pages say stands in templates; test_web_words.py holds that.
    unsaid = set(read_catalogues("en")) - set(_all_codes())
    assert sorted(code for code in unsaid if not code.startswith("WEB_")) == []


def test_every_fact_in_a_sentence_is_brought_wherever_its_code_is_raised():
    english = read_catalogues("en")
    missing = [
        (saying.where, code, sorted(lacking))
        for saying in _sayings()
        for code in saying.codes
        if saying.facts is not None and (lacking := _named_facts(english.get(code, "")) - saying.facts)
    ]
    assert missing == []


def test_every_fact_in_a_sentence_on_wrong_usage_is_a_group_of_its_form():
    english = read_catalogues("en")
    assert {code: set(form.groupindex) for form, code in _FORMS} == {
        code: _named_facts(english[code]) for _, code in _FORMS
    }


def test_every_family_of_codes_is_known_here_and_used_there():
    # A code put together in a place this test does not read would escape it.
    assert {pattern for _, tree in _trees() for pattern in _patterns(tree)} == set(_families()) | NOT_CODES


def test_the_reader_of_the_source_finds_each_way_of_saying_a_code():
    source = """
def sign(path, full, kind):
    code = "DISK_FULL" if full else "WRITE_FAILED"
    facts = {"serial": path, "name": kind}
    words.say("REPORT_UNKNOWN_SIGNER")
    words.say("ISSUED_FOR" if kind else "ISSUED", facts)
    words.say(f"CONCLUSION_{kind}")
    words.say(code, some_facts())
    raise Unavailable(code, path=path)
"""
    found = [(saying.codes, saying.facts) for saying in _sayings_in("here", ast.parse(source))]
    assert found == [
        (("REPORT_UNKNOWN_SIGNER",), frozenset()),
        (("ISSUED_FOR", "ISSUED"), frozenset({"serial", "name"})),
        (tuple(f"CONCLUSION_{each}" for each in SCHEMA["properties"]["conclusion"]["enum"]), frozenset()),
        (("DISK_FULL", "WRITE_FAILED"), None),
        (("DISK_FULL", "WRITE_FAILED"), frozenset({"path"})),
    ]


def _read(catalogue: str, language: str) -> dict[str, str]:
    return tomllib.loads((LOCALE / f"{catalogue}.{language}.toml").read_text("utf-8"))


def _named_facts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


@cache
def _trees() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the five packages, parsed."""
    paths = [
        path for package in ("hsm", "certs", "pki", "signer", "api") for path in sorted((ROOT / package).rglob("*.py"))
    ]
    return tuple((str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))) for path in paths)


def _tree(path: str) -> ast.Module:
    return dict(_trees())[path]


def _all_codes() -> dict[str, str]:
    """Every code that can be said or raised, with a place where that happens."""
    codes = dict.fromkeys(REASONS, "signer/validation/reasons.py")
    codes |= dict.fromkeys(_families()["DATABASE_*"](), "api/cli/failures.py")
    codes |= {code: "api/cli/usage.py" for _, code in _FORMS}
    codes |= {
        need.refused: policy.name for policy in policy_files() for rule in policy.rules.values() for need in rule.needs
    }
    codes |= {code: where for code, _, where in _error_classes()}
    return codes | {code: saying.where for saying in _sayings() for code in saying.codes}


@cache
def _error_classes() -> tuple[tuple[str, str, str], ...]:
    """Code, name and module of every class that has a `code` of its own."""
    return tuple(
        (ast.literal_eval(statement.value), node.name, where)
        for where, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign) and _is_name(statement.targets[0], "code")
    )


@cache
def _sayings() -> tuple[Saying, ...]:
    return tuple(saying for where, tree in _trees() for saying in _sayings_in(where, tree))


def _sayings_in(where: str, tree: ast.Module) -> Iterator[Saying]:
    codes_of_classes = {name: code for code, name, _ in _error_classes()}
    for function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                place = f"{where}:{node.lineno}"
                if name in codes_of_classes:
                    yield Saying(place, (codes_of_classes[name],), _facts_of(node, function, after=1))
                elif name in POSITIONS and len(node.args) > POSITIONS[name]:
                    codes = _codes_of(node.args[POSITIONS[name]], function)
                    yield Saying(place, codes, _facts_of(node, function, after=POSITIONS[name] + 1))
            # What nobody foresaw is described without being raised: exit code, code, facts.
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and function.name == "describe":
                _, code, facts = node.value.elts
                yield Saying(f"{where}:{node.lineno}", _codes_of(code, function), _keys_of(facts, function))


def _functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _assigned(name: str, function: Function) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(_is_name(target, name) for target in node.targets)
    ]


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _codes_of(node: ast.expr, function: Function) -> tuple[str, ...]:
    """The codes an argument can stand for: a literal, a choice of two, a family, or a name that one of these was given to."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, ast.IfExp):
        return _codes_of(node.body, function) + _codes_of(node.orelse, function)
    if isinstance(node, ast.JoinedStr):
        return tuple(_families()[_pattern(node)]())
    if isinstance(node, ast.Name):
        return tuple(code for value in _assigned(node.id, function) for code in _codes_of(value, function))
    return ()


def _facts_of(call: ast.Call, function: Function, *, after: int) -> frozenset[str] | None:
    """The names of the facts that a call brings; None when they come from elsewhere."""
    found: frozenset[str] = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
    if any(keyword.arg is None for keyword in call.keywords):
        return None
    for argument in call.args[after:]:
        keys = _keys_of(argument, function)
        if keys is None:
            return None
        found |= keys
    return found


def _keys_of(node: ast.expr, function: Function) -> frozenset[str] | None:
    if isinstance(node, ast.Name):
        values = _assigned(node.id, function)
        return _keys_of(values[0], function) if len(values) == 1 else None
    if not isinstance(node, ast.Dict):
        return None
    return frozenset(ast.literal_eval(key) for key in node.keys if key is not None)


def _pattern(node: ast.JoinedStr) -> str:
    return "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)


def _patterns(tree: ast.Module) -> Iterator[str]:
    """Every text that begins like a code and goes on with a value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and re.match(r"[A-Z]+_\*", _pattern(node)):
            yield _pattern(node)


@cache
def _families() -> dict[str, Callable[[], list[str]]]:
    """Codes that are put together, by pattern: which there are is asked of what they are put together from."""
    document = SCHEMA["properties"]["document"]["anyOf"][0]["properties"]
    return {
        "COLUMN_*": _column_codes,
        "TSA_*": lambda: [f"TSA_{objection}" for objection in Objection],
        "STATE_*": lambda: [f"STATE_{state}" for state in STATES],
        "STATUS_*": lambda: [f"STATUS_{status}" for status in document["status"]["enum"]],
        "CONCLUSION_*": lambda: [f"CONCLUSION_{each}" for each in SCHEMA["properties"]["conclusion"]["enum"]],
        "SIGNATURES_*": lambda: [f"SIGNATURES_{each}" for each in SCHEMA["properties"]["conclusion"]["enum"]],
        "REPORT_*": lambda: [f"REPORT_{kind.upper()}" for kind in _choices(SignatureFacts, "type")],
        "STANDING_*": lambda: [f"STANDING_{each}" for each in SCHEMA["$defs"]["status"]["enum"]],
        "HEADLINE_*": lambda: [f"HEADLINE_{each}" for each in sorted(_GOOD_AS_IT_IS)],
        "KIND_*": lambda: [f"KIND_{each}" for each in sorted(_NO_DOCUMENT)],
        "TRUST_*": lambda: [f"TRUST_{kind}" for kind in TRUST_KINDS],
        "FINDING_*": lambda: [f"FINDING_{kind}" for kind in (*KINDS, LEFT_OUT)],
        "DOCUMENT_*": lambda: [
            f"DOCUMENT_{status.upper()}" for status in document["status"]["enum"] if status != "in-force"
        ],
        "METADATUM_*": lambda: [f"METADATUM_{name.replace('.', '_')}" for name in LENGTHS],
        "DOCTOR_*_OK": lambda: [f"DOCTOR_{name.upper()}_OK" for name in _CHECKS],
        "DOCTOR_*": lambda: [f"DOCTOR_{code}" for code in _codes_of_blobs()],
        "MENDED_*": lambda: ["MENDED_ACT", "MENDED_NUMBER", "MENDED_CERTIFICATE", "MENDED_PURPOSE", "MENDED_PREPARED"],
        "PAST_*": lambda: [f"PAST_{state.value}" for state in Past if state is not Past.SUSPECT],
        "TODAY_*": lambda: ["TODAY_same", "TODAY_revoked", "TODAY_raised", "TODAY_suspect"],
        "LATER_*": lambda: [f"LATER_{act}" for act in _ACTS],
        "INTENT_*": lambda: [f"INTENT_{intent}" for intent in INTENTS],
        "LISTING_*": lambda: ["LISTING_absent", "LISTING_removed", "LISTING_listed"],
        "ANSWER_*": lambda: ["ANSWER_good", "ANSWER_revoked"],
        "BROKEN_*": lambda: [f"BROKEN_{kind.name}" for kind in BreakKind],
        "DATABASE_*": lambda: [
            f"DATABASE_{reason.upper().replace('-', '_')}" for reason in sorted(_database_reasons())
        ],
    }


def _choices(cls: type, name: str) -> tuple[str, ...]:
    return typing.get_args(typing.get_type_hints(cls)[name])


def _codes_of_blobs() -> list[str]:
    """What reading a stored revision can raise."""
    get = next(function for function in _functions(_tree("signer/storage.py")) if function.name == "get")
    calls = [node for node in ast.walk(get) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Unavailable"]
    return [code for call in calls for code in _codes_of(call.args[0], get)]


def _database_reasons() -> set[str]:
    """SQLite's reasons, and those that certs/db.py gives by itself."""
    nodes = list(ast.walk(_tree("certs/db.py")))
    given = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "reason"]
    given += [
        value.value for value in nodes if isinstance(value, ast.Assign) and ast.unparse(value.targets[0]) == "reason"
    ]
    literal = {node.value for node in given if isinstance(node, ast.Constant) and node.value}
    return {*_SQLITE_REASONS.values(), *_SQLSTATE_REASONS.values(), *_REFUSALS.values(), *literal}


@cache
def _column_codes() -> list[str]:
    return [f"COLUMN_{name}" for _, tree in _trees() for name in _column_names(tree)]


def _column_names(tree: ast.Module) -> Iterator[str]:
    """The headings of a module's tables: listed there, or the upper-case names of what its JSON shows."""
    for function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.ListComp) and any(
                isinstance(each, ast.JoinedStr) and _pattern(each) == "COLUMN_*" for each in ast.walk(node)
            ):
                yield from _listed(node.generators[0].iter, function, tree)


def _listed(source: ast.expr, function: Function, tree: ast.Module) -> list[str]:
    if isinstance(source, ast.Tuple):
        return list(ast.literal_eval(source))
    if isinstance(source, ast.Name):
        (rows,) = _assigned(source.id, function)
        assert isinstance(rows, ast.List)
        return [ast.literal_eval(row.elts[0]) for row in rows.elts if isinstance(row, ast.Tuple)]
    assert ast.unparse(source) == "facts.items()"
    (maker,) = [
        ast.unparse(node.value.func)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "facts" and isinstance(node.value, ast.Call)
    ]
    shown = next(each for each in _functions(tree) if each.name == maker)
    (returned,) = [node.value for node in ast.walk(shown) if isinstance(node, ast.Return)]
    assert isinstance(returned, ast.Dict)
    return [ast.literal_eval(key).upper() for key in returned.keys if key is not None]


def test_a_time_that_an_error_brings_is_shown_in_vietnams_zone_and_nothing_else_is_touched():
    facts = {"serial": "2026-11-21T03:15:30Z.pem", "revoked_at": "2026-11-21T20:15:30Z", "reason": "superseded"}
    for language in LANGUAGES:
        said = Words(language).say("ALREADY_REVOKED", facts)
        assert "22/11/2026 03:15:30 +07:00" in said
        assert "2026-11-21T03:15:30Z.pem" in said
        assert "T20:15:30Z" not in said
