"""NIST's path validation tests (PKITS 1.0.1) through our path finding and policy: each message with its own certificates and lists.

The initial settings are those of verifying a document: any policy, nothing required or inhibited. What comes out otherwise than PKITS has it
stands here with its reason.
"""

from __future__ import annotations

import email
from datetime import UTC, datetime
from pathlib import Path

import cryptography_vectors
from asn1crypto import cms, x509

from signer.validation.certificates import certificate_facts
from signer.validation.facts import SignatureFacts, TrustAnchor, ValidationInputs
from signer.validation.paths import PathFinder
from signer.validation.policy import JudgedSignature, judge_signature, load_policy

VECTORS = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
AT = datetime(2024, 6, 1, tzinfo=UTC)


def messages() -> dict[str, Path]:
    return {path.stem.removeprefix("Signed"): path for path in sorted((VECTORS / "smime").glob("*.eml"))}


def outcome(path: Path) -> JudgedSignature:
    """The signer of one message, judged as the signer of an intact document would be."""
    message = email.message_from_bytes(path.read_bytes())
    payload = next(part for part in message.walk() if "pkcs7" in part.get_content_type())
    octets = payload.get_payload(decode=True)
    assert isinstance(octets, bytes)
    signed = cms.ContentInfo.load(octets)["content"]
    certificates = [each.chosen for each in signed["certificates"]]
    wanted = signed["signer_infos"][0]["sid"].chosen["serial_number"].native
    issuer = signed["signer_infos"][0]["sid"].chosen["issuer"]
    signer = next(c for c in certificates if c.serial_number == wanted and c.issuer == issuer)
    others = [each for each in certificates if each is not signer]
    inputs = ValidationInputs(
        at=AT,
        anchors=(TrustAnchor((VECTORS / "certs" / "TrustAnchorRootCertificate.crt").read_bytes(), "public"),),
        crls=tuple(each.chosen.dump() for each in signed["crls"]),
    )
    signer, others = x509.Certificate.load(signer.dump()), [x509.Certificate.load(each.dump()) for each in others]
    facts = SignatureFacts(
        field="", type="signature", subfilter="/adbe.pkcs7.detached", digest_ok=True, signature_ok=True, coverage="whole-file",
        changes_after="none", digest_algorithm="sha256", signature_algorithm="rsassa-pkcs1v15", signer=certificate_facts(signer),
        path=PathFinder(inputs).find(signer, others),
    )  # fmt: skip
    return judge_signature(facts, lambda _: None, AT, load_policy())


# PKITS 4.8 and others name neither outcome; with any policy and nothing required these fail and the others pass.
FAILING = {f"DifferentPoliciesTest{number}" for number in (4, 5, 7, 8, 9, 12)} | {"MissingCRLTest1"}

# Valid there, and here "indeterminate": each is an answer that is not had, none is a wrong one.
REASONS = "lists for some reasons only are not used (RFC 5280 5.2.5)"
OWN_LIST = "the only list about the signer of the list is one that it has signed itself"
WEAKER = {
    "ValidcRLIssuerTest28": OWN_LIST,
    "ValidcRLIssuerTest29": OWN_LIST,
    "ValidcRLIssuerTest30": OWN_LIST,
    "ValidonlySomeReasonsTest18": REASONS,
    "ValidonlySomeReasonsTest19": REASONS,
    "ValidRolloverfromPrintableStringtoUTF8StringTest10": "the issuer of a list is compared octet by octet",
    "ValidDSASignaturesTest4": "DSA is not among the algorithms of the policy",
    "ValidDSAParameterInheritanceTest5": "DSA is not among the algorithms of the policy",
    "ValidNameChainingUIDsTest6": "unique identifiers, which RFC 5280 4.1.2.8 forbids, are not read",
}


def test_every_path_comes_out_as_pkits_has_it_or_says_why_not() -> None:
    judged = {name: outcome(path) for name, path in messages().items()}
    assert len(judged) == 224
    meant = {name for name in judged if not name.startswith("Invalid") and name not in FAILING}
    valid = {name for name, each in judged.items() if each.conclusion == "valid"}
    assert valid - meant == set()
    assert meant - valid == set(WEAKER)
    assert {judged[name].conclusion for name in WEAKER} == {"indeterminate"}
