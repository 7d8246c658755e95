"""A trust store goes from one home to another: signed there, taken in here by a typed fingerprint, and never an older one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.attacks.pki import Party, make
from tests.installation import User

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def other(user: User, tmp_path: Path) -> User:
    """Another home, of another agency, that works in the same folder."""
    another = User(tmp_path / "other", user.folder)
    another.antin("init", "--agency", "SỞ KHÁC", "--public-url", "http://127.0.0.1:9")
    return another


def anchor(name: str, user: User) -> Party:
    party = make(name, ca=True, not_before=START, not_after=START + timedelta(days=900))
    (user.folder / f"{name}.pem").write_bytes(party.certificate.public_bytes(Encoding.PEM))
    return party


def test_anchors_go_from_home_to_home_and_never_back_in_time(user: User, other: User) -> None:
    government, foreign, typed = (anchor(name, user) for name in ("government", "foreign", "typed"))
    user.antin("trust", "add", "government.pem", "--tree", "government", "--fingerprint", government.sha256)
    user.antin("trust", "add", "foreign.pem", "--tree", "foreign", "--fingerprint", foreign.sha256)
    first = user.json("trust", "export", "-o", "first.store")
    assert [each["tree"] for each in first["anchors"]] == ["internal", "government", "foreign"]
    signer = first["signer_sha256"]
    user.antin("trust", "remove", foreign.sha256)
    second = user.json("trust", "export", "-o", "second.store")
    assert (first["version"], second["version"], second["signer_sha256"]) == (1, 2, signer)
    (key,) = [each for each in user.json("hsm", "keys") if each["label"] == "service-trust-store"]
    assert (key["purpose"], key["state"]) == ("trust-store", "ok")
    user.refused(2, "trust", "export", "-o", "second.store")

    other.antin("trust", "add", "typed.pem", "--tree", "public", "--fingerprint", typed.sha256)
    wrong = other.refused(1, "trust", "import", "first.store", "--fingerprint", government.sha256)
    assert "fingerprint" in wrong
    other.refused(2, "trust", "import", "first.store", "--fingerprint", "abc")
    other.refused(2, "trust", "import", "first.store")
    other.refused(2, "trust", "import", "government.pem", "--fingerprint", signer)
    taken = other.json("trust", "import", "first.store", "--fingerprint", signer)
    assert {each["sha256"] for each in taken["added"] if each["anchor"]} >= {government.sha256, foreign.sha256}
    newer = other.json("trust", "import", "second.store", "--fingerprint", signer)
    assert [each["sha256"] for each in newer["removed"]] == [foreign.sha256]
    other.refused(1, "trust", "import", "first.store", "--fingerprint", signer)
    again = other.json("trust", "import", "second.store", "--fingerprint", signer)
    assert (again["added"], again["removed"]) == ([], [])
    user.refused(1, "trust", "import", "second.store", "--fingerprint", signer)

    anchors = {each["sha256"]: each for each in other.json("trust", "list")["anchors"]}
    assert (anchors[typed.sha256]["origin"], anchors[typed.sha256]["tree"]) == (None, "public")
    assert (anchors[government.sha256]["origin"], anchors[government.sha256]["tree"]) == (first["store"], "government")
    assert foreign.sha256 not in anchors
    rows = other.sql("SELECT action, count(*) FROM audit WHERE action LIKE 'trust.%' GROUP BY action ORDER BY action")
    assert dict(map(tuple, rows)) == {"trust.add": 4, "trust.authority": 1, "trust.import": 2, "trust.remove": 1}
    assert other.antin("audit", "verify")


def test_what_was_altered_is_refused_and_leaves_nothing(user: User, other: User) -> None:
    exported = user.json("trust", "export", "-o", "a.store")
    octets = (user.folder / "a.store").read_bytes()
    at = octets.index(b'"tree":"internal"')
    (user.folder / "b.store").write_bytes(octets[:at] + b'"tree":"national"' + octets[at + 17 :])
    told = other.refused(1, "trust", "import", "b.store", "--fingerprint", exported["signer_sha256"])
    assert "altered" in told
    assert other.json("trust", "list")["anchors"] == []


def test_a_document_of_the_other_home_is_of_a_known_tree_once_its_store_is_here(user: User, other: User) -> None:
    user.sign("paper.pdf", "officer", "theirs.pdf", "--level", "B-LT")
    before = other.json("verify", "theirs.pdf", code=3)
    assert (before["reason"], before["signatures"][0]["integrity"]) == ("UNKNOWN_ISSUER", "intact")
    exported = user.json("trust", "export", "-o", "a.store")
    other.antin("trust", "import", "a.store", "--fingerprint", exported["signer_sha256"])
    verdict = other.json("verify", "theirs.pdf")
    assert (verdict["conclusion"], verdict["signatures"][0]["trust"]) == ("valid", "internal")


def test_the_certificate_that_signs_stores_is_for_nothing_else(user: User) -> None:
    user.antin("trust", "export", "-o", "a.store")
    (serial,) = [each["serial"] for each in user.json("cert", "list") if each["profile"] == "trust-store"]
    held = x509.load_pem_x509_certificate(user.antin("cert", "show", serial, "--pem").encode())
    usage = held.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert (usage.critical, [each.dotted_string for each in usage.value]) == (True, ["0.4.0.2231.3.0"])
