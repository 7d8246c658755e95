"""Journey: a home is founded, moved, examined by the doctor; every sentence exists in three languages."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.installation import User, copy_home, signatures_by_pdfsig, tree
from tests.postgres import sqlite_only

# Runs in a process of its own, because SoftHSM reads its configuration once a process.
_DESTROY_KEY = """
import sys
from pathlib import Path
from hsm.pkcs11_store import Pkcs11Store
from hsm.softhsm import find_module
store = Pkcs11Store(find_module(), "antin", Path("secrets/pin"))
for key in store.list_keys():
    if key.label == sys.argv[1]:
        store.destroy(key.public_key_der)
store.close()
"""


@pytest.fixture
def stranger(tmp_path: Path) -> User:
    """Somebody who has no home yet."""
    (tmp_path / "work").mkdir()
    return User(tmp_path / "home", tmp_path / "work")


def test_a_second_init_changes_no_octet_of_the_home(user: User) -> None:
    user.antin("init", "--demo")
    before = tree(user.home)
    assert "nothing to do" in user.antin("init", "--demo")
    user.antin("init")
    assert tree(user.home) == before


def test_the_first_signature_of_a_home_finds_fonts_and_pictures_as_they_are_drawn(user: User) -> None:
    cut = {path.name for path in (user.home / "cache").iterdir() if path.is_file()}
    user.sign("paper.pdf", "officer", "officer.pdf")
    user.sign("officer.pdf", "seal", "issued.pdf")
    assert {path.name for path in (user.home / "cache").iterdir() if path.is_file()} == cut != set()


def test_init_makes_root_and_issuing_and_no_signing_credential(stranger: User) -> None:
    stranger.antin("init", "--agency", "Sở Thử nghiệm Hương Giang", "--public-url", "http://pki.example")
    assert [(each["name"], each["parent"], each["state"]) for each in stranger.json("ca", "list")] == [
        ("root", None, "active"),
        ("issuing", "root", "active"),
    ]
    assert {"officer", "agency-seal"}.isdisjoint(each["profile"] for each in stranger.json("cert", "list"))
    assert all("O=Sở Thử nghiệm Hương Giang" in each["subject"] for each in stranger.json("ca", "list"))
    pem = stranger.antin("ca", "show", "issuing", "--pem")
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem, capture_output=True, text=True, check=True)
    assert "http://pki.example/crl/root.crl" in text.stdout
    assert stranger.findings() == {}


def test_an_interrupted_init_is_finished_by_the_next(user: User) -> None:
    """The settings file is written last: without it a home counts as unfinished."""
    (user.home / "antin.toml").unlink()
    (user.home / "public" / "crl" / "root.crl").unlink()
    user.refused(2, "doctor")
    authorities = [each["serial"] for each in _unfinished(user).json("ca", "list")]
    user.antin("init", "--demo")
    assert [each["serial"] for each in user.json("ca", "list")] == authorities
    assert user.findings() == {}


def _unfinished(user: User) -> User:
    """The same home, finished in a copy."""
    copy = user.home.with_name("copy")
    copy_home(user.home, copy)
    other = User(copy, user.folder, dict(user.environment))
    other.antin("init")
    return other


def test_an_agency_or_url_of_a_home_cannot_be_changed_by_another_init(user: User) -> None:
    before = tree(user.home)
    user.refused(2, "init", "--agency", "Another agency")
    user.refused(2, "init", "--public-url", "http://other.example")
    user.refused(2, "init", "--public-url", "no url")
    assert tree(user.home) == before


def test_a_wrong_address_in_the_environment_is_named_with_what_was_found(user: User) -> None:
    said = user.refused(2, "cert", "list", ANTIN_HTTP__PUBLIC_URL="banana")
    assert "http.public_url" in said
    assert "banana" in said


def test_an_empty_name_of_an_agency_founds_nothing(stranger: User) -> None:
    for name in ("", "  "):
        assert "--agency" in stranger.refused(2, "init", "--agency", name)
    assert not stranger.home.exists()


def test_an_agency_name_counts_characters_and_not_octets(stranger: User) -> None:
    assert "64" in stranger.refused(2, "init", "--agency", "Ấ" * 65)
    stranger.antin("init", "--agency", "Ấ" * 64)


def test_secrets_of_a_home_are_the_owners_alone(user: User) -> None:
    for path in (user.home, user.home / "secrets", user.home / "tokens", user.home / "secrets" / "pin"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_moved_home_still_signs_and_verifies_and_names_no_old_path(user: User) -> None:
    user.sign("paper.pdf", "officer", "officer.pdf")
    moved = user.home.with_name("elsewhere") / "deep" / "home"
    moved.parent.mkdir(parents=True)
    shutil.move(user.home, moved)
    old, user.home = str(user.home).encode(), moved
    assert [path for path in moved.rglob("*") if path.is_file() and old in path.read_bytes()] == []
    user.sign("officer.pdf", "seal", "sealed.pdf")
    assert user.json("verify", "sealed.pdf")["conclusion"] == "valid"
    assert signatures_by_pdfsig(user.folder / "sealed.pdf") == ["Signature is Valid."] * 2
    assert user.findings() == {}


def test_a_relative_home_is_meant_from_the_current_folder(user: User) -> None:
    user.environment["ANTIN_HOME"] = os.path.relpath(user.home, user.folder)
    user.sign("paper.pdf", "officer", "out.pdf")
    assert user.json("verify", "out.pdf")["conclusion"] == "valid"


@pytest.mark.parametrize(
    "words",
    [
        ("sign", "paper.pdf", "--as", "officer"),
        ("cert", "list"),
        ("ca", "publish"),
        ("hsm", "status"),
        ("document", "list"),
        ("doctor",),
        ("demo",),
    ],
)
def test_every_command_but_verify_says_that_there_is_no_home(stranger: User, words: tuple[str, ...]) -> None:
    line = stranger.refused(2, *words)
    assert "no home here" in line
    assert "antin init" in line
    assert not stranger.home.exists()
    assert stranger.files() == set()


def test_the_doctor_is_content_with_a_new_home_and_warns_of_standing_credentials(user: User) -> None:
    found = user.json("doctor")
    assert {each["severity"] for each in found} == {"ok", "note"}
    assert {each["facts"]["name"] for each in found if each["code"] == "DOCTOR_CREDENTIAL_STANDING"} == {
        "officer",
        "seal",
    }
    assert len({each["check"] for each in found}) >= 5


def test_the_doctor_names_blobs_that_are_gone_or_altered(user: User) -> None:
    first = user.sign("paper.pdf", "officer", "a.pdf")["sha256"]
    second = user.sign("paper.pdf", "officer", "b.pdf")["sha256"]
    (user.home / "blobs" / first[:2] / first).unlink()
    blob = user.home / "blobs" / second[:2] / second
    blob.write_bytes(blob.read_bytes() + b" ")
    assert user.findings() == {"DOCTOR_BLOB_MISSING": "register", "DOCTOR_BLOB_ALTERED": "register"}


def test_the_doctor_names_a_pin_that_others_can_read(user: User) -> None:
    (user.home / "secrets" / "pin").chmod(0o640)
    assert user.findings() == {"DOCTOR_HOME_OPEN": "home"}


def test_the_doctor_names_a_revocation_list_that_is_missing_or_due(user: User) -> None:
    published = user.home / "public" / "crl" / "issuing.crl"
    published.unlink()
    assert user.findings() == {"DOCTOR_CRL_UNPUBLISHED": "crl"}
    user.antin("ca", "publish")
    assert user.findings() == {}
    # The token is away while somebody revokes: the revocation stands, and the list waits.
    wrong = user.folder / "wrong-pin"
    wrong.write_text("0000")
    done = user.run("cert", "revoke", "officer", "--reason", "keyCompromise", ANTIN_HSM__PIN_FILE=str(wrong))
    assert done.returncode == 5
    assert user.json("cert", "show", "officer")["state"] == "revoked"
    assert user.findings() == {"DOCTOR_CRL_DUE": "crl"}
    user.antin("ca", "publish")
    assert user.findings() == {}


def test_the_doctor_names_a_revocation_list_that_has_ended(user: User) -> None:
    user.sql("UPDATE crls SET next_update = '2020-01-01 00:00:00.000000' WHERE authority = 'root'")
    assert user.findings() == {"DOCTOR_CRL_ENDED": "crl"}


def test_the_doctor_names_a_key_that_is_gone_and_one_that_nobody_uses(user: User) -> None:
    subprocess.run(
        [sys.executable, "-c", _DESTROY_KEY, "credential-seal"],
        cwd=user.home,
        env={"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(user.home / "softhsm2.conf")},
        check=True,
    )
    user.sql("DELETE FROM credentials WHERE name = 'officer'")
    found = {each["code"]: each for each in user.json("doctor", code=1)}
    assert found["DOCTOR_KEY_WRONG"]["facts"]["name"] == "seal"
    assert found["DOCTOR_KEY_UNUSED"]["facts"]["label"] == "credential-officer"
    assert found["DOCTOR_KEY_UNUSED"]["severity"] == "note"


def test_the_doctor_names_a_token_that_is_away_and_carries_the_other_checks_on(user: User) -> None:
    (user.home / "tokens").rename(user.home / "unplugged")
    (user.home / "tokens").mkdir(mode=0o700)
    found = user.json("doctor", code=1)
    assert {each["code"] for each in found if each["severity"] == "wrong"} == {"DOCTOR_TOKEN_AWAY"}
    assert {each["check"] for each in found} >= {"home", "database", "keys", "crl", "register", "judge"}


def test_the_doctor_names_what_was_begun_and_forgotten(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    user.sign("a.pdf", "seal", "b.pdf")
    long_ago = "2026-01-01 00:00:00.000000"
    user.sql("UPDATE signing_acts SET state = 'intent', claimed_time = ?", long_ago)
    user.sql("UPDATE numbers SET state = 'reserved', reserved_at = ?", long_ago)
    user.sql("UPDATE certificates SET state = 'intent', created_at = ? WHERE profile = 'officer'", long_ago)
    assert set(user.findings()) == {"DOCTOR_ACT_OPEN", "DOCTOR_NUMBER_OPEN", "DOCTOR_CERTIFICATE_INTENT"}


def test_the_doctor_finds_one_old_intent_among_many_that_are_being_worked_on(user: User) -> None:
    user.sql(
        "UPDATE certificates SET state = 'intent', created_at = ? WHERE profile = 'officer'",
        "2026-01-01 00:00:00.000000",
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.000000")
    copied = (
        "profile, subject, common_name, organization, search_text, organization_text, issuer, state, "
        "not_before, not_after, tbs, public_key_der, key_id"
    )
    user.sql(
        "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 1200) "
        f"INSERT INTO certificates (serial, {copied}, created_at) "
        f"SELECT 'ff' || n, {copied}, '{now}' FROM certificates, many WHERE profile = 'officer'"
    )
    named = [each["code"] for each in user.json("doctor", code=1) if each["severity"] == "wrong"]
    assert named == ["DOCTOR_CERTIFICATE_INTENT"]


def test_the_doctor_names_a_database_of_another_version(user: User) -> None:
    user.sql("UPDATE alembic_version SET version_num = '0001'")
    assert "DOCTOR_DATABASE_OLD" in user.findings()


@sqlite_only
def test_a_damaged_database_is_a_finding_and_one_line_elsewhere(user: User) -> None:
    database = user.home / "antin.db"
    database.write_bytes(b"not a database " * 1000)
    user.refused(5, "document", "list")
    assert "DOCTOR_CANNOT_CHECK" in user.findings()


def test_a_credential_that_ends_soon_is_worth_a_note(user: User) -> None:
    soon = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S.%f")
    user.sql("UPDATE certificates SET not_after = ? WHERE profile = 'officer'", soon)
    noted = {each["facts"].get("name"): each["code"] for each in user.json("doctor") if each["check"] == "credentials"}
    assert noted["officer"] == "DOCTOR_CREDENTIAL_ENDS"


@pytest.mark.parametrize("language", ["vi", "ko"])
def test_a_language_changes_sentences_and_never_json(user: User, language: str) -> None:
    user.sign("paper.pdf", "officer", "a.pdf")
    assert user.antin("verify", "a.pdf") != user.antin("verify", "a.pdf", ANTIN_LANG=language)
    assert user.antin("document", "list", "--json") == user.antin("document", "list", "--json", ANTIN_LANG=language)
    plain, translated = user.json("verify", "a.pdf"), user.json("verify", "a.pdf", ANTIN_LANG=language)
    assert {**plain, "checked_at": ""} == {**translated, "checked_at": ""}
    missing = ("sign", "nothing.pdf", "--as", "officer")
    assert user.refused(2, *missing) != user.refused(2, *missing, ANTIN_LANG=language)


def test_an_unknown_language_is_english(user: User) -> None:
    assert user.antin("ca", "list", ANTIN_LANG="xx") == user.antin("ca", "list")


def test_the_actor_is_who_the_kernel_says_whatever_the_environment_claims(user: User) -> None:
    user.sign("paper.pdf", "officer", "a.pdf", LOGNAME="minister", USER="minister", USERNAME="minister")
    acts = user.json("document", "list")[0]["signatures"]
    assert "minister" not in {act["actor"] for act in acts}
    assert json.dumps(user.sql("SELECT actor FROM audit")).count("minister") == 0


def test_a_reader_who_goes_away_ends_a_command_quietly(user: User) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from api.cli.main import main; sys.exit(main())", "cert", "list"],
            cwd=user.folder, env=user.surroundings(), stdout=nobody, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.parametrize(
    "words",
    [
        ("ca", "show", "root"),
        ("ca", "crl", "issuing"),
        ("cert", "show", "officer"),
        ("cert", "show", "seal", "--at", "2026-01-01T00:00:00Z"),
    ],
)
def test_people_read_times_in_vietnams_zone_and_json_has_utc(user: User, words: tuple[str, ...]) -> None:
    utc = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    said = user.antin(*words)
    assert "+07:00" in said
    assert not utc.search(said), said
    told = user.antin(*words, "--json")
    assert utc.search(told)
    assert "+07:00" not in told
