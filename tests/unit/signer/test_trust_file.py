"""A trust store as a file: what was signed comes out, and nothing that was altered, is old, or was signed by somebody else is looked at."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from certs.oids import TRUST_STORE_CONTENT
from pki.signed_data import DATA, SignerTemplate
from signer.errors import Refused, SignerError, UsageWrong
from signer.trust_file import StoreEntry, StoreFile, content_octets, read_store, sign_content
from tests.attacks.pki import NOW, Party, Pki, build_pki, make, usage
from tests.attacks.store_signers import PURPOSE, service_of


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="module")
def signer(pki: Pki) -> Party:
    return make("Kho tin cậy", pki.issuing, key_usage=usage(digital_signature=True), more=[PURPOSE])


@pytest.fixture(scope="module")
def store(pki: Pki) -> StoreFile:
    anchor = StoreEntry("government", pki.root.certificate, "CN=Gốc", pki.root.der)
    below = StoreEntry("government", pki.issuing.certificate, "CN=Cấp dưới", pki.issuing.der)
    return StoreFile("ab" * 32, 3, NOW, NOW + timedelta(days=30), "CN=Ai đó", (anchor,), (below,))


def fingerprint(party: Party) -> bytes:
    return bytes.fromhex(party.sha256)


def refusal(octets: bytes, typed: bytes, *, days: int = 1) -> str:
    with pytest.raises(SignerError) as refused:
        read_store(octets, typed, NOW + timedelta(days=days))
    assert isinstance(refused.value, Refused | UsageWrong)
    return refused.value.code


def test_what_was_signed_comes_out(store: StoreFile, signer: Party) -> None:
    octets = sign_content(content_octets(store), service_of(signer))
    assert read_store(octets, fingerprint(signer), NOW) == store
    assert json.loads(content_octets(store))["anchors"][0]["tree"] == "government"


def test_another_fingerprint_than_the_signers_lets_nothing_in(store: StoreFile, signer: Party, pki: Pki) -> None:
    octets = sign_content(content_octets(store), service_of(signer))
    for typed in (fingerprint(pki.root), bytes(32)):
        assert refusal(octets, typed) == "TRUST_STORE_SIGNER_WRONG"


def test_no_octet_of_it_may_be_another(store: StoreFile, signer: Party) -> None:
    octets = sign_content(content_octets(store), service_of(signer))
    for at in range(0, len(octets), 97):
        changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        try:
            assert read_store(changed, fingerprint(signer), NOW) == store
        except SignerError as error:
            assert error.code.startswith("TRUST_STORE_")  # noqa: PT017  either will do
    place = octets.index(b"government")
    other = octets[:place] + b"Government" + octets[place + 10 :]
    assert refusal(other, fingerprint(signer)) == "TRUST_STORE_ALTERED"
    assert refusal(octets + b"\x00", fingerprint(signer)) == "TRUST_STORE_UNREADABLE"


def test_a_store_ends(store: StoreFile, signer: Party) -> None:
    octets = sign_content(content_octets(store), service_of(signer))
    assert refusal(octets, fingerprint(signer), days=31) == "TRUST_STORE_EXPIRED"
    assert refusal(octets, fingerprint(signer), days=-1) == "TRUST_STORE_EXPIRED"
    assert refusal(octets, fingerprint(signer), days=800) == "TRUST_STORE_SIGNER_EXPIRED"


def test_only_a_certificate_for_it_signs_stores(store: StoreFile, pki: Pki) -> None:
    octets = sign_content(content_octets(store), service_of(pki.officer))
    assert refusal(octets, fingerprint(pki.officer)) == "TRUST_STORE_NOT_FOR_THAT"


def test_a_signed_document_is_no_store_though_the_content_is_one(store: StoreFile, signer: Party) -> None:
    service, content = service_of(signer), content_octets(store)
    template = SignerTemplate(service.certificate, service.scheme, DATA)
    octets = template.content_info(template.head(content) + template.certificates(()), b"\x31\x00", b"x")
    assert refusal(octets, fingerprint(signer)) == "TRUST_STORE_UNREADABLE"


@pytest.mark.parametrize("defect", ["form", "more", "spaces", "version", "certificate", "no json"])
def test_what_the_signer_made_badly_is_not_read(store: StoreFile, signer: Party, defect: str) -> None:
    value = json.loads(content_octets(store))
    if defect == "form":
        value["form"] = "antin trust store 2"
    elif defect == "more":
        value["extra"] = 1
    elif defect == "version":
        value["version"] = "3"
    elif defect == "certificate":
        value["anchors"][0]["sha256"] = "00" * 32
    written = json.dumps(value, sort_keys=True, separators=(", ", ":") if defect == "spaces" else (",", ":"))
    content = b"no json" if defect == "no json" else written.encode("ascii")
    octets = sign_content(content, service_of(signer))
    assert refusal(octets, fingerprint(signer)) == "TRUST_STORE_UNREADABLE"


def test_the_type_of_the_content_is_its_own() -> None:
    assert TRUST_STORE_CONTENT.startswith("2.25.")
