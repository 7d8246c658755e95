"""api/settings.py: a setting is known and possible, or the start stops with its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from api.database_url import database_url
from api.home import Home
from api.settings import NOT_SETTINGS, Settings, load_settings
from certs.errors import TableKeyUnknown, TableUnreadable, TableValueWrong


def settings(tmp_path: Path, text: str = "", **environment: str) -> Settings:
    (tmp_path / "antin.toml").write_text(text)
    return load_settings(tmp_path / "antin.toml", environment)


def test_without_a_file_everything_has_a_default_that_is_possible(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "antin.toml", {}) == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    text = "[sign]\nlevel = 'B-T'\nmax_bytes = 5\n"
    assert settings(tmp_path, text).sign.level == "B-T"
    both = settings(tmp_path, text, ANTIN_SIGN__LEVEL="B-B")
    assert (both.sign.level, both.sign.max_bytes) == ("B-B", 5)


def test_every_field_can_be_set_by_the_environment(tmp_path: Path) -> None:
    for section in dataclasses.fields(Settings):
        for each in dataclasses.fields(getattr(Settings(), section.name)):
            value = getattr(getattr(Settings(), section.name), each.name)
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            plain = {f"ANTIN_{section.name.upper()}__{each.name.upper()}": text}
            assert getattr(getattr(settings(tmp_path, **plain), section.name), each.name) == value


def test_an_unknown_name_is_answered_with_the_nearest_valid_one(tmp_path: Path) -> None:
    with pytest.raises(TableKeyUnknown) as caught:
        settings(tmp_path, ANTIN_SIGN__LEVEL_="B-B")
    assert caught.value.facts["nearest"] == "ANTIN_SIGN__LEVEL"
    for text, near in (("[sing]\nlevel = 'B-B'", "sign"), ("[sign]\nlevl = 'B-B'", "level"), ("level = 'B-B'", "")):
        with pytest.raises(TableKeyUnknown) as caught:
            settings(tmp_path, text)
        assert near in caught.value.facts["nearest"]


def test_variables_that_are_no_settings_are_let_through(tmp_path: Path) -> None:
    assert settings(tmp_path, **dict.fromkeys(NOT_SETTINGS, "x"), HOME="/", PATH="") == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CERTIFICATES__POLICY", "our own"),
        ("CERTIFICATES__POLICY", f"2.25.{2**32}"),
        ("DATABASE__BUSY_SECONDS", "-0.1"),
        ("DATABASE__BUSY_SECONDS", "inf"),
        ("DATABASE__BUSY_SECONDS", "nan"),
        ("HSM__MAX_SESSIONS", "0"),
        ("HSM__MAX_SESSIONS", "many"),
        ("HSM__WAIT_SECONDS", "-1"),
        ("HSM__TOKEN_LABEL", ""),
        ("HSM__TOKEN_LABEL", "ấ" * 11),
        ("HSM__PIN_FILE", "fd:"),
        ("HSM__PIN_FILE", "fd:0"),
        ("HSM__PIN_FILE", "fd:three"),
        ("HSM__PIN_FILE", "fd:-3"),
        ("HSM__HANG_SECONDS", "0.5"),
        ("HSM__HANG_SECONDS", "inf"),
        ("HSM__KEEP_ALIVE_SECONDS", "0"),
        ("HSM__MAX_CONNECTIONS", "0"),
        ("SIGN__LEVEL", "b-b"),
        ("SIGN__RSA_PADDING", "oaep"),
        ("SIGN__MAX_BYTES", "0"),
        ("SIGN__SEAL_DIAMETER_MM", "19.9"),
        ("KEYS__ROOT", "p-512"),
        ("KEYS__ISSUING", ""),
        ("KEYS__CREDENTIAL", "P-256"),
        ("VALIDATION__FETCH", "perhaps"),
        ("VALIDATION__MEMORY_MB", "255"),
        ("VALIDATION__SECONDS", "0"),
    ],
)
def test_a_value_that_is_impossible_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(TableValueWrong) as caught:
        settings(tmp_path, **{f"ANTIN_{name}": value})
    key = str(caught.value.facts["key"])
    assert name.lower().replace("__", ".") in (key, key.lower().removeprefix("antin_").replace("__", "."))


@pytest.mark.parametrize("url", ["ftp://x", "pki.example", "http://pki.example/", ""])
def test_a_public_url_that_would_spoil_certificates_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(TableValueWrong):
        settings(tmp_path, ANTIN_HTTP__PUBLIC_URL=url)


@pytest.mark.parametrize("url", ["nonsense", "oracle://scott:tiger@host/name", "://"])
def test_a_database_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(TableValueWrong) as caught:
        database_url(Home(tmp_path), settings(tmp_path, ANTIN_DATABASE__URL=url))
    assert caught.value.facts["key"] == "database.url"
    assert "tiger" not in f"{caught.value} {caught.value.facts}"


def test_without_a_setting_the_database_lies_in_the_home(tmp_path: Path) -> None:
    assert database_url(Home(tmp_path), Settings()).database == str(tmp_path / "antin.db")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    for content in (b"[sign", b"\xff\xfe", b"a = "):
        (tmp_path / "antin.toml").write_bytes(content)
        with pytest.raises(TableUnreadable) as caught:
            load_settings(tmp_path / "antin.toml", {})
        assert caught.value.facts["where"] == "antin.toml"


def test_a_path_from_the_environment_is_meant_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings(tmp_path, ANTIN_HSM__PIN_FILE="pins/a").hsm.pin_file == str(tmp_path / "pins" / "a")
    assert settings(tmp_path, ANTIN_HSM__PIN_FILE="").hsm.pin_file == ""
    assert settings(tmp_path, "[hsm]\npin_file = 'secrets/pin'\n").hsm.pin_file == "secrets/pin"


def test_a_pin_may_come_from_a_descriptor_that_was_opened_for_us(tmp_path: Path) -> None:
    hsm = settings(tmp_path, ANTIN_HSM__PIN_FILE="fd:12").hsm
    assert (hsm.pin_file, hsm.pin_descriptor()) == ("fd:12", 12)
    assert settings(tmp_path, ANTIN_HSM__PIN_FILE="pins/a").hsm.pin_descriptor() is None


SERVERS = """[{url = "https://tsa.example/stamp", anchors = "tsa.pem", timeout_seconds = 5}, {url = "own"}]"""


def test_a_list_of_tables_is_written_the_same_in_file_and_environment(tmp_path: Path) -> None:
    in_file = settings(tmp_path, f"[tsa]\nservers = {SERVERS}\n").tsa.servers
    assert in_file == settings(tmp_path, ANTIN_TSA__SERVERS=SERVERS).tsa.servers
    assert [(each.url, each.timeout_seconds, each.parallel) for each in in_file] == [
        ("https://tsa.example/stamp", 5.0, 4),
        ("own", 10.0, 4),
    ]
    assert settings(tmp_path, ANTIN_TSA__SERVERS="").tsa.servers == ()


@pytest.mark.parametrize(
    "servers",
    [
        '[{url = "https://tsa.example/stamp"}]',
        '[{url = "ldap://tsa.example", anchors = "a"}]',
        '[{url = "own"}, {url = "own"}]',
        '[{url = "own", timeout_seconds = 0}]',
        '[{url = "own", parallel = 0}]',
        '["own"]',
        '{url = "own"}',
    ],
)
def test_a_server_that_cannot_be_meant_is_refused(tmp_path: Path, servers: str) -> None:
    with pytest.raises(TableValueWrong):
        settings(tmp_path, ANTIN_TSA__SERVERS=servers)


def test_a_server_with_an_unknown_key_or_a_list_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableKeyUnknown) as caught:
        settings(tmp_path, ANTIN_TSA__SERVERS='[{url = "own", timeout = 5}]')
    assert caught.value.facts["nearest"] == "timeout_seconds"
    with pytest.raises(TableUnreadable):
        settings(tmp_path, ANTIN_TSA__SERVERS="[{url = ")
