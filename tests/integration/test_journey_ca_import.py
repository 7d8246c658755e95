"""Journey: an authority that other software made in the token is taken in, issues here, and its revocation lists go on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.installation import OFFICER_NAME, VALID_BY_PDFSIG, User, signatures_by_pdfsig
from tests.integration.test_journey_keys import in_token_folder

# Other software: its keys are made in the token, under labels and a CKA_ID of its own.
_ELSEWHERE = """
import hashlib, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from asn1crypto import crl as asn1_crl, x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_ecdsa_signature, encode_named_curve_parameters
from hsm.module import load_module
from hsm.softhsm import find_module
from hsm.token_objects import read_public_key

folder, begun = Path(sys.argv[1]), datetime.now(UTC) - timedelta(days=300)
throwaway = ec.generate_private_key(ec.SECP256R1())

def pair(session, label):
    parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    domain = session.create_domain_parameters(KeyType.EC, parameters, local=True)
    kept = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
    return domain.generate_keypair(id=label.encode(), label=label, store=True, private_template=kept)

def signed(built, kind, part, key):
    value = kind.load(built.public_bytes(Encoding.DER))
    value[part] = encode_ecdsa_signature(key.sign(hashlib.sha256(value[0].dump()).digest(), mechanism=Mechanism.ECDSA))
    return value.dump(force=True)

def authority(cn, above, public, upper, key):
    name = lambda each: x509.Name.from_rfc4514_string(f"CN={each},O=Sở Cũ,C=VN")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = (x509.CertificateBuilder().subject_name(name(cn)).issuer_name(name(above)).public_key(public)
        .serial_number(x509.random_serial_number()).not_valid_before(begun).not_valid_after(begun + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(True, None if cn == above else 0), True).add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(upper), False))
    return signed(builder.sign(throwaway, hashes.SHA256()), asn1_x509.Certificate, "signature_value", key)

with load_module(find_module()).find_token("antin").open(rw=True, user_pin=Path("secrets/pin").read_text()) as session:
    (top, top_key), (low, low_key) = pair(session, "old-root"), pair(session, "old-ca")
    top, low = read_public_key(top), read_public_key(low)
    (folder / "old-root.der").write_bytes(authority("Old Root", "Old Root", top, top, top_key))
    (folder / "old-ca.der").write_bytes(authority("Old CA", "Old Root", low, top, top_key))
    gone = x509.RevokedCertificateBuilder().serial_number(0x4711).revocation_date(begun + timedelta(days=9))
    last = (x509.CertificateRevocationListBuilder().issuer_name(x509.Name.from_rfc4514_string("CN=Old CA,O=Sở Cũ,C=VN"))
        .last_update(begun + timedelta(days=290)).next_update(begun + timedelta(days=320))
        .add_extension(x509.CRLNumber(41), False).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(low), False)
        .add_revoked_certificate(gone.build()).sign(throwaway, hashes.SHA256()))
    (folder / "last.crl").write_bytes(signed(last, asn1_crl.CertificateList, "signature", low_key))
"""
# What the custodian does then, by the means of the token.
_RENAME = """
from pathlib import Path
from pkcs11 import Attribute
from hsm.module import load_module
from hsm.softhsm import find_module
with load_module(find_module()).find_token("antin").open(rw=True, user_pin=Path("secrets/pin").read_text()) as session:
    for half in list(session.get_objects({Attribute.ID: LABEL.encode()})):
        half[Attribute.ID] = bytes.fromhex(WANTED)
"""


def _openssl(folder: Path, *words: str | Path) -> str:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _take(user: User, label: str, *words: str) -> None:
    """First the refusal, which says what CKA_ID the key must have; with that it is taken in."""
    said = user.refused(1, "ca", "import", f"{label}.der", "--name", label, *words)
    found = re.search(r"CKA_ID ([0-9a-f]{40})", said)
    assert found is not None, said
    in_token_folder(user, _RENAME.replace("LABEL", repr(label)).replace("WANTED", repr(found[1])))
    user.antin("ca", "import", f"{label}.der", "--name", label, *words)


def test_it_is_taken_in_issues_and_its_lists_go_on(user: User) -> None:
    in_token_folder(user, _ELSEWHERE.replace("sys.argv[1]", repr(str(user.folder))))
    assert "take in the authority above" in user.refused(
        1, "ca", "import", "old-ca.der", "--name", "old-ca", "--crl", "last.crl"
    )
    _take(user, "old-root", "--never-revoked")
    _take(user, "old-ca", "--crl", "last.crl")
    listed = {each["name"]: (each["parent"], each["state"]) for each in user.json("ca", "list")}
    assert (listed["old-root"], listed["old-ca"]) == ((None, "active"), ("old-root", "active"))
    # The list that follows the last one of before.
    published = user.home / "public" / "crl" / "old-ca.crl"
    text = _openssl(user.folder, "crl", "-inform", "DER", "-in", published, "-noout", "-text")
    assert re.search(r"CRL Number:\s+42\b", text), text
    assert "Serial Number: 4711" in text
    # It issues, and only what an authority of its kind may.
    issue = ("cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME)
    assert "old-ca" in user.refused(2, *issue, "--authority", "nobody")
    assert "does not issue" in user.refused(1, *issue, "--authority", "old-root")
    issued = user.json(*issue, "--authority", "old-ca", "--credential", "heir", "-o", "heir.pem")
    assert issued["issuer"] == "old-ca"
    assert user.json(*issue, "--credential", "other", "-o", "other.pem")["issuer"] == "issuing"
    for name in ("old-root", "old-ca"):
        (user.folder / f"{name}.pem").write_text(user.antin("ca", "show", name, "--pem"))
    path = ("-x509_strict", "-CAfile", "old-root.pem", "-untrusted", "old-ca.pem")
    assert _openssl(user.folder, "verify", *path, "heir.pem") == "heir.pem: OK\n"
    # Its signature is good at home, with the proof that nobody revoked it.
    user.sign("paper.pdf", "heir", "heir.pdf", "--level", "B-LT")
    assert user.json("verify", "heir.pdf")["conclusion"] == "valid"
    assert signatures_by_pdfsig(user.folder / "heir.pdf") == [VALID_BY_PDFSIG]
    # Revoked, it is on its list beside what was there.
    user.antin("cert", "revoke", "heir", "--reason", "superseded")
    user.antin("ca", "publish")
    text = _openssl(user.folder, "crl", "-inform", "DER", "-in", published, "-noout", "-text")
    assert text.count("Serial Number:") == 2
    assert issued["serial"].upper() in text
