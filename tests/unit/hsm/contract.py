"""The KeyStore contract as tests. Each implementation subclasses KeyStoreContract and gives it the fixture `store`."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

from hsm.errors import HSMError, KeyNotFound, MechanismUnavailable, StoreClosed
from hsm.spec import KeyRef, KeySpec, PrivateKey, key_id_of, spec_of, spki_der
from hsm.store import KeyStore

DIGESTS = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
MESSAGES = (b"", b"a", "Quyết định số 12/QĐ-UBND".encode(), bytes(range(256)) * 400)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ủy ban nhân dân")])
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def pss(digest: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)


def sign_and_verify(key: PrivateKey, message: bytes, digest: hashes.HashAlgorithm) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        for scheme in (padding.PKCS1v15(), pss(digest)):
            key.public_key().verify(key.sign(message, scheme, digest), message, scheme, digest)
    else:
        key.public_key().verify(key.sign(message, ec.ECDSA(digest)), message, ec.ECDSA(digest))


class KeyStoreContract:
    @pytest.fixture(params=list(KeySpec), ids=str)
    def ref(self, store: KeyStore, request: pytest.FixtureRequest) -> KeyRef:
        return store.generate(request.param, "contract")

    def test_a_generated_key_is_what_was_asked_for_and_is_found_by_its_public_key(self, store, ref):
        key = store.get(ref.public_key_der)
        assert spki_der(key.public_key()) == ref.public_key_der
        assert spec_of(key.public_key()) is ref.spec
        assert key.key_size == ref.public_key().key_size
        assert ref.key_id == key_id_of(ref.public_key_der)
        assert ref.label == "contract"
        expected = rsa.RSAPrivateKey if ref.spec.is_rsa else ec.EllipticCurvePrivateKey
        assert isinstance(key, expected)

    def test_every_scheme_and_digest_verifies_with_the_public_key(self, store, ref):
        key = store.get(ref.public_key_der)
        for digest in DIGESTS:
            for message in MESSAGES:
                sign_and_verify(key, message, digest)

    def test_any_buffer_can_be_signed(self, store):
        key = store.get(store.generate(KeySpec.P_256, "buffers").public_key_der)
        for message in (bytearray(b"m"), memoryview(b"m")):
            key.public_key().verify(key.sign(message, ec.ECDSA(hashes.SHA256())), b"m", ec.ECDSA(hashes.SHA256()))

    def test_the_key_signs_certificates_requests_and_revocation_lists(self, store, ref):
        key = store.get(ref.public_key_der)
        paddings = (padding.PKCS1v15(), pss(hashes.SHA256())) if ref.spec.is_rsa else (None,)
        for rsa_padding in paddings:
            certificate = (
                x509.CertificateBuilder()
                .subject_name(NAME)
                .issuer_name(NAME)
                .public_key(key.public_key())
                .serial_number(0x1234)
                .not_valid_before(NOW)
                .not_valid_after(NOW + dt.timedelta(days=1))
                .sign(key, hashes.SHA256(), rsa_padding=rsa_padding)
            )
            certificate.verify_directly_issued_by(certificate)
            request = x509.CertificateSigningRequestBuilder().subject_name(NAME)
            assert request.sign(key, hashes.SHA256(), rsa_padding=rsa_padding).is_signature_valid
            crl = (
                x509.CertificateRevocationListBuilder()
                .issuer_name(NAME)
                .last_update(NOW)
                .next_update(NOW + dt.timedelta(days=1))
                .sign(key, hashes.SHA256(), rsa_padding=rsa_padding)
            )
            assert crl.is_signature_valid(key.public_key())

    def test_pss_accepts_the_digests_length_as_salt_by_name_and_by_number_and_no_other(self, store):
        key = store.get(store.generate(KeySpec.RSA_2048, "salt").public_key_der)
        digest = hashes.SHA256()
        by_number = padding.PSS(padding.MGF1(digest), digest.digest_size)
        key.public_key().verify(key.sign(b"m", by_number, digest), b"m", by_number, digest)
        for salt in (0, 20, padding.PSS.MAX_LENGTH, padding.PSS.AUTO):
            with pytest.raises(MechanismUnavailable):
                key.sign(b"m", padding.PSS(padding.MGF1(digest), salt), digest)
        with pytest.raises(MechanismUnavailable):
            key.sign(b"m", padding.PSS(padding.MGF1(hashes.SHA512()), 32), digest)

    def test_a_bare_digest_is_not_signed(self, store, ref):
        key = store.get(ref.public_key_der)
        prehashed = utils.Prehashed(hashes.SHA256())
        if ref.spec.is_rsa:
            refused = [(padding.PKCS1v15(), prehashed), (pss(hashes.SHA256()), prehashed)]
            refused.append((padding.PKCS1v15(), utils.NoDigestInfo()))
        else:
            refused = [(ec.ECDSA(prehashed),)]
        for how in refused:
            with pytest.raises(MechanismUnavailable):
                key.sign(bytes(32), *how)

    def test_weak_digests_and_deterministic_ecdsa_are_refused(self, store, ref):
        key = store.get(ref.public_key_der)
        how = (padding.PKCS1v15(), hashes.SHA1()) if ref.spec.is_rsa else (ec.ECDSA(hashes.SHA1()),)
        with pytest.raises(MechanismUnavailable) as refusal:
            key.sign(b"m", *how)
        assert refusal.value.facts["mechanism"] == "sha1"
        if not ref.spec.is_rsa:
            with pytest.raises(MechanismUnavailable):
                key.sign(b"m", ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def test_the_key_can_do_nothing_but_sign(self, store, ref):
        key = store.get(ref.public_key_der)
        with pytest.raises(TypeError):
            key.private_numbers()
        with pytest.raises(TypeError):
            key.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        with pytest.raises(TypeError):
            pickle.dumps(key)
        ciphertext = bytes(ref.public_key().key_size // 8)
        other_use = (
            (key.decrypt, ciphertext, padding.PKCS1v15())
            if ref.spec.is_rsa
            else (key.exchange, ec.ECDH(), key.public_key())
        )
        with pytest.raises(TypeError):
            other_use[0](*other_use[1:])
        for copied in (copy.copy(key), copy.deepcopy(key)):
            sign_and_verify(copied, b"m", hashes.SHA256())

    def test_a_generated_key_is_protected(self, store, ref):
        store.check_protected(ref.public_key_der)

    def test_a_destroyed_key_is_gone_also_for_objects_handed_out_before(self, store, ref):
        key = store.get(ref.public_key_der)
        sign_and_verify(key, b"m", hashes.SHA256())
        store.destroy(ref.public_key_der)
        for use in (
            lambda: sign_and_verify(key, b"m", hashes.SHA256()),
            lambda: store.get(ref.public_key_der),
            lambda: store.check_protected(ref.public_key_der),
            lambda: store.destroy(ref.public_key_der),
        ):
            with pytest.raises(KeyNotFound) as missing:
                use()
            assert missing.value.facts["key_id"] == ref.key_id.hex()
        assert ref not in store.list_keys()

    def test_destroying_one_key_leaves_the_others(self, store):
        first, second = store.generate(KeySpec.P_256, "one"), store.generate(KeySpec.P_256, "two")
        kept = store.get(second.public_key_der)
        store.destroy(first.public_key_der)
        sign_and_verify(kept, b"m", hashes.SHA256())
        assert second in store.list_keys()

    def test_a_key_of_elsewhere_is_not_found(self, store):
        stranger = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
        with pytest.raises(KeyNotFound) as missing:
            store.get(stranger)
        assert missing.value.facts == {"key_id": key_id_of(stranger).hex()}
        with pytest.raises(KeyNotFound):
            store.get(b"not a public key at all")

    def test_keys_are_listed_by_label_then_id_and_labels_may_repeat(self, store):
        before = store.list_keys()
        made = [store.generate(KeySpec.P_256, label) for label in ("con dấu", "a", "con dấu", "")]
        listed = store.list_keys()
        assert sorted(before + made, key=lambda ref: (ref.label, ref.key_id)) == listed
        for ref in made:
            sign_and_verify(store.get(ref.public_key_der), b"m", hashes.SHA256())

    def test_one_key_object_serves_many_threads(self, store):
        ec_key = store.get(store.generate(KeySpec.P_256, "threads").public_key_der)
        rsa_key = store.get(store.generate(KeySpec.RSA_2048, "threads").public_key_der)

        def work(number: int) -> int:
            for turn in range(20):
                key = rsa_key if turn % 10 == 0 else ec_key
                sign_and_verify(key, f"{number}/{turn}".encode(), hashes.SHA256())
            return number

        with ThreadPoolExecutor(12) as threads:
            assert list(threads.map(work, range(12))) == list(range(12))

    def test_keys_made_and_destroyed_by_many_threads_do_not_mix(self, store):
        def life(number: int) -> KeyRef:
            ref = store.generate(KeySpec.P_256, f"life-{number}")
            sign_and_verify(store.get(ref.public_key_der), b"m", hashes.SHA256())
            if number % 2:
                store.destroy(ref.public_key_der)
            return ref

        with ThreadPoolExecutor(6) as threads:
            refs = list(threads.map(life, range(12)))
        left = [ref for ref in store.list_keys() if ref.label.startswith("life-")]
        assert {ref.key_id for ref in left} == {ref.key_id for ref in refs[::2]}

    def test_a_working_store_says_that_it_is_well(self, store):
        assert store.status().state == "ok"

    def test_a_closed_store_refuses_everything_but_closing_and_its_status(self, store):
        ref = store.generate(KeySpec.P_256, "closing")
        key = store.get(ref.public_key_der)
        store.close()
        store.close()
        assert store.status().state == "away"
        for use in (
            lambda: store.generate(KeySpec.P_256, "late"),
            lambda: store.get(ref.public_key_der),
            store.list_keys,
            lambda: store.check_protected(ref.public_key_der),
            lambda: store.destroy(ref.public_key_der),
            lambda: key.sign(b"m", ec.ECDSA(hashes.SHA256())),
        ):
            with pytest.raises(StoreClosed) as refusal:
                use()
            assert isinstance(refusal.value, HSMError)
