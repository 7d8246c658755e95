"""Each rule stops the certificate that breaks it, and none stops a good one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from certs.catalogue import read_catalogue
from certs.errors import LintFailed
from certs.lint.judge import check_certificate, lint_certificate
from certs.lint.rules import FRAME_RULES, RULES
from certs.lint.twin import Twin
from certs.names import build_name, parse_subject
from certs.profile import Validity
from certs.template import IssuerFacts, key_identifier
from hsm.spec import spki_der
from tests.reference_certificate import build_certificate

START = datetime(2026, 11, 21, tzinfo=UTC)
CATALOGUE = read_catalogue()
CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA_NAME = parse_subject("CN=Hương Giang Issuing CA,O=Sở,C=VN")
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())
SERIAL = 1 << 158 | 5


def builder_of(profile_name: str, subject: str, key, days: int, serial: int = SERIAL) -> x509.CertificateBuilder:
    url = "http://pki.example/"
    end = START + timedelta(days=4000)
    facts = IssuerFacts(
        build_name(CA_NAME), key_identifier(spki_der(CA_KEY.public_key())), end, url + "crl", url + "ca"
    )
    return build_certificate(
        CATALOGUE.get(profile_name),
        parse_subject(subject),
        key.public_key(),
        facts,
        serial=serial,
        validity=Validity(START, START + timedelta(days=days)),
    )


def signed(builder: x509.CertificateBuilder, digest=None) -> x509.Certificate:
    return builder.sign(CA_KEY, digest or hashes.SHA256())


def authority() -> x509.Certificate:
    return signed(builder_of("issuing", str(CA_NAME), CA_KEY, 3653))


ISSUER = authority()


def rebuilt(change=None, *, drop=None, add=None, **parts) -> x509.CertificateBuilder:
    """The good seal certificate with one thing different."""
    good = builder_of("agency-seal", "CN=Trung tâm,O=Trung tâm,C=VN", LEAF_KEY, 731)
    values = {
        "issuer_name": good._issuer_name,
        "subject_name": good._subject_name,
        "public_key": good._public_key,
        "serial_number": good._serial_number,
        "not_valid_before": good._not_valid_before,
        "not_valid_after": good._not_valid_after,
        "extensions": [e for e in good._extensions if drop is None or not isinstance(e.value, drop)],
    } | parts
    builder = x509.CertificateBuilder(**values)
    for extension, critical in add or ():
        builder = builder.add_extension(extension, critical=critical)
    return builder


def broken_rules(certificate: x509.Certificate, profile: str = "agency-seal", issuer=ISSUER) -> set[str]:
    return {finding.rule for finding in lint_certificate(Twin(certificate, CATALOGUE.get(profile), issuer))}


def usage(**bits) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


def naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


TIME_STAMPING = x509.ExtendedKeyUsageOID.TIME_STAMPING
WEAK_KEY = rsa.generate_private_key(public_exponent=3, key_size=2048)
OTHER_NAME = build_name(parse_subject("CN=Somebody else,C=VN"))
# Written past our own parser, as a bug in it would.
DECOMPOSED = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Trung ta\u0302m")])
BIDI = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\u202eb")])
OTHER_UID = x509.Name([x509.NameAttribute(x509.NameOID.USER_ID, "ABC:1")])
PERSONAL_UID = x509.Name([x509.NameAttribute(x509.NameOID.USER_ID, "CCCD:012345678901")])
UTF8_COUNTRY = x509.Name([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "VN", x509.name._ASN1Type.UTF8String)])
CDP = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier("ldap://pki.example/crl")], None, None, None)]
)

BROKEN = {
    "short serial": ("serial_is_long_and_positive", {"serial_number": 5}),
    "too long a term": ("validity_is_ordered", {"not_valid_after": naive(START + timedelta(days=800))}),
    "no time at all": ("validity_is_ordered", {"not_valid_after": naive(START)}),
    "ends after its issuer": (
        "validity_lies_within_the_issuers",
        {"not_valid_after": naive(START + timedelta(days=3700))},
    ),
    "begins before its issuer": (
        "validity_lies_within_the_issuers",
        {"not_valid_before": naive(START - timedelta(days=1))},
    ),
    "another issuer name": ("issuer_name_is_the_issuers_subject", {"issuer_name": OTHER_NAME}),
    "empty subject": ("subject_is_well_formed", {"subject_name": x509.Name([])}),
    "decomposed letters": ("subject_is_well_formed", {"subject_name": DECOMPOSED}),
    "direction characters": ("subject_is_well_formed", {"subject_name": BIDI}),
    "country as UTF8String": ("subject_is_well_formed", {"subject_name": UTF8_COUNTRY}),
    "no key usage": ("key_usage_is_the_profiles", {"drop": x509.KeyUsage}),
    "key usage not critical": (
        "key_usage_is_the_profiles",
        {"drop": x509.KeyUsage, "add": [(usage(content_commitment=True), False)]},
    ),
    "signer with digitalSignature": (
        "signers_have_non_repudiation_alone",
        {"drop": x509.KeyUsage, "add": [(usage(content_commitment=True, digital_signature=True), True)]},
    ),
    "leaf as authority": (
        "basic_constraints_fit",
        {"add": [(x509.BasicConstraints(ca=True, path_length=None), True)]},
    ),
    "no SKI": ("subject_key_identifier_fits_the_key", {"drop": x509.SubjectKeyIdentifier}),
    "SKI of another key": (
        "subject_key_identifier_fits_the_key",
        {"drop": x509.SubjectKeyIdentifier, "add": [(x509.SubjectKeyIdentifier(b"x" * 20), False)]},
    ),
    "no AKI": ("authority_key_identifier_fits_the_issuer", {"drop": x509.AuthorityKeyIdentifier}),
    "AKI of another issuer": (
        "authority_key_identifier_fits_the_issuer",
        {"drop": x509.AuthorityKeyIdentifier, "add": [(x509.AuthorityKeyIdentifier(b"x" * 20, None, None), False)]},
    ),
    "weak key": ("public_key_is_strong", {"public_key": WEAK_KEY.public_key()}),
    "purpose that nobody asked for": (
        "extended_key_usage_is_the_profiles",
        {"add": [(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False)]},
    ),
    "nocheck outside a responder": ("no_check_is_the_profiles", {"add": [(x509.OCSPNoCheck(), False)]}),
    "time-stamping beside another purpose": (
        "time_stamping_stands_alone",
        {"add": [(x509.ExtendedKeyUsage([TIME_STAMPING, x509.ExtendedKeyUsageOID.SERVER_AUTH]), True)]},
    ),
    "time-stamping not critical": (
        "time_stamping_stands_alone",
        {"add": [(x509.ExtendedKeyUsage([TIME_STAMPING]), False)]},
    ),
    "no CRL pointer": ("pointers_are_the_profiles", {"drop": x509.CRLDistributionPoints}),
    "CRL pointer that is not HTTP": (
        "pointers_are_the_profiles",
        {"drop": x509.CRLDistributionPoints, "add": [(CDP, False)]},
    ),
    "policy that nobody asked for": (
        "policies_are_the_profiles",
        {"add": [(x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]), False)]},
    ),
    "alternative name of another kind": (
        "alternative_names_are_allowed",
        {"add": [(x509.SubjectAlternativeName([x509.DNSName("pki.example")]), False)]},
    ),
    "server name that is none": (
        "alternative_names_are_well_formed",
        {"add": [(x509.SubjectAlternativeName([x509.DNSName("*.pki.example")]), False)]},
    ),
    "mail address that is none": (
        "alternative_names_are_well_formed",
        {"add": [(x509.SubjectAlternativeName([x509.RFC822Name("a@localhost")]), False)]},
    ),
    "the same name twice": (
        "alternative_names_are_well_formed",
        {"add": [(x509.SubjectAlternativeName([x509.RFC822Name("a@b.vn")] * 2), False)]},
    ),
    "alternative names critical": (
        "alternative_names_are_well_formed",
        {"add": [(x509.SubjectAlternativeName([x509.RFC822Name("a@b.vn")]), True)]},
    ),
    "UID of a kind that nobody knows": ("identifiers_fit", {"subject_name": OTHER_UID}),
    "UID of a person in a seal": ("identifiers_fit", {"subject_name": PERSONAL_UID}),
    "unknown extension": (
        "only_known_extensions",
        {"add": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), False)]},
    ),
}


def test_a_good_leaf_and_a_good_authority_pass():
    check_certificate(Twin(signed(rebuilt()), CATALOGUE.get("agency-seal"), ISSUER))
    assert broken_rules(ISSUER, "issuing", None) == set()


@pytest.mark.parametrize("defect", BROKEN)
def test_a_defect_is_found_by_its_rule(defect):
    rule, change = BROKEN[defect]
    assert rule in broken_rules(signed(rebuilt(**change)))


def test_a_name_of_sixty_five_characters_is_found():
    long = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "ơ" * 65)])
    assert "subject_is_well_formed" in broken_rules(signed(rebuilt(subject_name=long)))


def test_a_weak_digest_is_found():
    # No library here signs with SHA-1 any more, so the algorithm's octets are exchanged: ecdsa-with-SHA224 for SHA256.
    der = bytearray(signed(rebuilt()).public_bytes(Encoding.DER))
    sha256, sha224 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040301")
    weak = x509.load_der_x509_certificate(bytes(der).replace(sha256, sha224))
    assert "signature_algorithm_is_strong_and_stated_twice" in broken_rules(weak)
    mixed = x509.load_der_x509_certificate(bytes(der).replace(sha256, sha224, 1))
    assert "signature_algorithm_is_strong_and_stated_twice" in broken_rules(mixed)


def test_a_time_in_the_wrong_form_is_found():
    parsed = asn1_x509.Certificate.load(signed(rebuilt()).public_bytes(Encoding.DER))
    tbs = parsed["tbs_certificate"]
    tbs["validity"]["not_after"] = asn1_x509.Time({"general_time": START + timedelta(days=700)})
    certificate = x509.load_der_x509_certificate(parsed.dump(force=True))
    assert broken_rules(certificate) == {"times_have_the_form_of_their_year"}


def test_an_authority_under_a_leafs_only_issuer_is_found():
    below = signed(builder_of("issuing", "CN=Below,O=Sở,C=VN", LEAF_KEY, 3000))
    assert "path_length_of_the_issuer_allows_it" in broken_rules(below, "issuing", ISSUER)


def test_a_server_whose_common_name_is_not_among_its_names_is_found():
    builder = builder_of("tls-server", "CN=a.pki.example,C=VN", LEAF_KEY, 300)
    names = x509.SubjectAlternativeName([x509.DNSName("b.pki.example")])
    assert broken_rules(signed(builder.add_extension(names, critical=False)), "tls-server") == {
        "common_name_is_an_alternative_name"
    }


def test_a_rule_that_cannot_judge_does_not_pass_the_certificate():
    no_constraints = signed(rebuilt())
    assert "path_length_of_the_issuer_allows_it" in broken_rules(signed(rebuilt()), "agency-seal", no_constraints)


def test_the_error_names_the_rules():
    with pytest.raises(LintFailed) as refused:
        check_certificate(Twin(signed(rebuilt(serial_number=5)), CATALOGUE.get("agency-seal"), ISSUER))
    assert refused.value.facts["rules"] == "serial_is_long_and_positive"


def test_every_rule_has_a_defect_that_it_finds():
    covered = {rule for rule, _change in BROKEN.values()} | {
        "version_is_3",  # cryptography writes no other version
        "times_have_the_form_of_their_year",
        "signature_algorithm_is_strong_and_stated_twice",
        "path_length_of_the_issuer_allows_it",
        "common_name_is_an_alternative_name",
    }
    assert covered == {rule.__name__ for rule in (*RULES, *FRAME_RULES)}


# What stands between rules and the octets may not hide a defect: what was kept of a good certificate is of that one alone.
def test_what_has_passed_before_does_not_let_a_defect_pass():
    check_certificate(Twin(signed(rebuilt()), CATALOGUE.get("agency-seal"), ISSUER))
    for rule, change in BROKEN.values():
        for _ in range(2):
            assert rule in broken_rules(signed(rebuilt(**change)))
    check_certificate(Twin(signed(rebuilt()), CATALOGUE.get("agency-seal"), ISSUER))


def test_a_frame_shows_nothing_that_is_a_certificates_own():
    frame = Twin(signed(rebuilt()), CATALOGUE.get("agency-seal"), ISSUER).frame
    for kind in (x509.SubjectKeyIdentifier, x509.SubjectAlternativeName):
        with pytest.raises(LookupError):
            frame.extension(kind)
    assert [value for oid, _, value in frame.extensions() if oid == x509.SubjectKeyIdentifier.oid] == [None]


def test_two_certificates_have_one_frame_when_all_that_a_frame_shows_is_alike():
    def frame(profile="agency-seal", issuer=ISSUER, **change):
        return Twin(signed(rebuilt(**change)), CATALOGUE.get(profile), issuer).frame

    names = x509.SubjectAlternativeName([x509.RFC822Name("a@b.vn")])
    others = x509.SubjectAlternativeName([x509.RFC822Name("c@d.vn")])
    another_key = {"drop": x509.SubjectKeyIdentifier, "add": [(x509.SubjectKeyIdentifier(b"x" * 20), False)]}
    assert frame() == frame(serial_number=SERIAL + 1, subject_name=OTHER_NAME)
    assert frame(add=[(names, False)]) == frame(add=[(others, False)])
    different = [
        frame(),
        frame(profile="officer"),
        frame(issuer=signed(rebuilt())),
        frame(issuer=None),
        frame(add=[(names, False)]),
        frame(add=[(names, True)]),
        frame(**another_key),  # it stands elsewhere
        frame(drop=x509.SubjectKeyIdentifier),
        frame(drop=x509.CRLDistributionPoints),
        frame(drop=x509.CRLDistributionPoints, add=[(CDP, False)]),
    ]
    assert len(set(different)) == len(different)
