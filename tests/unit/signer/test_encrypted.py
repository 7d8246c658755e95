"""Encrypted files: every way of encryption, both passwords, what permissions forbid, every level; a wrong password is said."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from signer.errors import Refused, UsageWrong
from signer.extension import ExtensionPlan
from signer.password import NO_PASSWORD, Password, parse_password
from signer.plan import Plan
from signer.sandbox import Judge
from signer.signing import SignRequest, sign_document
from signer.upgrading import raise_file
from signer.validation.facts import ValidationInputs
from tests.attacks.documents import page_pdf
from tests.fakes.clock import START
from tests.signing_world import CLERK, Pictures, SigningWorld, build_signing_world, plain_paper, raw_pdf
from tests.unit.signer.elsewhere import finish, make_card, prepare
from tests.unit.signer.office import Office
from tests.unit.signer.test_preparing import WIDGET, form_pdf
from tests.unit.signer.test_upgrading import upgrading

USER, OWNER = "mở tệp", "chủ sở hữu"
PLAIN_USER, PLAIN_OWNER = "open", "owner"
# name: what qpdf is told. Up to 128 bits a password has no letters of Vietnamese.
WAYS = {
    "RC4-40": ("40", "--allow-weak-crypto"),
    "RC4-128": ("128", "--allow-weak-crypto", "--use-aes=n"),
    "AES-128": ("128", "--allow-weak-crypto", "--use-aes=y"),
    "AES-256 R5": ("256", "--allow-weak-crypto", "--force-R5"),
    "AES-256 R6": ("256",),
}


def encrypt(
    pdf: bytes, folder: Path, way: str, *permissions: str, user: str = PLAIN_USER, owner: str = PLAIN_OWNER
) -> bytes:
    bits, *options = WAYS[way]
    weak = [each for each in options if each == "--allow-weak-crypto"]
    inner = [each for each in options if each not in weak]
    source, target = folder / "clear.pdf", folder / "locked.pdf"
    source.write_bytes(pdf)
    subprocess.run(
        ["qpdf", *weak, "--encrypt", user, owner, bits, *inner, *permissions, "--", source, target], check=True
    )
    return target.read_bytes()


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory, judge: Judge, pictures: Pictures):
    signing = build_signing_world(tmp_path_factory.mktemp("encrypted"), judge, pictures)
    signing.enrol("officer", "officer")
    signing.enrol("seal", "agency-seal")
    yield signing
    signing.world.close()


def reason(signing: SigningWorld, pdf: bytes, password: Password = NO_PASSWORD, **wishes: object) -> str:
    with pytest.raises(Refused) as refused:
        signing.sign(pdf, password=password, **wishes)
    return refused.value.code


def judged(signing: SigningWorld, pdf: bytes, password: str):
    extra = ValidationInputs(signing.world.clock.now(), password=Password(password))
    return signing.judging.verify(pdf, "paper.pdf", extra=extra)


def complaints(file: Path, password: str) -> list[str]:
    done = subprocess.run(
        ["qpdf", f"--password={password}", "--check", file], capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("WARNING", "ERROR"))]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("password", [PLAIN_USER, PLAIN_OWNER])
def test_a_file_of_every_encryption_is_stamped_signed_and_verified(
    signing: SigningWorld, tmp_path: Path, way: str, password: str
) -> None:
    locked = encrypt(plain_paper(), tmp_path, way)
    assert reason(signing, locked) == "INPUT_ENCRYPTED"
    assert reason(signing, locked, Password("wrong")) == "INPUT_PASSWORD_WRONG"
    signed = signing.sign(locked, password=Password(password))
    assert signed.content.startswith(locked)
    assert signed.placed is not None
    # Nothing of ours lies open in a file that its author locked.
    assert "Nguyễn".encode() not in signed.content[len(locked) :]
    for either in (PLAIN_USER, PLAIN_OWNER):
        assert judged(signing, signed.content, either).conclusion == "valid"
    assert judged(signing, signed.content, "").reason == "UNREADABLE_ENCRYPTED"
    assert judged(signing, signed.content, "wrong").reason == "UNREADABLE_PASSWORD_WRONG"
    (tmp_path / "signed.pdf").write_bytes(signed.content)
    assert complaints(tmp_path / "signed.pdf", password) == []
    done = subprocess.run(
        ["pdfsig", "-nocert", "-upw", PLAIN_USER, "-opw", PLAIN_OWNER, tmp_path / "signed.pdf"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Signature is Valid." in done.stdout, done.stderr


def test_a_seal_follows_and_leaves_the_officers_signature_whole(signing: SigningWorld, tmp_path: Path) -> None:
    locked = encrypt(plain_paper(), tmp_path, "AES-256 R6")
    approved = signing.sign(locked, password=Password(PLAIN_USER))
    issued = signing.sign(approved.content, "seal", password=Password(PLAIN_USER))
    verdict = judged(signing, issued.content, PLAIN_USER).to_json()
    assert [each["conclusion"] for each in verdict["signatures"]] == ["valid", "valid"]
    assert reason(signing, approved.content, credential="seal") == "INPUT_ENCRYPTED"


@pytest.mark.parametrize(("user", "owner"), [(USER, OWNER), ("p" * 127, "o")])
def test_passwords_of_any_letters_open_a_file_of_today(
    signing: SigningWorld, tmp_path: Path, user: str, owner: str
) -> None:
    locked = encrypt(plain_paper(), tmp_path, "AES-256 R6", user=user, owner=owner)
    for password in (user, owner):
        assert signing.sign(locked, password=Password(password), placement="required").placed


def test_a_password_of_vietnamese_letters_opens_a_file_of_yesterday(signing: SigningWorld, tmp_path: Path) -> None:
    """Its writer took UTF-8 where the standard has no letters for it."""
    locked = encrypt(plain_paper(), tmp_path, "AES-128", user=USER, owner=OWNER)
    assert signing.sign(locked, password=Password(USER), placement="required").placed


def test_a_file_that_opens_for_everybody_needs_no_password(signing: SigningWorld, tmp_path: Path) -> None:
    locked = encrypt(plain_paper(), tmp_path, "AES-256 R6", user="")
    signed = signing.sign(locked)
    assert judged(signing, signed.content, "").conclusion == "valid"


FREE_FIELD = form_pdf(WIDGET)


@pytest.mark.parametrize(
    ("way", "permissions", "new_field", "own_field"),
    [
        ("AES-256 R6", ("--modify=none",), "INPUT_PERMISSION_SIGN", "INPUT_PERMISSION_SIGN"),
        ("AES-256 R6", ("--modify=assembly",), "INPUT_PERMISSION_SIGN", "INPUT_PERMISSION_SIGN"),
        ("AES-128", ("--modify=form",), "INPUT_PERMISSION_FIELD", ""),
        # Annotations may be made, but no form fields: bit 6 without bit 4.
        ("AES-256 R6", ("--modify=annotate",), "INPUT_PERMISSION_FIELD", ""),
        ("AES-256 R6", ("--modify=all",), "", ""),
        # What a user may not print or copy has nothing to do with signing.
        ("AES-256 R6", ("--print=none", "--extract=n"), "", ""),
        ("RC4-40", ("--annotate=n",), "INPUT_PERMISSION_SIGN", "INPUT_PERMISSION_SIGN"),
        ("RC4-40", ("--modify=n",), "INPUT_PERMISSION_FIELD", ""),
    ],
)
def test_permissions_bind_the_user_and_not_the_owner(
    signing: SigningWorld, tmp_path: Path, way: str, permissions: Sequence[str], new_field: str, own_field: str
) -> None:
    for pdf, expected in ((plain_paper(), new_field), (FREE_FIELD, own_field)):
        locked = encrypt(pdf, tmp_path, way, *permissions)
        if expected:
            assert reason(signing, locked, Password(PLAIN_USER), placement="none") == expected
        else:
            signed = signing.sign(locked, password=Password(PLAIN_USER))
            assert judged(signing, signed.content, PLAIN_USER).conclusion == "valid"
        assert signing.sign(locked, password=Password(PLAIN_OWNER), placement="none")
    if new_field and not own_field:
        assert (
            signing.sign(encrypt(FREE_FIELD, tmp_path, way, *permissions), password=Password(PLAIN_USER)).field
            == "Boss"
        )


def test_an_encryption_that_no_password_opens_is_said(signing: SigningWorld) -> None:
    for_certificates = raw_pdf(
        {1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
         3: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
         4: "<< /Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s4 /V 2 /Length 128 /P -4 /Recipients [<3000>] >>"}
    ).replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 4 0 R /ID [<00><00>]")  # fmt: skip
    assert reason(signing, for_certificates, Password("x")) == "INPUT_ENCRYPTION_UNKNOWN"


@pytest.mark.parametrize("level", ["B-T", "B-LT", "B-LTA"])
def test_every_level_can_be_had(office: Office, tmp_path: Path, level: str) -> None:
    locked, password = encrypt(plain_paper(), tmp_path, "AES-256 R6"), Password(PLAIN_USER)
    request = SignRequest(locked, "a.pdf", "officer", level=level, placement="none", password=password)
    signed = sign_document(request, CLERK, office.deps)
    assert (signed.level, signed.pending) == (level, None)
    extra = ValidationInputs(office.world.clock.now(), password=password)
    assert office.judged(signed.content, extra=extra).facts.reached == level


def test_a_signed_file_is_raised_with_its_password_alone(office: Office, tmp_path: Path) -> None:
    locked, password = encrypt(plain_paper(), tmp_path, "AES-256 R6"), Password(PLAIN_USER)
    request = SignRequest(locked, "a.pdf", "officer", placement="none", password=password)
    signed = sign_document(request, CLERK, office.deps).content
    extra = ValidationInputs(office.world.clock.now(), password=password)
    raised = raise_file(signed, "B-LTA", upgrading(office, extra))
    assert office.judged(raised.content, extra=extra).facts.reached == "B-LTA"
    with pytest.raises(Refused, match="INPUT_ENCRYPTED"):
        raise_file(signed, "B-LTA", upgrading(office))


def test_what_forbids_new_fields_gets_its_proofs_without_a_field(office: Office, tmp_path: Path) -> None:
    locked = encrypt(FREE_FIELD, tmp_path, "AES-256 R6", "--modify=form")
    request = SignRequest(locked, "a.pdf", "officer", level="B-LTA", placement="none", password=Password(PLAIN_USER))
    signed = sign_document(request, CLERK, office.deps)
    assert (signed.field, signed.level, signed.pending) == ("Boss", "B-LT", "B-LTA")


def test_a_password_shows_itself_nowhere(
    signing: SigningWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = Password("s3cr3t-of-mine")
    for value in (secret, SignRequest(b"", "a.pdf", "officer", password=secret), Plan("signature", START, 1, password=secret),
                  ExtensionPlan(password=secret), ValidationInputs(START, password=secret)):  # fmt: skip
        assert "s3cr3t" not in repr(value)
    caplog.set_level(logging.DEBUG)
    locked = encrypt(plain_paper(), tmp_path, "AES-256 R6", user=secret.text)
    signing.sign(locked, password=secret)
    assert reason(signing, locked, Password("s3cr3t-wrong")) == "INPUT_PASSWORD_WRONG"
    assert "s3cr3t" not in caplog.text
    assert "s3cr3t" not in json.dumps(signing.rows("SELECT * FROM audit"), default=str)
    # Not in the judge process's command line or environment either: it has come by the pipe.
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                assert b"s3cr3t" not in (folder / name).read_bytes()
            except OSError:
                continue


@pytest.mark.parametrize("octets", [b"", b"\n", b"\xff\xfe", b"two\nlines", b"p" * 128, b"a\x00b"])
def test_what_is_no_password_is_refused(octets: bytes) -> None:
    with pytest.raises(UsageWrong, match="PASSWORD_MALFORMED"):
        parse_password(octets)


def test_the_end_of_the_line_is_not_part_of_the_password() -> None:
    assert [parse_password(each).text for each in (b"a b", b"a b\n", b"a b\r\n")] == ["a b"] * 3


def test_a_prepared_file_that_is_encrypted_is_finished_with_its_password_given_again(
    office: Office, tmp_path: Path
) -> None:
    card = make_card()
    locked = encrypt(page_pdf(), tmp_path, "AES-256 R6")
    one = prepare(office, card, locked, password=Password(PLAIN_USER))
    value = card.sign(one.to_be_signed)
    for wrong, code in ((NO_PASSWORD, "INPUT_ENCRYPTED"), (Password("other"), "INPUT_PASSWORD_WRONG")):
        with pytest.raises(Refused) as refused:
            finish(office, one, signature=value, password=wrong)
        assert refused.value.code == code
    signed = finish(office, one, signature=value, password=Password(PLAIN_USER))
    (target := tmp_path / "signed.pdf").write_bytes(signed.content)
    assert complaints(target, PLAIN_USER) == []
    extra = ValidationInputs(office.world.clock.now(), password=Password(PLAIN_USER))
    assert office.judged(signed.content, extra=extra).integrity == "intact"
    # It is nowhere in the rows.
    assert all(PLAIN_USER not in str(row) for row in office.rows("SELECT * FROM prepared_documents"))
