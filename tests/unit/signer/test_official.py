"""signer/official: certificates that authorities outside issue for keys here, from the request to the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from sqlalchemy import text

from certs.inventory import get_certificate
from certs.names import parse_subject
from hsm.spec import KeySpec
from pki.audit import Actor
from pki.errors import RoleMissing
from pki.expiry_notices import NoticeDesk, NoticePolicy
from signer.credentials import CredentialDesk
from signer.errors import Refused, Unavailable, UsageWrong
from signer.official import Imported, OfficialDeps, RequestWish, import_certificate, read_bundle, request_certificate
from signer.official_standing import OfficialStanding
from signer.trust_lists import TrustLists, import_list
from signer.trust_store import TrustDeps, add_anchor, list_trusted, parse_fingerprint, remove_anchor
from signer.trusted_evidence import TrustedEvidence
from signer.validation.verdict import Verdict
from tests.official import LookAlike, look_alike, person
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN

SUBJECT = "CN=Nguyễn Văn An,O=TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG,C=VN"


@dataclass
class Bureau:
    """An office that takes in certificates of others."""

    office: Office
    lists: TrustLists

    @property
    def deps(self) -> OfficialDeps:
        world = self.office.world
        return OfficialDeps(world.database, world.keys, world.clock, self.lists, "pss")

    @property
    def trust(self) -> TrustDeps:
        return TrustDeps(self.office.world.database, self.office.world.clock)

    def believe(self, other: LookAlike) -> None:
        add_anchor(other.root, other.tree, other.fingerprint, ADMIN, self.trust)

    def ask(self, name: str = "an", spec: KeySpec = KeySpec.P_256, **more: Any) -> bytes:
        wish = RequestWish(name, "officer", parse_subject(SUBJECT), spec, **more)
        return request_certificate(wish, ADMIN, self.deps)

    def take(self, *certificates: x509.Certificate) -> Imported:
        return import_certificate(certificates, ADMIN, self.deps)

    def bring_lists(self, other: LookAlike, *revoked: int, **how: Any) -> None:
        for crl in other.lists(*revoked, **how):
            import_list(crl, [], ADMIN, self.trust)

    def settle(self, other: LookAlike, **how: Any) -> Imported:
        """The whole way: believed, asked, issued, taken in, and its lists brought."""
        self.believe(other)
        done = self.take(other.certify(self.ask(**how)), other.issuing)
        self.bring_lists(other)
        return done

    def sign(self, level: str = "B-B", credential: str = "an", pdf: bytes = PDF) -> bytes:
        world, deps = self.office.world, self.office.deps
        evidence = TrustedEvidence(world.database, world.clock, self.lists)
        standing = OfficialStanding(world.database, world.clock, self.lists, evidence)
        assert deps.extender is not None
        self.office.deps = replace(
            deps,
            desk=CredentialDesk(world.database, world.keys, world.clock, standing),
            extender=replace(deps.extender, strangers=evidence),
        )
        return self.office.signed(level, pdf, credential=credential).content

    def verdict(self, pdf: bytes) -> Verdict:
        return self.office.judging.verify(pdf, "a.pdf")


@pytest.fixture
def bureau(office: Office) -> Bureau:
    return Bureau(office, TrustLists())


@pytest.fixture
def state(bureau: Bureau) -> LookAlike:
    return look_alike("government", 2, bureau.office.world.clock.now())


def refusal(call: Any) -> str:
    with pytest.raises((Refused, Unavailable, UsageWrong)) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize(
    ("tree", "generation", "spec"),
    [
        ("government", 1, KeySpec.RSA_2048),
        ("government", 2, KeySpec.P_256),
        ("public", 0, KeySpec.P_384),
        ("foreign", 0, KeySpec.P_256),
        ("internal", 0, KeySpec.P_256),
    ],
)
def test_the_verdict_names_the_tree_that_the_certificate_stands_in(
    bureau: Bureau, tree: str, generation: int, spec: KeySpec
) -> None:
    other = look_alike(tree, generation, bureau.office.world.clock.now())
    done = bureau.settle(other, spec=spec)
    assert (done.credential, done.tree, done.is_new) == ("an", tree, True)
    verdict = bureau.verdict(bureau.sign())
    (judged,) = verdict.judged.signatures
    assert (verdict.conclusion, verdict.reason) == ("valid", "VALID")
    assert (judged.trust, judged.revocation, judged.integrity) == (tree, "good", "intact")
    assert verdict.to_json()["signatures"][0]["signer"]["common_name"] == "Nguyễn Văn An"


def test_at_b_lta_the_proofs_stand_in_the_file_and_need_no_list_any_more(bureau: Bureau, state: LookAlike) -> None:
    bureau.settle(state)
    signed = bureau.sign("B-LTA")
    with bureau.office.world.database.write() as session:
        session.execute(text("DELETE FROM trust_lists"))
    verdict = bureau.verdict(signed)
    (judged,) = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
    assert (judged.conclusion, judged.trust, judged.facts.level) == ("valid", "government", "PAdES-B-LTA")


def test_without_a_proof_that_it_is_not_revoked_nothing_is_signed(bureau: Bureau, state: LookAlike) -> None:
    bureau.believe(state)
    bureau.take(state.certify(bureau.ask()), state.issuing)
    assert refusal(bureau.sign) == "OFFICIAL_STATE_UNKNOWN"
    bureau.bring_lists(state)
    assert bureau.sign()
    # A list is believed until its end and no longer.
    bureau.office.world.clock.advance(days=8)
    assert refusal(bureau.sign) == "OFFICIAL_STATE_UNKNOWN"


def test_a_revoked_one_signs_nothing_and_what_it_signed_says_so(bureau: Bureau, state: LookAlike) -> None:
    bureau.settle(state)
    signed = bureau.sign()
    serial = int(bureau.office.rows("SELECT certificate_serial FROM credentials WHERE name = 'an'")[0][0], 16)
    world = bureau.office.world
    world.clock.advance(minutes=30)
    bureau.bring_lists(state, serial, when=world.clock.now())
    assert refusal(bureau.sign) == "CREDENTIAL_REVOKED"
    (judged,) = bureau.verdict(signed).judged.signatures
    assert (judged.conclusion, judged.reason) == ("indeterminate", "UNKNOWN_REVOKED_NO_TIME")


def test_a_key_that_is_not_here_is_nobodys(bureau: Bureau, state: LookAlike) -> None:
    bureau.believe(state)
    stranger = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(person()).sign(stranger, hashes.SHA256())
    wrong = state.certify(csr.public_bytes(Encoding.DER))
    bureau.ask()
    assert refusal(lambda: bureau.take(wrong, state.issuing)) == "OFFICIAL_KEY_UNKNOWN"
    assert bureau.office.rows("SELECT name FROM credentials") == [("officer",)]


def test_what_has_ended_or_not_begun_is_refused(bureau: Bureau, state: LookAlike) -> None:
    bureau.believe(state)
    csr, now = bureau.ask(), bureau.office.world.clock.now()
    old = state.certify(csr, begin=now - timedelta(days=30), days=29)
    assert refusal(lambda: bureau.take(old, state.issuing)) == "OFFICIAL_EXPIRED"
    early = state.certify(csr, begin=now + timedelta(days=1))
    assert refusal(lambda: bureau.take(early, state.issuing)) == "OFFICIAL_NOT_YET_VALID"


def test_a_chain_that_ends_nowhere_is_refused_whatever_it_is_called(bureau: Bureau, state: LookAlike) -> None:
    bureau.believe(state)
    csr = bureau.ask()
    assert refusal(lambda: bureau.take(state.certify(csr))) == "OFFICIAL_CHAIN_NOWHERE"
    # Another authority of the very same names, and a root that comes along with it.
    twin = replace(
        look_alike("government", 2, state.now), root_key=state.root_key, issuing_key=look_alike("public").issuing_key
    )
    assert refusal(lambda: bureau.take(twin.certify(csr), twin.issuing)) == "OFFICIAL_CHAIN_NOWHERE"
    other = look_alike("public", 0, state.now)
    assert refusal(lambda: bureau.take(other.certify(csr), other.issuing, other.root)) == "OFFICIAL_CHAIN_NOWHERE"


def test_authorities_and_certificates_for_other_uses_are_refused(bureau: Bureau, state: LookAlike) -> None:
    bureau.believe(state)
    request = x509.load_der_x509_csr(bureau.ask())
    builder = (
        x509.CertificateBuilder().subject_name(person()).issuer_name(state.issuing.subject)
        .public_key(request.public_key()).serial_number(9).not_valid_before(state.now - timedelta(days=1))
        .not_valid_after(state.now + timedelta(days=1))
    )  # fmt: skip
    authority = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    assert refusal(lambda: bureau.take(authority.sign(state.issuing_key, hashes.SHA256()))) == "OUTSIDE_IS_AUTHORITY"


def test_one_of_our_own_is_no_official_one(bureau: Bureau) -> None:
    with bureau.office.world.database.read() as session:
        own = get_certificate(session, bureau.office.serial)
    assert refusal(lambda: bureau.take(own.certificate())) == "OFFICIAL_IS_OWN"


def test_asked_again_it_is_for_the_same_key_and_taken_in_again_nothing_changes(
    bureau: Bureau, state: LookAlike
) -> None:
    first, second = bureau.ask(), bureau.ask()
    keys = [x509.load_der_x509_csr(each).public_key() for each in (first, second)]
    assert keys[0] == keys[1]
    bureau.believe(state)
    certificate = state.certify(second)
    assert bureau.take(certificate, state.issuing).is_new
    count = "SELECT count(*) FROM audit"
    before = bureau.office.rows(count)
    assert not bureau.take(certificate, state.issuing).is_new
    assert bureau.office.rows(count) == before


def test_renewed_the_same_way_it_signs_with_the_new_certificate(bureau: Bureau, state: LookAlike) -> None:
    bureau.settle(state)
    old = bureau.sign()
    csr = request_certificate(RequestWish("an"), ADMIN, bureau.deps)
    request = x509.load_der_x509_csr(csr)
    assert "CCCD:001200000017" in request.subject.rfc4514_string(), "the subject is that of the present certificate"
    renewed = state.certify(csr, days=3 * 365)
    assert bureau.take(renewed, state.issuing).credential == "an"
    new = bureau.sign()
    assert renewed.public_bytes(Encoding.DER).hex().encode() in new.lower()
    assert renewed.public_bytes(Encoding.DER).hex().encode() not in old.lower()
    assert bureau.office.rows("SELECT count(*) FROM outside_certificates WHERE ended_at IS NULL") == [(1,)]
    assert all(bureau.verdict(each).conclusion == "valid" for each in (old, new))


def test_a_credential_of_ours_can_get_an_official_certificate_for_its_key(bureau: Bureau, state: LookAlike) -> None:
    bureau.believe(state)
    csr = request_certificate(RequestWish("officer"), ADMIN, bureau.deps)
    assert bureau.verdict(bureau.sign(credential="officer")).judged.signatures[0].trust == "internal"
    bureau.take(state.certify(csr), state.issuing)
    bureau.bring_lists(state)
    assert bureau.verdict(bureau.sign(credential="officer")).judged.signatures[0].trust == "government"


def test_reminders_come_before_its_end_once_for_each_threshold(bureau: Bureau, state: LookAlike) -> None:
    bureau.believe(state)
    bureau.take(state.certify(bureau.ask(), days=300), state.issuing)
    world = bureau.office.world
    desk = NoticeDesk(world.database, world.clock, NoticePolicy())
    desk.make_due(ADMIN)
    said: list[int] = []
    for _ in range(320):
        world.clock.advance(days=1)
        desk.make_due(ADMIN)
        said += [each.days for each in desk.list_notices() if each.profile == "official" and each.days not in said]
    assert said == [90, 30, 7, 1, 0]
    assert {each.issuer for each in desk.list_notices() if each.profile == "official"} == {
        "CN=Look-alike government 2 CA,O=Look-alike government 2,C=VN"
    }


def test_a_bundle_comes_in_every_form_that_authorities_send(state: LookAlike) -> None:
    both = [state.issuing, state.root]
    forms = [
        b"".join(each.public_bytes(Encoding.PEM) for each in both),
        pkcs7.serialize_certificates(both, Encoding.DER),
        pkcs7.serialize_certificates(both, Encoding.PEM),
    ]
    for form in forms:
        assert set(read_bundle(form)) == set(both)
    assert read_bundle(state.root.public_bytes(Encoding.DER)) == [state.root]
    for nonsense in (b"", b"nonsense", b"\x30\x03\x02\x01\x01", b"-----BEGIN CERTIFICATE-----\nAA==\n"):
        assert refusal(lambda nonsense=nonsense: read_bundle(nonsense)) == "OUTSIDE_UNREADABLE"


def test_who_may_not_manage_trust_or_credentials_changes_nothing(bureau: Bureau, state: LookAlike) -> None:
    nobody = Actor("nobody")
    for deed in (
        lambda: add_anchor(state.root, "government", state.fingerprint, nobody, bureau.trust),
        lambda: remove_anchor("00000000", nobody, bureau.trust),
        lambda: import_list(state.lists()[0], [], nobody, bureau.trust),
        lambda: request_certificate(RequestWish("an", "officer", parse_subject(SUBJECT)), nobody, bureau.deps),
        lambda: import_certificate([state.issuing], nobody, bureau.deps),
    ):
        with pytest.raises(RoleMissing):
            deed()
    assert bureau.office.rows("SELECT count(*) FROM trusted_certificates") == [(0,)]


def test_an_anchor_is_believed_by_its_fingerprint_alone(bureau: Bureau, state: LookAlike) -> None:
    public = look_alike("public", 0, state.now)
    wrong = public.fingerprint
    assert (
        refusal(lambda: add_anchor(state.root, "government", wrong, ADMIN, bureau.trust)) == "TRUST_FINGERPRINT_WRONG"
    )
    typed = ":".join(f"{octet:02X}" for octet in state.fingerprint)
    assert parse_fingerprint(typed) == state.fingerprint
    for nonsense in ("", "abcd", "g" * 64, state.fingerprint.hex()[:-2]):
        assert refusal(lambda nonsense=nonsense: parse_fingerprint(nonsense)) == "TRUST_FINGERPRINT_MALFORMED"
    bureau.believe(state)
    bureau.believe(state)
    again = lambda: add_anchor(state.root, "public", state.fingerprint, ADMIN, bureau.trust)  # noqa: E731
    assert refusal(again) == "TRUST_OTHER_TREE"
    assert bureau.office.rows("SELECT count(*) FROM audit WHERE action = 'trust.add'") == [(1,)]
    with bureau.office.world.database.read() as session:
        own = bureau.office.world.root.certificate
        assert len(list_trusted(session)) == 1
    owned = lambda: add_anchor(own, "public", own.fingerprint(hashes.SHA256()), ADMIN, bureau.trust)  # noqa: E731
    assert refusal(owned) == "TRUST_OWN_AUTHORITY"


def test_who_is_removed_is_believed_no_more(bureau: Bureau, state: LookAlike) -> None:
    bureau.settle(state)
    signed = bureau.sign()
    assert refusal(lambda: remove_anchor("abc", ADMIN, bureau.trust)) == "TRUST_ANCHOR_UNKNOWN"
    remove_anchor(state.fingerprint.hex()[:8], ADMIN, bureau.trust)
    assert refusal(bureau.sign) == "OFFICIAL_CHAIN_NOWHERE"
    verdict = bureau.verdict(signed)
    assert (verdict.conclusion, verdict.reason, verdict.judged.signatures[0].trust) == (
        "indeterminate", "UNKNOWN_ISSUER", "unknown",
    )  # fmt: skip


def test_only_a_complete_newer_list_of_somebody_believed_is_taken_in(bureau: Bureau, state: LookAlike) -> None:
    crl = state.lists()[1]
    assert refusal(lambda: import_list(crl, [], ADMIN, bureau.trust)) == "TRUST_LIST_ISSUER_UNKNOWN"
    given = [state.issuing]
    assert refusal(lambda: import_list(crl, given, ADMIN, bureau.trust)) == "OFFICIAL_CHAIN_NOWHERE"
    bureau.believe(state)
    import_list(crl, given, ADMIN, bureau.trust)
    older = state.lists(when=state.now - timedelta(days=2))[1]
    assert refusal(lambda: import_list(older, [], ADMIN, bureau.trust)) == "TRUST_LIST_OLDER"
    ended = state.lists(when=state.now - timedelta(days=30))[1]
    assert refusal(lambda: import_list(ended, [], ADMIN, bureau.trust)) == "TRUST_LIST_NOT_FRESH"
    assert refusal(lambda: import_list(b"nonsense", [], ADMIN, bureau.trust)) == "TRUST_LIST_UNREADABLE"
    part = (
        x509.CertificateRevocationListBuilder().issuer_name(state.issuing.subject).last_update(state.now)
        .next_update(state.now + timedelta(days=1)).add_extension(x509.DeltaCRLIndicator(1), critical=True)
    )  # fmt: skip
    delta = part.sign(state.issuing_key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert refusal(lambda: import_list(delta, [], ADMIN, bureau.trust)) == "TRUST_LIST_PARTIAL"
    forged = state.lists()[1]
    forged = forged[:-4] + bytes(4)
    assert refusal(lambda: import_list(forged, [], ADMIN, bureau.trust)) == "TRUST_LIST_ISSUER_UNKNOWN"
