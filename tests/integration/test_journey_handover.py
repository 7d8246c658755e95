"""Journey: a document is prepared here, signed with `openssl` by a card that is another government's, and finished by another process."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.installation import VALID_BY_PDFSIG, User, signatures_by_pdfsig
from tests.unit.signer.elsewhere import Card, make_card


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def card(user: User) -> Card:
    """The card's certificates lie beside the paper; its key is known to openssl alone."""
    card = make_card()
    parts = {"card.pem": [card.person], "chain.pem": [card.issuing, card.root], "root.pem": [card.root]}
    for name, parties in parts.items():
        octets = b"".join(party.certificate.public_bytes(Encoding.PEM) for party in parties)
        (user.folder / name).write_bytes(octets)
    key = card.person.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (user.folder / "card.key").write_bytes(key)
    return card


def prepare(user: User, *words: str) -> dict[str, str]:
    who = ("--certificate", "card.pem", "--chain", "chain.pem")
    done: dict[str, str] = user.json("prepare", "paper.pdf", *who, "-o", "octets", "--force", *words)
    return done


def test_a_card_of_another_government_signs_with_openssl(user: User, card: Card) -> None:
    one = prepare(user, "--level", "B-T")
    assert (one["state"], one["credential"], one["signature_algorithm"]) == ("waiting", None, "ecdsa-sha256")
    assert one["id"] in user.antin("prepared", "list")
    openssl(user.folder, "dgst", "-sha256", "-sign", "card.key", "-out", "value", "octets")
    before = user.files()
    assert "--signature" in user.refused(1, "finish", one["id"], "-o", "out.pdf")
    assert one["id"] in user.refused(1, "finish", one["id"], "--signature", "paper.pdf", "-o", "out.pdf")
    user.refused(2, "finish", "0" * 16, "--signature", "value", "-o", "out.pdf")
    user.refused(2, "finish", one["id"], "--signature", "value", "-o", "paper.pdf")
    assert user.files() == before
    signed = user.json("finish", one["id"], "--signature", "value", "-o", "out.pdf", "--trust", "root.pem")
    assert (signed["code"], signed["level"], signed["pending_level"]) == (one["code"], "B-T", None)
    assert signatures_by_pdfsig(user.folder / "out.pdf") == [VALID_BY_PDFSIG]
    (judged,) = user.json("verify", "out.pdf", "--trust", "root.pem", code=3)["signatures"]
    assert (judged["integrity"], judged["reason"], judged["level"]) == ("intact", "UNKNOWN_REVOCATION", "PAdES-B-T")
    assert judged["proven_time"] is not None
    (act,) = user.json("document", "show", one["code"])["signatures"]
    assert (act["credential"], act["certificate"]) == (None, one["certificate"])
    assert one["certificate"] in user.antin("document", "show", one["code"])
    assert user.json("prepared", "show", one["id"])["state"] == "finished"
    assert user.json("prepared", "list") == []
    user.refused(1, "finish", one["id"], "--signature", "value", "-o", "again.pdf")
    assert user.findings() == {}


def test_a_whole_cms_of_openssl_is_no_pades_but_good_in_the_older_form(user: User, card: Card) -> None:
    words = (
        "cms",
        "-sign",
        "-binary",
        "-in",
        "content",
        "-signer",
        "card.pem",
        "-inkey",
        "card.key",
        "-cades",
        "-outform",
        "DER",
    )
    for subfilter, code in (("pades", 1), ("pkcs7", 0)):
        one = prepare(user, "--subfilter", subfilter, "--level", "B-B")
        user.antin("prepared", "show", one["id"], "--content", "content", "--force")
        openssl(user.folder, *words, "-out", "cms.p7s")
        if code:
            assert "signing-time" in user.refused(1, "finish", one["id"], "--cms", "cms.p7s", "-o", "out.pdf")
            user.antin("prepared", "cancel", one["id"])
            continue
        user.antin("finish", one["id"], "--cms", "cms.p7s", "-o", "out.pdf")
    (judged,) = user.json("verify", "out.pdf", "--trust", "root.pem", code=3)["signatures"]
    assert (judged["integrity"], judged["level"]) == ("intact", "PDF-PKCS7")
    assert signatures_by_pdfsig(user.folder / "out.pdf") == [VALID_BY_PDFSIG]


