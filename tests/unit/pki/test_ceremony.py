"""A ceremony makes an authority once, and finishes what an interrupted one began."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from certs.catalogue import read_catalogue
from certs.errors import KeySpecRefused, SubjectAttributeMissing
from certs.inventory import State
from certs.names import common_name, parse_subject, subject_of
from certs.search import search
from hsm.errors import SigningFailed
from hsm.spec import KeySpec, Purpose
from pki.approval_rules import ApprovalRules
from pki.audit import list_acts
from pki.authorities import AuthorityState, get_authority, list_authorities
from pki.ceremony import CeremonyDeps, create_issuing, create_root
from pki.errors import AuthorityExists, AuthorityNameRefused, AuthorityUnknown, IssuerMayNotIssue, IssuerNotGood
from pki.issuer import load_issuer
from tests.fakes.clock import FixedClock
from tests.world import ADMIN, ISSUING_SUBJECT, PUBLIC_URL, ROOT_SUBJECT, memory_store, new_database


class KeysThatDieSigning:
    """A store whose keys stop answering: what a pulled cable looks like."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def get(self, public_key_der):
        key = self._store.get(public_key_der)
        key._sign_call = self._die
        return key

    def _die(self, *_args):
        raise SigningFailed("the token is gone", rv="CKR_DEVICE_REMOVED")


@pytest.fixture
def deps(tmp_path):
    deps = CeremonyDeps(
        new_database(tmp_path), FixedClock(), memory_store(), read_catalogue(), PUBLIC_URL, approvals=ApprovalRules()
    )
    yield deps
    deps.database.close()


ROOT, ISSUING = parse_subject(ROOT_SUBJECT), parse_subject(ISSUING_SUBJECT)


def test_a_root_of_p384_and_an_authority_of_p256_are_the_default(deps):
    root = create_root("root", ROOT, ADMIN, deps)
    issuing = create_issuing("issuing", "root", ISSUING, ADMIN, deps)
    assert (root.parent, root.state) == (None, AuthorityState.ACTIVE)
    assert (issuing.parent, issuing.state) == ("root", AuthorityState.ACTIVE)
    assert {ref.label: ref.spec for ref in deps.keys.list_keys()} == {"ca-root": "p-384", "ca-issuing": "p-256"}
    loaded = load_issuer(deps.database, deps.keys, "issuing", PUBLIC_URL)
    assert [common_name(subject_of(c)) for c in loaded.chain] == ["Hương Giang Issuing CA", "Hương Giang Root CA"]
    loaded.chain[0].verify_directly_issued_by(loaded.chain[1])
    loaded.chain[1].verify_directly_issued_by(loaded.chain[1])
    assert loaded.chain[1].signature_hash_algorithm.name == "sha384"
    constraints = loaded.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_the_same_ceremony_again_changes_nothing(deps):
    first = create_root("root", ROOT, ADMIN, deps)
    with deps.database.read() as session:
        acts = list_acts(session)
    assert create_root("root", ROOT, ADMIN, deps) == first
    with deps.database.read() as session:
        assert list_acts(session) == acts
    assert len(deps.keys.list_keys()) == 1


@pytest.mark.parametrize(("subject", "spec"), [("CN=Another,O=b,C=VN", KeySpec.P_384), (ROOT_SUBJECT, KeySpec.P_256)])
def test_a_name_that_is_taken_by_another_is_refused(deps, subject, spec):
    create_root("root", ROOT, ADMIN, deps)
    with pytest.raises(AuthorityExists):
        create_root("root", parse_subject(subject), ADMIN, deps, spec=spec)


def test_a_death_while_signing_is_mended_by_running_again(deps):
    with pytest.raises(SigningFailed):
        create_root("root", ROOT, ADMIN, replace(deps, keys=KeysThatDieSigning(deps.keys)))
    with deps.database.read() as session:
        assert get_authority(session, "root").state is AuthorityState.PENDING
        assert [r.state for r in search(session, deps.clock.now())] == [State.INTENT]
    root = create_root("root", ROOT, ADMIN, deps)
    assert root.state is AuthorityState.ACTIVE
    assert len(deps.keys.list_keys()) == 1


def test_a_key_left_by_a_death_before_the_first_commit_is_taken(deps):
    left = deps.keys.generate(KeySpec.P_384, "ca-root", Purpose.AUTHORITY)
    assert create_root("root", ROOT, ADMIN, deps).public_key_der == left.public_key_der


def test_a_pending_authority_signs_nothing(deps):
    with pytest.raises(SigningFailed):
        create_root("root", ROOT, ADMIN, replace(deps, keys=KeysThatDieSigning(deps.keys)))
    with pytest.raises(IssuerNotGood):
        create_issuing("issuing", "root", ISSUING, ADMIN, deps)


@pytest.mark.parametrize("name", ["", "Root", "a" * 33, "a b", "../x", "gốc"])
def test_a_name_outside_the_alphabet_is_refused(deps, name):
    with pytest.raises(AuthorityNameRefused):
        create_root(name, ROOT, ADMIN, deps)


def test_a_refusal_leaves_no_key_behind(deps):
    with pytest.raises(KeySpecRefused):
        create_root("root", ROOT, ADMIN, deps, spec=KeySpec.RSA_2048)
    with pytest.raises(SubjectAttributeMissing):
        create_root("root", parse_subject("CN=a"), ADMIN, deps)
    with pytest.raises(AuthorityUnknown):
        create_issuing("issuing", "root", ISSUING, ADMIN, deps)
    assert deps.keys.list_keys() == []


def test_only_a_root_certifies_an_authority(deps):
    create_root("root", ROOT, ADMIN, deps)
    create_issuing("issuing", "root", ISSUING, ADMIN, deps)
    with pytest.raises(IssuerMayNotIssue):
        create_issuing("below", "issuing", parse_subject("CN=a,O=b,C=VN"), ADMIN, deps)
    with deps.database.read() as session:
        assert [authority.name for authority in list_authorities(session)] == ["root", "issuing"]


def test_rsa_authorities_sign_with_pss(deps):
    create_root("root", ROOT, ADMIN, deps, spec=KeySpec.RSA_3072)
    issuer = load_issuer(deps.database, deps.keys, "root", PUBLIC_URL)
    parameters = issuer.certificate.signature_algorithm_parameters
    assert issuer.certificate.signature_algorithm_oid.dotted_string == "1.2.840.113549.1.1.10"
    assert parameters._salt_length == 32
    issuer.certificate.verify_directly_issued_by(issuer.certificate)
