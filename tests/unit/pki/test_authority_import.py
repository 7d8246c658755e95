"""pki/authority_import: an authority of elsewhere, whose key is in the token, goes on here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.catalogue import read_catalogue
from certs.db import Database
from certs.serial import serial_hex
from hsm.store import KeyStore
from pki.approval_rules import ApprovalRules
from pki.audit import Actor, list_acts
from pki.authorities import get_authority
from pki.authority_import import Taken, import_authority
from pki.ceremony import CeremonyDeps
from pki.crl import CrlDeps, publish_due
from pki.crl_archive import crl_octets, find_latest
from pki.errors import PkiError, RoleMissing
from pki.issuer import Issuer, load_issuer
from tests import postgres
from tests.official import look_alike
from tests.world import ADMIN, ISSUING_SUBJECT, World, build_world, new_database

URL = "https://ky.example.vn"


@dataclass
class Home:
    """Another home with the same token, empty as yet; `old` is where the authorities come from."""

    old: World
    database: Database
    keys: KeyStore

    @property
    def deps(self) -> CeremonyDeps:
        return CeremonyDeps(self.database, self.old.clock, self.keys, read_catalogue(), URL, approvals=ApprovalRules())

    def take(self, issuer: Issuer, name: str, crl: bytes | None = None, **how: Any) -> Taken:
        loaded = x509.load_der_x509_crl(crl) if crl is not None else None
        return import_authority(name, issuer.certificate, loaded, how.get("actor", ADMIN), self.deps)

    def refusal(self, certificate: x509.Certificate, name: str = "old", crl: bytes | None = None) -> str:
        loaded = x509.load_der_x509_crl(crl) if crl is not None else None
        with pytest.raises(PkiError) as caught:
            import_authority(name, certificate, loaded, ADMIN, self.deps)
        return caught.value.code


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    old = build_world(tmp_path / "old")
    database = new_database(tmp_path / "new")
    yield Home(old, database, old.keys)
    postgres.discard(database)
    old.close()


def newest(database: Database, name: str) -> x509.CertificateRevocationList:
    with database.read() as session:
        found = find_latest(session, name)
        assert found is not None
        return x509.load_der_x509_crl(b"".join(crl_octets(session, found)))


def test_its_lists_go_on_from_the_last_number_with_all_that_it_had_revoked(home: Home) -> None:
    officer = home.old.officer()
    home.old.revoke(officer.record.serial, "keyCompromise")
    home.old.crls()
    last = newest(home.old.database, "issuing")
    number = last.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert home.take(home.old.root, "old-root").authority.parent is None
    taken = home.take(home.old.issuing, "old-issuing", last.public_bytes(Encoding.DER))
    assert (taken.revoked, taken.authority.parent) == (1, "old-root")
    issuer = load_issuer(home.database, home.keys, "old-issuing", URL)
    publish_due(issuer, ADMIN, CrlDeps(home.database, home.old.clock), everything=True)
    following = newest(home.database, "old-issuing")
    assert following.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > number
    (entry,) = list(following)
    assert serial_hex(entry.serial_number) == officer.record.serial
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    with home.database.read() as session:
        assert get_authority(session, "old-issuing").subject == ISSUING_SUBJECT
        acts = [each for each in list_acts(session, subject_id="old-issuing") if each.action == "authority.import"]
        assert [each.details["revoked"] for each in acts] == ["1"]


def test_taken_in_again_it_is_the_same_and_under_its_name_nobody_else_is(home: Home) -> None:
    home.take(home.old.root, "old-root")
    assert home.take(home.old.root, "old-root").authority.name == "old-root"
    assert home.refusal(home.old.issuing.certificate, "old-root") == "AUTHORITY_EXISTS"
    assert home.refusal(home.old.root.certificate, "twin") == "IMPORT_KEY_IN_USE"


def test_what_cannot_be_an_authority_here_is_refused_and_leaves_nothing(home: Home) -> None:
    officer = home.old.officer()
    other = look_alike("government", 2, home.old.clock.now())
    assert home.refusal(home.old.issuing.certificate) == "IMPORT_PARENT_UNKNOWN"
    assert home.refusal(officer.record.certificate()) == "IMPORT_NOT_AUTHORITY"
    assert home.refusal(other.root) == "IMPORT_KEY_MISSING"
    assert home.refusal(home.old.root.certificate, "No Name") == "AUTHORITY_NAME_REFUSED"
    assert home.refusal(home.old.root.certificate, crl=other.lists()[0]) == "IMPORT_LIST_WRONG"
    home.old.clock.advance(days=60 * 365)
    assert home.refusal(home.old.root.certificate) == "IMPORT_NOT_IN_FORCE"
    with pytest.raises(RoleMissing):
        home.take(home.old.root, "old-root", actor=Actor("nobody"))
    with home.database.read() as session:
        assert list_acts(session) == []
