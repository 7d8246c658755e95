"""A key belongs to one holder and one purpose, a broken one to nobody; renewing one's own is no crime."""

from __future__ import annotations

import math
import secrets
import threading
from datetime import timedelta

import pytest
from asn1crypto import keys as asn1_keys
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certs.errors import KeyBroken, KeyCompromised, KeyInUse, KeySharesPrime
from certs.inventory import State
from certs.names import parse_subject
from certs.search import CertificateQuery, search
from certs.shared_primes import KnownKey, KnownModuli
from hsm.spec import KeySpec, Purpose, key_id_of, load_public_key, spki_der
from pki.authorities import add_pending
from pki.issuance import IssuanceRequest, issue
from tests.fakes.clock import FixedClock
from tests.world import ADMIN, AGENCY, OFFICER_SUBJECT

OTHER = f"CN=Trần Văn Thử,O={AGENCY},C=VN"


def new_key() -> bytes:
    return spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())


def certify(world, key, subject=OFFICER_SUBJECT, profile="officer"):
    return issue(IssuanceRequest(profile, parse_subject(subject), key), ADMIN, world.issuing_deps)


def issued(world):
    with world.database.read() as session:
        return search(session, world.clock.now(), CertificateQuery(issuer="issuing"))


def test_the_same_holder_gets_another_certificate_for_his_key(world):
    key = new_key()
    first, second = certify(world, key), certify(world, key)
    assert first.key_id == second.key_id
    assert first.serial != second.serial


def test_another_holder_or_another_purpose_needs_another_key(world):
    key = new_key()
    first = certify(world, key)
    for subject, profile in ((OTHER, "officer"), (OTHER, "agency-seal"), (OTHER, "system")):
        with pytest.raises(KeyInUse) as refused:
            certify(world, key, subject, profile)
        assert refused.value.facts == {"serial": first.serial, "profile": "officer"}
    assert len(issued(world)) == 1


def test_a_purpose_of_its_own_with_the_same_name_needs_another_key_too(world):
    key = new_key()
    certify(world, key, OTHER, "kiosk")
    with pytest.raises(KeyInUse):
        certify(world, key, OTHER, "system")


@pytest.mark.parametrize("reason", ["keyCompromise", "aACompromise"])
def test_a_compromised_key_never_comes_back(world, reason):
    key = new_key()
    first = certify(world, key)
    world.revoke(first.serial, reason)
    with pytest.raises(KeyCompromised) as refused:
        certify(world, key)
    assert refused.value.facts == {"serial": first.serial, "reason": reason}


def test_a_suspended_key_waits_for_its_decision(world):
    key = new_key()
    first = certify(world, key)
    world.revoke(first.serial, "certificateHold")
    with pytest.raises(KeyCompromised):
        certify(world, key)


def test_a_key_whose_certificate_was_superseded_may_be_renewed(world):
    key = new_key()
    world.revoke(certify(world, key).serial, "superseded")
    assert certify(world, key).state is State.ACTIVE


def test_the_keys_of_our_own_authorities_are_certified_for_nobody_else(world):
    for authority in (world.root, world.issuing):
        with pytest.raises(KeyInUse) as refused:
            certify(world, spki_der(authority.certificate.public_key()))
        assert refused.value.facts == {"serial": authority.serial, "profile": authority.profile}


def test_the_key_of_an_authority_that_waits_for_its_certificate_is_taken_too(world):
    key = world.keys.generate(KeySpec.P_256, "ca-waiting", Purpose.AUTHORITY).public_key_der
    with world.database.write() as session:
        add_pending(
            session, world.clock.now(), name="waiting", parent="root", profile="issuing", subject="CN=w,O=o,C=VN",
            public_key_der=key,
        )  # fmt: skip
    with pytest.raises(KeyInUse) as refused:
        certify(world, key)
    assert refused.value.facts == {"serial": "–", "profile": "issuing"}


def test_of_two_who_bring_one_key_at_once_one_gets_it(world):
    key, barrier = new_key(), threading.Barrier(4)
    done: list[object] = []

    def bring(number: int) -> None:
        barrier.wait()
        try:
            done.append(certify(world, key, f"CN=Người {number},O={AGENCY},C=VN").serial)
        except KeyInUse as error:
            done.append(error)

    threads = [threading.Thread(target=bring, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(each, KeyInUse) for each in done) == [False, True, True, True]
    assert len(issued(world)) == 1


def prime(bits: int) -> int:
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=bits * 2).private_numbers()
    return numbers.p


@pytest.fixture(scope="module")
def siblings():
    """Two moduli of 2048 bits with a prime in common."""
    shared = prime(1024)
    while True:
        moduli = [shared * prime(1024) for _ in range(2)]
        if all(modulus.bit_length() == 2048 for modulus in moduli):
            return [rsa_der(modulus) for modulus in moduli]


def rsa_der(modulus: int) -> bytes:
    return asn1_keys.PublicKeyInfo.wrap(
        asn1_keys.RSAPublicKey({"modulus": modulus, "public_exponent": 65537}), "rsa"
    ).dump()


def test_a_key_that_shares_a_prime_with_a_certified_one_is_refused_and_names_it(world, siblings):
    first = certify(world, siblings[0])
    certify(world, siblings[0])
    with pytest.raises(KeySharesPrime) as refused:
        certify(world, siblings[1], OTHER)
    assert refused.value.facts["key_id"] == first.key_id
    assert isinstance(refused.value, KeyBroken)
    assert len(issued(world)) == 2


def test_what_another_process_certified_is_known_after_a_minute(world, siblings):
    deps = world.issuing_deps
    honest = load_public_key(spki_der(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()))
    deps.known_moduli.check(honest)
    certify(world, siblings[0])
    world.clock.advance(minutes=2)
    with pytest.raises(KeySharesPrime):
        deps.known_moduli.check(load_public_key(siblings[1]))


def test_a_clock_set_back_by_a_day_hides_no_key(world, siblings):
    deps = world.issuing_deps
    world.clock.advance(days=3)
    certify(world, spki_der(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()))
    deps.known_moduli.check(
        load_public_key(spki_der(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()))
    )
    world.clock.advance(days=-1)
    certify(world, siblings[0])
    with pytest.raises(KeySharesPrime):
        deps.known_moduli.check(load_public_key(siblings[1]))


def test_curves_share_no_primes(world):
    deps = world.issuing_deps
    deps.known_moduli.check(load_public_key(new_key()))
    assert deps.known_moduli._read_at is None


def test_thousands_of_known_keys_are_asked_in_a_moment(siblings):
    clock = FixedClock()
    odd = [secrets.randbits(2048) | 1 << 2047 | 1 for _ in range(2000)]
    known = [KnownKey(f"{number:040x}", rsa_der(modulus), clock.now()) for number, modulus in enumerate(odd)]
    reads = []

    def read(since):
        reads.append(since)
        return known if since is None else []

    moduli = KnownModuli(read, clock)
    last = load_public_key(siblings[0])
    others = [modulus for modulus in odd if math.gcd(modulus, last.public_numbers().n) == 1]
    assert len(others) == 2000
    moduli.check(last)
    with pytest.raises(KeySharesPrime) as refused:
        moduli.check(load_public_key(siblings[1]))
    assert refused.value.facts["key_id"] == key_id_of(siblings[0]).hex()
    clock.advance(minutes=2)
    moduli.check(last)
    assert reads == [None, clock.now() - timedelta(days=2, minutes=2)]
