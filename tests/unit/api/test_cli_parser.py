"""api/cli: words of the command line, times and paths as people type them, failures as they meet them."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.cli.context import owner_acting, parse_time, print_table, read_input
from api.cli.failures import describe
from api.cli.parser import build_parser, typed_path
from api.errors import ActorRefused, ComponentError, UsageError
from api.words import LANGUAGES, Words, read_catalogues
from certs.errors import DatabaseUnavailable
from hsm.errors import PinWrong
from pki.errors import (
    AlreadyRevoked,
    ApprovalNeeded,
    ApprovalRejected,
    ApprovalUnknown,
    AuthorityUnknown,
    LastAdmin,
    PersonUnknown,
    RoleMissing,
)
from signer.appearance.errors import FontMissing, ImageBlank, ImageUnreadable, PlacementCoversText, PlacementMalformed
from signer.errors import InputUnreadable, OwnOutputBroken, Refused, Unavailable, UsageWrong


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-11-21T10:15:30+07:00", datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)),
        ("2026-11-21T03:15:30Z", datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)),
        ("2026-11-21t03:15:30.5+00:00", datetime(2026, 11, 21, 3, 15, 30, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_with_a_zone_becomes_utc(typed: str, moment: datetime) -> None:
    assert parse_time(typed) == moment


@pytest.mark.parametrize(
    "typed",
    ["", "now", "2026-11-21", "2026-11-21T03:15:30", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_any_other_time_is_wrong_usage(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_time(typed)
    assert caught.value.code == "TIME_MALFORMED"


def test_the_actor_is_not_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = owner_acting()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "minister")
    assert owner_acting() == before


def test_an_input_is_never_read_past_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_input(typed_path(str(tmp_path / "file")), 5) == b"12345"
    with pytest.raises(UsageError) as caught:
        read_input(typed_path("/dev/zero"), 1024)
    assert caught.value.code == "INPUT_OVER_LIMIT"


def test_a_path_keeps_what_was_typed_and_means_the_folder_of_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = typed_path("a/b.pdf")
    assert (path.typed, path.path) == ("a/b.pdf", tmp_path / "a" / "b.pdf")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (UsageError("X"), 2),
        (ComponentError("X"), 5),
        (PinWrong("no"), 5),
        (DatabaseUnavailable("no", reason="locked"), 5),
        (AuthorityUnknown("no"), 2),
        (AlreadyRevoked("no"), 1),
        (ApprovalNeeded("no"), 6),
        (ApprovalRejected("no"), 1),
        (ApprovalUnknown("no"), 2),
        (RoleMissing("no"), 1),
        (PersonUnknown("no"), 2),
        (LastAdmin("no"), 1),
        (ActorRefused("X"), 1),
        (Refused("X"), 1),
        (InputUnreadable("X"), 2),
        (UsageWrong("X"), 2),
        (Unavailable("X"), 5),
        (OwnOutputBroken("X"), 5),
        (PlacementMalformed("no"), 2),
        (PlacementCoversText("no"), 1),
        (ImageUnreadable("no"), 2),
        (ImageBlank("no"), 1),
        (FontMissing("no"), 5),
        (OSError(28, "No space left on device"), 5),
        (PermissionError(13, "Permission denied"), 5),
        (ZeroDivisionError("something nobody foresaw"), 5),
    ],
)
def test_every_kind_of_failure_has_its_exit_code(error: Exception, exit_code: int) -> None:
    assert describe(error)[0] == exit_code


def _fail() -> None:
    raise ZeroDivisionError("a secret")


def test_what_nobody_foresaw_says_its_place_and_not_its_words() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _fail()
    _, code, facts = describe(caught.value)
    assert code == "INTERNAL_ERROR"
    assert facts["place"].startswith("test_cli_parser.py:")
    assert "secret" not in str(facts)


def test_wrong_words_end_with_2_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["sign"], ["verify", "a", "--b\nc\u202e"], ["cert", "revoke", "x"]):
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args(words)
        assert caught.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "\u202e" not in said


def test_a_table_is_as_wide_as_its_widest_cell() -> None:
    out = io.StringIO()
    print_table(out, [["a", "long heading"], ["longer", "x"]])
    assert out.getvalue() == "a       long heading\nlonger  x\n"


# What people type wrong, and a word of argparse's own English that must not be in what they are told in another language.
WRONG = {
    (): "required",
    ("cert", "revoke", "x", "--reason", "foo"): "choice",
    ("cert", "revoke", "x"): "required",
    ("cert", "list", "--limit", "x"): "value",
    ("cert", "list", "--limit", "0"): "between",
    ("cert", "list", "--limit"): "expected",
    ("cert", "list", "--serial", "zz"): "hexadecimal",
    ("cert", "list", "--json=3"): "ignored",
    ("cert", "list", "--bogus"): "unrecognized",
    ("cert", "list", "--issued", "x"): "ambiguous",
    ("ca", "crl", "issuing", "--at", "x", "--number", "1"): "allowed",
    ("token", "issue", "--scope"): "expected",
    ("nothing",): "choice",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage_is_one_line_in_the_language_of_the_reader(words, capsys):
    said = {}
    for language in LANGUAGES:
        with pytest.raises(SystemExit) as ended:
            build_parser(Words(language)).parse_args(words)
        assert ended.value.code == 2
        said[language] = capsys.readouterr().err
        assert said[language].startswith("antin: ")
        assert said[language].count("\n") == 1
        assert "--help" in said[language]
        assert language == "en" or WRONG[words] not in said[language]
    assert len(set(said.values())) == len(LANGUAGES)


@pytest.mark.parametrize("words", [("--help",), ("cert", "--help"), ("cert", "show", "-h"), ("cert", "issue", "-h")])
def test_the_frame_of_help_is_in_the_language_of_the_reader(words, capsys):
    for language, prefix in (("en", "usage: "), ("vi", "cách dùng: "), ("ko", "사용법: ")):
        with pytest.raises(SystemExit) as ended:
            build_parser(Words(language)).parse_args(words)
        assert ended.value.code == 0
        told = capsys.readouterr().out
        assert told.startswith(f"{prefix}antin")
        assert read_catalogues(language)["USAGE_HELP"] in told
        assert language == "en" or ("show this help" not in told and "positional arguments" not in told)