def test_of_two_processes_that_finish_one_document_at_one_moment_one_does(user: User, card: Card) -> None:
    one = prepare(user)
    openssl(user.folder, "dgst", "-sha256", "-sign", "card.key", "-out", "value", "octets")
    outputs = ("a.pdf", "b.pdf")
    racers = [user.start("finish", one["id"], "--signature", "value", "-o", output) for output in outputs]
    for racer in racers:
        racer.communicate(timeout=120)
    ends = [racer.returncode for racer in racers]
    assert sorted(ends) == [0, 1]
    assert [(user.folder / output).exists() for output in outputs] == [end == 0 for end in ends]
    acts = Counter(action for (action,) in user.sql("SELECT action FROM audit WHERE action LIKE 'document.%'"))
    assert (acts["document.prepare"], acts["document.sign"]) == (1, 1)
    assert user.sql("SELECT count(*) FROM documents") == [(1,)]


def test_a_credential_of_the_house_that_is_revoked_meanwhile_finishes_nothing(user: User) -> None:
    one = user.json("prepare", "paper.pdf", "--as", "officer")
    other = user.json("prepare", "paper.pdf", "--as", "officer", "--subfilter", "pkcs7")
    user.antin("finish", one["id"], "-o", "a.pdf")
    assert user.json("verify", "a.pdf")["conclusion"] == "valid"
    user.antin("cert", "revoke", "officer", "--reason", "superseded")
    assert "revoked" in user.refused(1, "finish", other["id"], "-o", "b.pdf")
    assert "revoked" in user.refused(1, "prepare", "paper.pdf", "--as", "officer")
    assert user.json("prepared", "cancel", other["id"])["state"] == "cancelled"


def test_the_doctor_names_what_cannot_be_finished_and_ends_what_is_overdue(user: User) -> None:
    one = user.json("prepare", "paper.pdf", "--as", "officer")
    assert user.findings() == {}
    ((sha256,),) = user.sql("SELECT blob_sha256 FROM prepared_documents")
    blob = user.home / "blobs" / sha256[:2] / sha256
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + b" ")
    assert user.findings() == {"DOCTOR_PREPARED_ALTERED": "register"}
    assert "not what was prepared" in user.refused(1, "finish", one["id"], "-o", "out.pdf")
    blob.unlink()
    assert user.findings() == {"DOCTOR_PREPARED_MISSING": "register"}
    assert "gone" in user.refused(1, "finish", one["id"], "-o", "out.pdf")
    blob.write_bytes(content)
    user.sql("UPDATE prepared_documents SET expires_at = claimed_time")
    assert user.findings() == {"DOCTOR_PREPARED_LEFT": "register"}
    user.run("doctor", "--mend")
    assert user.findings() == {}
    assert user.json("prepared", "show", one["id"])["state"] == "expired"
    assert not blob.exists()
    assert one["id"] in user.antin("prepared", "list", "--all")


def test_wrong_usage_says_what_is_wrong(user: User, card: Card) -> None:
    before = user.files()
    user.refused(2, "prepare", "paper.pdf")
    user.refused(2, "prepare", "paper.pdf", "--as", "officer", "--certificate", "card.pem")
    assert "--certificate" in user.refused(2, "prepare", "paper.pdf", "--as", "officer", "--chain", "chain.pem")
    assert "certificate" in user.refused(2, "prepare", "paper.pdf", "--certificate", "paper.pdf")
    assert "contentCommitment" not in user.refused(1, "prepare", "paper.pdf", "--certificate", "root.pem")
    user.refused(2, "prepare", "paper.pdf", "--as", "nobody")
    user.refused(2, "prepare", "card.pem", "--as", "officer")
    user.refused(2, "prepared", "show", "x' OR 1")
    assert user.files() == before
