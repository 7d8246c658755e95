"""Strangers' certificates: their state is asked for where they say, OCSP first, and nothing is taken that nobody entitled has signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from api.fetching import HttpFetcher
from signer.errors import Refused, Unavailable
from signer.leveling import LevelingDeps
from signer.raising import upgrade_file
from signer.storage import BlobStore
from signer.strangers import FetchPolicy, StrangerEvidence
from signer.upgrading import UpgradeDeps
from signer.validation.facts import TrustAnchor, ValidationInputs
from tests.attacks.documents import sign
from tests.attacks.pki import NOW, Party, make, make_crl, usage
from tests.fakes.clock import FixedClock
from tests.strangers import OCSP_TYPE, Stranger, addresses, answering, closing, saying, serving
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN


@dataclass
class Tree:
    """Somebody else's root, authority and officer, who say where their state can be asked for."""

    stranger: Stranger
    clock: FixedClock
    root: Party
    issuing: Party
    officer: Party

    @property
    def path(self) -> list[bytes]:
        return [self.officer.der, self.issuing.der, self.root.der]

    def evidence(self, **policy: int) -> StrangerEvidence:
        return StrangerEvidence(HttpFetcher(allows_private=True), self.clock, FetchPolicy(**policy))

    def refusal(self, **policy: int) -> str:
        with pytest.raises(Unavailable) as refused:
            self.evidence(**policy).collect(self.path)
        assert refused.value.code == "REVOCATION_UNAVAILABLE"
        return refused.value.facts["reason"]


@pytest.fixture
def tree() -> Iterator[Tree]:
    clock = FixedClock()
    with serving() as stranger:
        root = make("Root của họ", ca=True)
        issuing = make("CA của họ", root, ca=True, more=addresses(crl_url=stranger.url("/root.crl")))
        officer = make("Người ký", issuing, more=addresses(stranger.url("/ocsp"), stranger.url("/issuing.crl")))
        stranger.handlers |= {
            "/ocsp": answering(officer, issuing, clock.now),
            "/root.crl": saying(200, "application/pkix-crl", make_crl(root)),
            "/issuing.crl": saying(200, "application/pkix-crl", make_crl(issuing)),
        }
        yield Tree(stranger, clock, root, issuing, officer)


def test_ocsp_is_asked_first_and_a_list_where_there_is_no_responder(tree: Tree) -> None:
    evidence = tree.evidence()
    found = evidence.collect(tree.path)
    assert tree.stranger.asked == ["/ocsp", "/root.crl"]
    assert (len(found.ocsps), len(found.crls), found.certificates[:3]) == (1, 1, tuple(tree.path))
    assert evidence.collect(tree.path) == found
    assert len(tree.stranger.asked) == 2  # an hour of signing asks once
    tree.clock.advance(hours=1, minutes=1)
    evidence.collect(tree.path)
    assert len(tree.stranger.asked) == 4


def delegate(tree: Tree, issuer: Party, *, may: bool = True, ended: bool = False) -> Party:
    more = [x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.OCSP_SIGNING])] if may else []
    until = NOW - timedelta(days=1) if ended else NOW + timedelta(days=30)
    return make("Người trả lời", issuer, key_usage=usage(digital_signature=True), more=more, not_after=until)


def test_a_responder_that_the_issuer_delegated_to_is_believed_and_its_certificate_is_kept(tree: Tree) -> None:
    responder = delegate(tree, tree.issuing)
    tree.stranger.handlers["/ocsp"] = answering(tree.officer, responder, tree.clock.now)
    assert responder.der in tree.evidence().collect(tree.path).certificates


def bad_answers(tree: Tree) -> dict[str, object]:
    now, officer = tree.clock.now, tree.officer
    other = make("Người khác", tree.issuing)
    forged = answering(officer, tree.issuing, now)

    def damaged(request, body):
        content = forged(request, body)[2]
        return 200, OCSP_TYPE, content[:-1] + bytes((content[-1] ^ 1,))

    trying_later = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    return {
        "no-answer": closing,
        "garbage": saying(200, OCSP_TYPE, b"garbage"),
        "another-type": saying(200, "text/html", b"<p>"),
        "try-later": saying(200, OCSP_TYPE, trying_later.public_bytes(Encoding.DER)),
        "about-another": answering(other, tree.issuing, now),
        "unknown": answering(officer, tree.issuing, now, status=ocsp.OCSPCertStatus.UNKNOWN),
        "stale": answering(officer, tree.issuing, now, age=timedelta(hours=2)),
        "from-tomorrow": answering(officer, tree.issuing, now, age=-timedelta(minutes=10)),
        "by-nobody": answering(officer, delegate(tree, tree.issuing, may=False), now),
        "by-another-tree": answering(officer, delegate(tree, make("Root lạ", ca=True)), now),
        "by-the-root": answering(officer, delegate(tree, tree.root), now),
        "responder-ended": answering(officer, delegate(tree, tree.issuing, ended=True), now),
        "damaged": damaged,
    }


