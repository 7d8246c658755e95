"""Bad input (issue 2): one clear line, the right exit code, no output left half-written, the input never changed."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PdfFileWriter, copy_into_new_writer

from tests.installation import ANTIN, User, tree
from tests.postgres import sqlite_only


@pytest.fixture(autouse=True)
def _nothing_changes(user: User) -> Iterator[None]:
    """Around each test here: what was in the folder is as it was, and nothing came to it but what the test made itself."""
    before = tree(user.folder)
    yield
    after = tree(user.folder)
    assert {name: after.get(name) for name in before} == before
    assert not [name for name in after if name.endswith(".part") or Path(name).name.startswith(("out", "."))]


def encrypted(paper: bytes) -> bytes:
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(paper)))
    writer.encrypt("owner", "user")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def without_pages(_paper: bytes) -> bytes:
    writer = PdfFileWriter()
    writer.root["/Pages"] = writer.add_object(
        generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Pages"),
                pdf_name("/Kids"): generic.ArrayObject(),
                pdf_name("/Count"): generic.NumberObject(0),
            }
        )
    )
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


# name: how it is made of a good paper, exit code of `sign`, reason of `verify` (4: it is a PDF, and it is not signed)
UNREADABLE: dict[str, tuple[Callable[[bytes], bytes], int, str]] = {
    "empty": (lambda _: b"", 2, "UNREADABLE_EMPTY"),
    "text": (lambda _: "Kính gửi: các sở\n".encode(), 2, "UNREADABLE_NOT_PDF"),
    "zip": (lambda _: b"PK\x03\x04" + bytes(100), 2, "UNREADABLE_ZIP"),
    "header alone": (lambda _: b"%PDF-1.7\n", 2, "UNREADABLE_DAMAGED"),
    "truncated": (lambda paper: paper[: len(paper) // 2], 2, "UNREADABLE_DAMAGED"),
    "encrypted": (encrypted, 1, "UNREADABLE_ENCRYPTED"),
    "no pages": (without_pages, 2, "NOT_SIGNED"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_signed_is_said_to_be_so(user: User, paper: Path, kind: str) -> None:
    make, code, reason = UNREADABLE[kind]
    (user.folder / "bad.pdf").write_bytes(make(paper.read_bytes()))
    user.refused(code, "sign", "bad.pdf", "--as", "officer", "-o", "out.pdf")
    verdict = user.json("verify", "bad.pdf", code=4 if reason == "NOT_SIGNED" else 2)
    assert verdict["reason"] == reason
    (user.folder / "bad.pdf").unlink()


@pytest.mark.parametrize("source", [".", "..", "/", "missing.pdf", "paper.pdf/inside.pdf", "", "x" * 300])
def test_a_path_that_is_no_file_is_said_to_be_so(user: User, source: str) -> None:
    user.refused(2, "sign", source, "--as", "officer")  # without -o: the output's name comes from the input's


def test_a_file_that_may_not_be_read_is_said_to_be_so(user: User, paper: Path) -> None:
    secret = user.folder / "secret.pdf"
    shutil.copy(paper, secret)
    secret.chmod(0)
    # Permissions do not bind root; root without these two capabilities they do.
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    for words, code in ((("verify", "secret.pdf", "--json"), 2), (("sign", "secret.pdf", "--as", "officer"), 2)):
        done = subprocess.run(
            [*bound, ANTIN, *words],
            cwd=user.folder,
            env=user.surroundings(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert "UNREADABLE_NO_ACCESS" in done.stdout or done.stderr.count("\n") == 1
    (user.folder / "closed").mkdir(mode=0o500)
    done = subprocess.run(
        [*bound, ANTIN, "sign", "paper.pdf", "--as", "officer", "-o", "closed/out.pdf"],
        cwd=user.folder, env=user.surroundings(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    secret.chmod(0o600)
    secret.unlink()


def test_a_wrong_pin_a_missing_module_and_a_missing_token_are_components_that_are_away(user: User) -> None:
    (user.folder / "pin").write_text("00000000")
    for setting in (
        {"ANTIN_HSM__PIN_FILE": str(user.folder / "pin")},
        {"ANTIN_HSM__PIN_FILE": str(user.folder / "no-pin")},
        {"ANTIN_HSM__MODULE": "/no/such/module.so"},
        {"ANTIN_HSM__MODULE": str(user.folder / "pin")},
        {"ANTIN_HSM__TOKEN_LABEL": "no such token"},
    ):
        user.refused(5, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", **setting)
    # Nothing was left open by the failures, and the right PIN still works: no retries have locked anything.
    assert user.findings() == {}
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", "signed.pdf")


def test_a_pin_file_is_found_from_the_folder_of_the_shell_or_from_the_home(user: User) -> None:
    shutil.move(user.home / "secrets" / "pin", user.folder / "pin")
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", "signed.pdf", ANTIN_HSM__PIN_FILE="pin")
    shutil.move(user.folder / "pin", user.home / "elsewhere")
    with (user.home / "antin.toml").open("a") as settings:
        settings.write("\n[hsm]\npin_file = 'elsewhere'\n")
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", "signed2.pdf")


def test_the_pin_is_never_said(user: User) -> None:
    pin = (user.home / "secrets" / "pin").read_text()
    (user.home / "secrets" / "pin").write_text(pin + "0")
    line = user.refused(5, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf")
    assert pin not in line
    assert pin not in user.antin("document", "list", "--json")
    assert pin not in user.run("doctor").stdout


@sqlite_only
def test_a_locked_database_is_waited_for_and_then_said(user: User) -> None:
    holder = sqlite3.connect(user.home / "antin.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    line = user.refused(5, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", ANTIN_DATABASE__BUSY_SECONDS="0.2")
    assert "database" in line
    # Readers are not in the way of a writer.
    assert user.json("document", "list") == []
    # Who waits long enough gets through.
    with subprocess.Popen(
        [ANTIN, "sign", "paper.pdf", "--as", "officer", "-o", "signed.pdf"], cwd=user.folder, env=user.surroundings()
    ) as waiting:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(3)
        holder.execute("ROLLBACK")
        assert waiting.wait(60) == 0
    holder.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_costs_no_signature_and_leaves_no_output(user: User, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        user.refused(5, "sign", "paper.pdf", "--as", "officer", "-o", small / "out.pdf")
        user.refused(5, "sign", "paper.pdf", "--as", "officer", "-o", small / "out.pdf", "--force")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)
    # The space is asked for before the key is used: the register knows of nothing.
    assert user.json("document", "list") == []


def test_a_limit_on_file_size_is_a_full_disk_too(user: User) -> None:
    line = subprocess.run(
        ["prlimit", "--fsize=40000", ANTIN, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf"],
        cwd=user.folder, env=user.surroundings(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (line.returncode, line.stderr.count("\n")) == (5, 1)
    assert user.files() == {"paper.pdf"}


def test_an_unknown_credential_and_one_that_may_not_sign_are_told_apart(user: User) -> None:
    for name in ("nobody", "", "../officer" * 50):
        user.refused(2, "sign", "paper.pdf", f"--as={name}", "-o", "out.pdf")
    user.antin("cert", "revoke", "officer", "--reason", "superseded")
    user.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf")
    user.sql(
        "UPDATE certificates SET state = 'active', not_after = '2026-01-01 00:00:00.000000' WHERE profile = 'officer'"
    )
    user.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf")
    assert user.json("cert", "show", "officer")["state"] == "expired"


def test_a_field_name_that_exists_is_refused(user: User) -> None:
    user.sign("paper.pdf", "officer", "signed.pdf")
    user.refused(1, "sign", "signed.pdf", "--as", "officer", "-o", "out.pdf", "--field", "Signature1")
    user.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", "--field", "SoVanBan")


@pytest.mark.parametrize(
    ("variable", "value", "nearest"),
    [
        ("ANTIN_SIGN__LEVL", "B-B", "ANTIN_SIGN__LEVEL"),
        ("ANTIN_HSM_MODULE", "x", "ANTIN_HSM__MODULE"),
        ("ANTIN_DATABASE__BUSY_SECONDS", "-1", "database.busy_seconds"),
        ("ANTIN_DATABASE__URL", "oracle://scott:tiger@db/x", "database.url"),
        ("ANTIN_KEYS__CREDENTIAL", "rsa-1024", "keys.credential"),
    ],
)
def test_a_setting_that_is_unknown_or_impossible_stops_the_start_with_its_name(
    user: User, variable: str, value: str, nearest: str
) -> None:
    line = user.refused(2, "cert", "list", **{variable: value})
    assert nearest in line
    assert "tiger" not in line


def test_an_unknown_key_in_the_settings_file_is_named_with_the_nearest(user: User) -> None:
    settings = user.home / "antin.toml"
    good = settings.read_text()
    settings.write_text(good + "\n[sgn]\nlevel = 'B-B'\n")
    assert "sign" in user.refused(2, "cert", "list")
    settings.write_text(good + "\n[sign\n")
    assert "antin.toml" in user.refused(2, "cert", "list")
    settings.write_bytes(b"\xff\xfe")
    assert "antin.toml" in user.refused(2, "cert", "list")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"Subjekt": "x"}',
        '{"CodeNumber": "0"}',
        "[" * 100_000,
        '{"CodeNumber": ' + "9" * 5000 + "}",
    ],
)
def test_metadata_that_cannot_be_meant_are_refused_before_anything_is_signed(user: User, text: str) -> None:
    (user.folder / "m.json").write_text(text)
    user.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", "--metadata", "m.json")
    (user.folder / "m.json").unlink()


def test_metadata_that_are_no_file_are_refused(user: User) -> None:
    for name in (".", "missing.json", "paper.pdf"):
        user.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", "out.pdf", "--metadata", name)


@pytest.mark.parametrize("output", ["no/such/folder/out.pdf", "paper.pdf/out.pdf", "x" * 300 + ".pdf"])
def test_an_output_that_cannot_be_written_costs_no_signature(user: User, output: str) -> None:
    user.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", output)
    assert user.json("document", "list") == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("frobnicate",),
        ("sign",),
        ("sign", "paper.pdf"),
        ("sign", "--as", "officer"),
        ("sign", "paper.pdf", "--as", "officer", "--level", "B-Z"),
        ("sign", "paper.pdf", "--as", "officer", "--intent", "destroy"),
        ("verify",),
        ("verify", "paper.pdf", "--frob\nnicate"),
        ("cert",),
        ("cert", "issue"),
        ("cert", "show"),
        ("cert", "show", ""),
        ("cert", "show", "z" * 1000),
        ("cert", "list", "--state", "lost"),
        ("ca", "show"),
        ("document", "show", "\u202e"),
    ],
)
def test_words_that_make_no_command_are_answered_in_one_line(user: User, words: tuple[str, ...]) -> None:
    user.refused(2, *words)


def test_help_is_there_for_every_command(user: User) -> None:
    top = user.antin("--help")
    for command in ("init", "sign", "verify", "cert", "ca", "hsm", "document", "doctor", "demo"):
        assert command in top
    assert "--placement" in user.antin("sign", "--help")
    assert user.antin("--version").startswith("antin ")


def test_an_output_path_that_cannot_be_is_wrong_usage_in_every_command_and_nothing_is_made_for_it(user: User) -> None:
    recipient = user.antin("backup", "keygen", "-o", "recovery.key").strip()
    (user.folder / "folder").mkdir()
    commands = (
        ("sign", "paper.pdf", "--as", "officer"),
        ("cert", "issue", "--profile", "officer", "--subject", "CN=An,O=Sở Thử nghiệm,C=VN"),
        ("cert", "renew", "officer", "--force"),
        ("ca", "crl", "issuing"),
        ("audit", "export"),
        ("backup", "keygen"),
        ("backup", "create", "--recipient", recipient),
    )
    before = user.sql("SELECT count(*) FROM certificates")
    for words in commands:
        assert "no/such" in user.refused(2, *words, "-o", "no/such")
        assert "paper.pdf/x" in user.refused(2, *words, "-o", "paper.pdf/x")
        if words[0] != "sign":  # which puts a file of the same name into a folder
            assert "is a folder" in user.refused(2, *words, "-o", "folder")
    then = ("cert", "show", "officer", "--at", "2026-01-01T00:00:00Z", "--evidence", "paper.pdf/x")
    assert "paper.pdf/x" in user.refused(2, *then)
    assert user.sql("SELECT count(*) FROM certificates") == before
