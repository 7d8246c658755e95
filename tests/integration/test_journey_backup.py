"""A home is lost and comes back: what an admin types, what he is told, and what is true afterwards."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import make_url

from api.words import read_catalogues
from hsm.softhsm import configuration, find_module
from tests import postgres
from tests.installation import OFFICER_NAME, User, tree


@pytest.fixture
def recipient(user: User) -> str:
    return user.antin("backup", "keygen", "-o", "recovery.key").strip()


def back_up(user: User, recipient: str, name: str = "home.backup") -> Path:
    user.antin("backup", "create", "--recipient", recipient, "-o", name)
    return user.folder / name


def lose(user: User) -> User:
    """The home is gone; the same person begins with an empty place, and an empty database where there is one."""
    shutil.rmtree(user.home)
    return User(user.home, user.folder)


def restore(user: User, *words: str | Path, **environment: str) -> dict:
    return user.json("backup", "restore", "home.backup", "--identity", "recovery.key", *words, **environment)


def states(user: User) -> dict[str, str]:
    return {each["serial"]: each["state"] for each in user.json("cert", "list")}


def crl_number(user: User, authority: str = "issuing") -> int:
    crl = x509.load_der_x509_crl((user.home / "public" / "crl" / f"{authority}.crl").read_bytes())
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def conclusion(user: User, name: str) -> str:
    done = user.run("verify", name, "--json")
    verdict: str = json.loads(done.stdout)["conclusion"]
    return verdict


def test_what_was_done_after_the_backup_is_done_again_from_the_audit_export(user: User, recipient: str) -> None:
    before = user.sign("paper.pdf", "officer", "before.pdf", "--level", "B-T")
    numbered = user.sign("before.pdf", "seal", "sealed.pdf")
    user.antin("token", "issue", "--scope", "sign", "--name", "kiosk")
    back_up(user, recipient)

    late = user.json("cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "-o", "late.pem")["serial"]
    user.sign("paper.pdf", "officer", "late.pdf")
    lost_number = user.sign("late.pdf", "seal", "late-sealed.pdf")
    since = user.json("cert", "show", "officer")["not_before"]
    user.antin("cert", "revoke", "officer", "--reason", "keyCompromise", "--since", since)
    user.antin("cert", "revoke", late, "--reason", "superseded")
    user.antin("document", "recall", before["code"], "--reason", "ban hành nhầm")
    user.antin("person", "add", "an", "--full-name", "Nguyễn Văn An", "--role", "admin")
    user.antin("token", "revoke", "kiosk")
    user.antin("ca", "publish", "--all")
    user.antin("audit", "export", "-o", "trail.jsonl")
    shown = user.json("cert", "show", "officer")
    known, number, persons = states(user), crl_number(user), user.json("person", "list")
    then = datetime.now(UTC).isoformat()

    user = lose(user)
    told = restore(user, "--audit-export", "trail.jsonl")
    assert told["reconciled"]["missing"] == told["reconciled"]["unknown_count"] == 0
    assert [each.split(" ")[0] for each in told["reconciled"]["lost"]] == [
        "certificate.issue", "credential.create", "document.sign", "document.sign",
    ]  # fmt: skip
    assert told["keys_missing"] == []
    assert told["unpublished"] is None

    # Certificates are as they were: one that came after the backup keeps its serial and stays revoked.
    assert states(user) == known
    again = user.json("cert", "show", "officer")
    assert {name: again[name] for name in shown if name.startswith(("revo", "susp", "stat"))} == {
        name: shown[name] for name in shown if name.startswith(("revo", "susp", "stat"))
    }
    # The lists of those days are gone, and the past says so instead of offering an older one as theirs.
    past = user.json("cert", "show", "officer", "--at", then)
    assert past["state"] == "revoked"
    assert past["lost_days"]["from"] < then < past["lost_days"]["to"]
    assert user.json("cert", "show", "officer", "--at", since)["lost_days"] is None
    assert crl_number(user) > number
    listed = x509.load_der_x509_crl((user.home / "public" / "crl" / "issuing.crl").read_bytes())
    assert {f"{each.serial_number:040x}" for each in listed} == {
        serial for serial, state in known.items() if state == "revoked"
    }
    assert user.json("person", "list") == persons
    assert [each["state"] for each in user.json("token", "list")] == ["revoked"]
    assert user.json("document", "show", before["code"])["status"] == "recalled"

    # What was signed verifies as before, and the trail is whole, up to what the export has seen.
    # The one whose octets are lost is named until somebody revokes it.
    assert set(user.findings()) == set()
    user.antin("audit", "verify", "--checkpoint", "trail.jsonl")
    verdict = user.json("verify", "before.pdf", code=1)
    assert (verdict["reason"], verdict["signatures"][0]["integrity"]) == ("DOC_RECALLED", "intact")

    # Life goes on with numbers and serials that nobody has had.
    subject = "CN=Lê Thị Mới,T=Chánh Văn phòng,O=Sở Thử nghiệm,C=VN"
    officer = user.json("cert", "issue", "--profile", "officer", "--subject", subject, "-o", "new.pem")["credential"]
    fresh = set(states(user)) - set(known)
    assert [states(user)[serial] for serial in fresh] == ["active"]
    assert numbered["number"] < lost_number["number"]
    user.sign("paper.pdf", officer, "next.pdf")
    assert user.sign("next.pdf", "seal", "next-sealed.pdf")["number"] > lost_number["number"]


def test_without_an_export_the_admin_is_told_what_cannot_be_known(user: User, recipient: str) -> None:
    user.sign("paper.pdf", "officer", "signed.pdf", "--level", "B-T")
    issue = ("cert", "issue", "--profile", "officer", "--subject", "CN=An,O=Sở Thử nghiệm,C=VN", "-o", "an.pem")
    revoked = user.json(*issue)["serial"]
    user.antin("cert", "revoke", revoked, "--reason", "superseded")
    back_up(user, recipient)
    user.antin("cert", "revoke", "seal", "--reason", "keyCompromise")
    user.antin("ca", "publish", "--all")
    number = crl_number(user)

    user = lose(user)
    said = user.antin("backup", "restore", "home.backup", "--identity", "recovery.key")
    assert "is not known: revocations" in said
    assert "CRL numbers go on 1000000 above" in said
    assert states(user)[revoked] == "revoked"
    assert user.json("cert", "show", "seal")["state"] == "active"
    assert crl_number(user) > number
    assert conclusion(user, "signed.pdf") == "valid"
    assert user.findings() == {}


def test_nothing_of_a_restored_home_is_open_to_others(user: User, recipient: str) -> None:
    backup = back_up(user, recipient)
    assert stat.S_IMODE((user.folder / "recovery.key").stat().st_mode) == 0o600
    assert b"BEGIN" not in backup.read_bytes()
    pin, settings = (user.home / "secrets" / "pin").read_bytes(), (user.home / "antin.toml").read_text()
    assert pin not in backup.read_bytes()
    # Every key as it was; SoftHSM notes each login in token.object.
    token = {
        name: digest
        for name, digest in tree(user.home / "tokens").items()
        if not name.endswith(("token.object", "generation", ".lock"))
    }
    images = tree(user.home / "images")

    user = lose(user)
    user.home.mkdir(mode=0o700)  # an empty folder is as good as none
    restore(user)
    assert (user.home / "secrets" / "pin").read_bytes() == pin
    assert postgres.wanted() or (user.home / "antin.toml").read_text() == settings
    assert {name: tree(user.home / "tokens")[name] for name in token} == token
    assert tree(user.home / "images") == images
    for name in ("tokens", "secrets", "secrets/pin", "blobs", "antin.toml"):
        assert stat.S_IMODE((user.home / name).stat().st_mode) & 0o077 == 0, name
    assert sorted(each.name for each in user.home.parent.iterdir()) == ["home", "work"]


def test_what_is_no_backup_of_ours_is_refused_in_one_line_and_leaves_nothing(user: User, recipient: str) -> None:
    backup = back_up(user, recipient)
    user.antin("backup", "keygen", "-o", "other.key")
    user.antin("audit", "export", "-o", "trail.jsonl")
    (user.folder / "cut.backup").write_bytes(backup.read_bytes()[:-1000])
    altered = bytearray(backup.read_bytes())
    altered[len(altered) // 2] ^= 1
    (user.folder / "altered.backup").write_bytes(altered)
    (user.folder / "no.key").write_text("AGE-SECRET-KEY-1NONSENSE\n")
    lines = (user.folder / "trail.jsonl").read_text().splitlines(keepends=True)
    (user.folder / "changed.jsonl").write_text("".join([lines[0].replace("root", "toor"), *lines[1:]]))
    (user.folder / "unsigned.jsonl").write_text("".join(lines[:-1]))

    def refused(code: int, sentence: str, file: str, key: str, *more: str, home: User) -> None:
        said = home.refused(code, "backup", "restore", file, "--identity", key, *more)
        assert sentence in said, said

    assert "in " in user.refused(2, "backup", "restore", backup, "--identity", "recovery.key")  # a home is there
    user = lose(user)
    refused(2, "another recovery key", "home.backup", "other.key", home=user)
    refused(2, "no recovery key", "home.backup", "no.key", home=user)
    refused(2, "no recovery key", "home.backup", "paper.pdf", home=user)
    refused(2, "absent.key", "home.backup", "absent.key", home=user)
    refused(2, "absent.backup", "absent.backup", "recovery.key", home=user)
    for file in ("cut.backup", "altered.backup", "paper.pdf", "recovery.key"):
        refused(2, f"{file} is no backup, or was cut or altered", file, "recovery.key", home=user)
    refused(1, "not as it was signed", "home.backup", "recovery.key", "--audit-export", "changed.jsonl", home=user)
    refused(2, "no export", "home.backup", "recovery.key", "--audit-export", "unsigned.jsonl", home=user)
    refused(2, "absent.jsonl", "home.backup", "recovery.key", "--audit-export", "absent.jsonl", home=user)
    assert sorted(each.name for each in user.home.parent.iterdir()) == ["work"]
    restore(user)  # the database was left empty each time
    assert user.findings() == {}


@pytest.mark.walk
def test_an_export_has_to_go_on_where_the_backup_ends(user: User, recipient: str, tmp_path: Path) -> None:
    back_up(user, recipient)
    user.antin("cert", "revoke", "seal", "--reason", "superseded")
    between = user.sql("SELECT max(seq) FROM audit")[0][0]
    user.antin("person", "add", "an", "--full-name", "An", "--role", "admin")
    user.antin("audit", "export", "-o", "whole.jsonl")
    # On PostgreSQL the acts may stand in several chains; a file that begins after the revocation lacks it in any case.
    since = json.loads((user.folder / "whole.jsonl").read_text().splitlines()[between])["time"]
    user.antin("audit", "export", "--from", since, "-o", "late.jsonl")
    last_of_backup = json.loads((user.folder / "whole.jsonl").read_text().splitlines()[between - 1])["time"]
    user.antin("audit", "export", "--to", last_of_backup, "-o", "early.jsonl")
    user = lose(user)
    said = user.refused(
        1, "backup", "restore", "home.backup", "--identity", "recovery.key", "--audit-export", "late.jsonl"
    )
    assert "does not go on where the backup ends" in said
    told = restore(user, "--audit-export", "early.jsonl")["reconciled"]
    assert told["missing"] > 0
    assert user.json("cert", "show", "seal")["state"] == "revoked"


@pytest.mark.walk
def test_another_installation_s_trail_is_not_taken_in(user: User, recipient: str, tmp_path: Path) -> None:
    back_up(user, recipient)
    # The same home lives on twice: both trails are signed by the same authority, and only one is the backup's.
    other = tmp_path / "other"
    user.antin("person", "add", "an", "--full-name", "An", "--role", "admin")
    user.antin("backup", "create", "--recipient", recipient, "-o", "second.backup")
    user = lose(user)
    restore(user)
    user.antin("person", "add", "binh", "--full-name", "Bình", "--role", "admin")
    user.antin("audit", "export", "-o", "other.jsonl")
    user = lose(user)
    said = user.refused(
        1, "backup", "restore", "second.backup", "--identity", "recovery.key", "--audit-export", "other.jsonl"
    )
    assert "is not the trail that this backup has" in said
    assert not other.exists()


@pytest.mark.parametrize("way", ["sqlite to postgresql", "postgresql to sqlite"])
@pytest.mark.walk
def test_a_home_moves_to_another_kind_of_database(tmp_path: Path, paper: Path, way: str) -> None:
    if postgres.programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(paper, folder / "paper.pdf")
    source, target = (
        {"ANTIN_DATABASE__URL": ""},
        postgres.setting(postgres.cluster().new()),
    )
    if way == "postgresql to sqlite":
        source, target = target, source
    user = User(tmp_path / "home", folder, source)
    user.antin("init", "--demo")
    user.sign("paper.pdf", "officer", "signed.pdf", "--level", "B-T")
    user.antin("person", "add", "an", "--full-name", "Nguyễn Văn Ân", "--role", "admin")
    recipient = user.antin("backup", "keygen", "-o", "recovery.key").strip()
    back_up(user, recipient)
    user.antin("cert", "revoke", "seal", "--reason", "superseded")
    user.antin("audit", "export", "-o", "trail.jsonl")
    certificates = user.json("cert", "list")
    shutil.rmtree(user.home)

    moved = User(user.home, folder, target)
    restore(moved, "--audit-export", "trail.jsonl")
    assert moved.json("cert", "list") == certificates
    # The settings file names the new database, so that nothing needs the environment any more.
    plain = User(user.home, folder, {"ANTIN_LANG": "en", "ANTIN_DATABASE__URL": target["ANTIN_DATABASE__URL"]})
    del plain.environment["ANTIN_DATABASE__URL"]
    assert plain.findings() == {}
    plain.antin("audit", "verify", "--checkpoint", "trail.jsonl")
    assert conclusion(plain, "signed.pdf") == "valid"
    plain.sign("paper.pdf", "officer", "again.pdf")
    url = target["ANTIN_DATABASE__URL"]
    assert (user.home / "antin.db").exists() == (not url or make_url(url).get_backend_name() == "sqlite")


def test_a_database_that_is_not_empty_is_left_alone(user: User, recipient: str) -> None:
    back_up(user, recipient)
    elsewhere = user.home.with_name("elsewhere")
    url = f"sqlite:///{user.folder}/taken.db"
    if postgres.wanted():
        url = user.environment["ANTIN_DATABASE__URL"]
    else:
        shutil.copy(user.home / "antin.db", user.folder / "taken.db")
    before = user.json("cert", "list")
    said = user.refused(
        2, "backup", "restore", "home.backup", "--identity", "recovery.key",
        ANTIN_HOME=str(elsewhere), ANTIN_DATABASE__URL=url,
    )  # fmt: skip
    assert "there are tables in the database" in said
    assert not elsewhere.exists()
    assert user.json("cert", "list") == before


def test_a_backup_is_refused_where_it_could_not_help(user: User, recipient: str) -> None:
    assert "nobody could open" in user.refused(2, "backup", "create", "-o", "x")
    assert "is no recipient" in user.refused(2, "backup", "create", "-o", "x", "--recipient", "age1nonsense")
    secret = next(line for line in (user.folder / "recovery.key").read_text().splitlines() if line.startswith("AGE"))
    assert secret not in user.refused(2, "backup", "create", "-o", "x", "--recipient", secret)
    inside = user.home / "x.backup"
    assert "inside the home" in user.refused(2, "backup", "create", "-o", inside, "--recipient", recipient)
    assert "inside the home" in user.refused(2, "backup", "keygen", "-o", user.home / "k")
    assert "recovery.key" in user.refused(2, "backup", "keygen", "-o", "recovery.key")
    user.refused(2, "backup", "create", "-o", "no/such/folder/x", "--recipient", recipient)
    assert "age1" in user.refused(2, "backup", "create", "-o", "x", ANTIN_BACKUP__RECIPIENT="age1nonsense")
    assert not (user.folder / "x").exists()
    user.antin("backup", "create", "-o", "x", ANTIN_BACKUP__RECIPIENT=recipient)
    user.refused(2, "backup", "create", "-o", "x", "--recipient", recipient)
    user.antin("backup", "create", "-o", "x", "--recipient", recipient, "--force")
    found = {each["code"] for each in user.json("doctor")}
    assert "DOCTOR_BACKUP_OK" in found


def test_a_stored_file_that_was_damaged_is_named_and_does_not_stop_the_backup(user: User, recipient: str) -> None:
    first = user.sign("paper.pdf", "officer", "a.pdf")["sha256"]
    second = user.sign("paper.pdf", "officer", "b.pdf", "--placement", "none")["sha256"]
    blobs = user.home / "blobs"
    (blobs / first[:2] / first).write_bytes(b"damaged")
    (blobs / second[:2] / second).unlink()
    done = user.run("backup", "create", "--recipient", recipient, "-o", "home.backup", "--json")
    assert done.returncode == 1
    assert set(json.loads(done.stdout)["damaged_names"]) == {first, second}
    user = lose(user)
    restore(user)
    assert set(user.findings()) == {"DOCTOR_BLOB_MISSING"}


def test_every_sentence_of_a_restore_is_there_in_three_languages() -> None:
    codes = [code for code in read_catalogues("en") if code.startswith(("RESTORE_", "BACKUP_", "RECOVERY_"))]
    for language in ("vi", "ko"):
        assert all(
            read_catalogues(language)[code] != read_catalogues("en")[code] or code == "BACKUP_SHA256" for code in codes
        )


_DESTROY_KEY = """
import sys
from pathlib import Path
from hsm.pkcs11_store import Pkcs11Store
from hsm.softhsm import find_module
store = Pkcs11Store(find_module(), "antin", Path("pin"))
(key,) = [key for key in store.list_keys() if key.label == sys.argv[1]]
store.destroy(key.public_key_der)
store.close()
"""


@pytest.mark.walk
def test_keys_of_another_module_are_named_and_compared(user: User, recipient: str) -> None:
    # A module of the operator's own, with its token beside the home.
    token, conf = user.folder / "token", user.folder / "softhsm2.conf"
    shutil.move(user.home / "tokens", token)
    conf.write_text(configuration(str(token)))
    own = {"ANTIN_HSM__MODULE": str(find_module()), "SOFTHSM2_CONF": str(conf)}
    user.environment |= own
    back_up(user, recipient)
    told = user.json("backup", "create", "--recipient", recipient, "-o", "home.backup", "--force")
    assert not told["token_copied"]
    assert {key["name"] for key in told["keys"]} >= {"root", "issuing", "officer", "seal"}
    said = user.antin("backup", "create", "--recipient", recipient, "-o", "home.backup", "--force")
    assert "by its own means" in said
    assert all(key["id"] in said for key in told["keys"])
    shutil.copy(user.home / "secrets" / "pin", user.folder / "pin")

    user = lose(user)
    user.environment |= own
    subprocess.run(
        [sys.executable, "-c", _DESTROY_KEY, "credential-seal"], check=True, cwd=user.folder,
        env={"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(conf), "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    done = user.run("backup", "restore", "home.backup", "--identity", "recovery.key")
    assert done.returncode == 5
    assert [line for line in done.stderr.splitlines() if "lacks the key" in line] == done.stderr.splitlines()
    assert "credential seal" in done.stderr
    assert set(user.findings()) == {"DOCTOR_KEY_WRONG"}
    assert user.sign("paper.pdf", "officer", "signed.pdf")["code"]