@pytest.mark.parametrize(
    "which",
    [
        "no-answer", "garbage", "another-type", "try-later", "about-another", "unknown", "stale", "from-tomorrow", "by-nobody",
        "by-another-tree", "by-the-root", "responder-ended", "damaged",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_leads_to_the_list(tree: Tree, which: str) -> None:
    tree.stranger.handlers["/ocsp"] = bad_answers(tree)[which]
    found = tree.evidence().collect(tree.path)
    assert (found.ocsps, len(found.crls)) == ((), 2)


def delta(issuer: Party) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - timedelta(hours=1))
        .next_update(NOW + timedelta(days=1))
        .add_extension(x509.DeltaCRLIndicator(1), critical=True)
    )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("which", ["missing", "garbage", "stale", "forged", "of-another", "delta"])
def test_without_an_answer_or_a_list_that_holds_nothing_is_proved(tree: Tree, which: str) -> None:
    lists = {
        "missing": saying(404, "text/plain", b""),
        "garbage": saying(200, "application/pkix-crl", b"garbage"),
        "stale": saying(200, "application/pkix-crl", make_crl(tree.issuing, next_update=NOW - timedelta(minutes=1))),
        "forged": saying(200, "application/pkix-crl", make_crl(tree.issuing, signed_by=tree.root)),
        "of-another": saying(200, "application/pkix-crl", make_crl(tree.root)),
        "delta": saying(200, "application/pkix-crl", delta(tree.issuing)),
    }
    tree.stranger.handlers |= {"/ocsp": closing, "/issuing.crl": lists[which]}
    assert "FETCH_FAILED" in tree.refusal()


def test_a_list_in_pem_is_read_and_kept_in_der(tree: Tree) -> None:
    crl = x509.load_der_x509_crl(make_crl(tree.issuing))
    tree.stranger.handlers |= {
        "/ocsp": closing, "/issuing.crl": saying(200, "text/plain", crl.public_bytes(Encoding.PEM)),
    }  # fmt: skip
    assert crl.public_bytes(Encoding.DER) in tree.evidence().collect(tree.path).crls


def test_one_file_does_not_make_us_ask_without_end(tree: Tree) -> None:
    assert tree.refusal(exchanges=1) == "FETCH_TOO_MANY"
    assert tree.stranger.asked == ["/ocsp"]


def upgrading(office: Office, tree: Tree, *, fetches: bool = True) -> LevelingDeps:
    tree.clock = office.world.clock
    extra = ValidationInputs(office.world.clock.now(), (TrustAnchor(tree.root.der, "unknown"),))
    extender = replace(office.deps.extender, strangers=tree.evidence() if fetches else None)
    deps = UpgradeDeps(
        office.world.database, office.world.clock, extender, lambda: office.judging.verifier(None, extra),
        office.judging.serial_of,
    )  # fmt: skip
    return LevelingDeps(deps, BlobStore(office.blobs))


@pytest.mark.parametrize("level", ["B-LT", "B-LTA"])
def test_a_strangers_file_is_raised_by_what_his_authorities_say(office: Office, tree: Tree, level: str) -> None:
    raised = upgrade_file(sign(PDF, tree.officer), level, ADMIN, upgrading(office, tree))
    extra = ValidationInputs(office.world.clock.now(), (TrustAnchor(tree.root.der, "unknown"),))
    judged = office.judged(raised.content, extra=extra)
    assert (judged.conclusion, judged.facts.reached, judged.revocation) == ("valid", level, "good")


def test_without_leave_nobody_is_asked(office: Office, tree: Tree) -> None:
    with pytest.raises(Unavailable) as refused:
        upgrade_file(sign(PDF, tree.officer), "B-LT", ADMIN, upgrading(office, tree, fetches=False))
    assert refused.value.facts["reason"] == "FETCH_OFF"
    assert tree.stranger.asked == []


def test_what_is_fetched_may_say_that_it_is_too_late(office: Office, tree: Tree) -> None:
    revoked = answering(tree.officer, tree.issuing, tree.clock.now, status=ocsp.OCSPCertStatus.REVOKED)
    tree.stranger.handlers["/ocsp"] = revoked
    with pytest.raises(Refused) as refused:
        upgrade_file(sign(PDF, tree.officer), "B-LT", ADMIN, upgrading(office, tree))
    assert refused.value.code == "UPGRADE_TOO_LATE"
