"""The KeyStore contract as tests. Each implementation subclasses KeyStoreContract and gives it the fixture `store`.

What a token lacks is skipped by name: the suite runs against any module (hsm/README.md, "Against a real HSM").
"""

from __future__ import annotations

import copy
import datetime as dt
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

from hsm.errors import (
    HSMError,
    KeyDestroyed,
    KeyNotFound,
    KeyPurposeSet,
    KeyPurposeWrong,
    MechanismUnavailable,
    MessageRefused,
    StoreClosed,
)
from hsm.handles import Scheme, rsa_padding
from hsm.messages import FileMessage
from hsm.purposes import Content
from hsm.spec import KeyRef, KeySpec, PrivateKey, Purpose, key_id_of, spec_of, spki_der
from hsm.store import KeyStore
from tests.signable import ALLOWED, attributes, content, request, revocation_list

SHA256 = hashes.SHA256()
DIGESTS = (SHA256, hashes.SHA384(), hashes.SHA512())
# Certificates cannot be as short as one octet: these are the shortest a key signs, an ordinary one and a long one.
MESSAGES = (attributes(), attributes("Quyết định số 12/QĐ-UBND"), attributes("m", digest="sha512"))
MESSAGE = attributes("m")
# What the token under test lacks: names of mechanisms, values of KeySpec. Empty but against a real HSM.
LACKING: set[str] = set()
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ủy ban nhân dân")])
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def pss(digest: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)


def make_key(store: KeyStore, spec: KeySpec, label: str, purpose: Purpose = Purpose.DOCUMENT) -> KeyRef:
    """A key for a test that cannot do without this kind; the test is skipped where the token makes none."""
    try:
        return store.generate(spec, label, purpose)
    except MechanismUnavailable:
        if spec.value in LACKING:
            pytest.skip(f"the token makes no {spec.value} keys")
        raise


def sign_and_verify(key: PrivateKey, message: bytes = MESSAGE, digest: hashes.HashAlgorithm = SHA256) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        for scheme in (padding.PKCS1v15(), pss(digest)):
            try:
                signature = key.sign(message, scheme, digest)
            except MechanismUnavailable as error:
                if error.facts["mechanism"] in LACKING:
                    continue
                raise
            key.public_key().verify(signature, message, scheme, digest)
    else:
        key.public_key().verify(key.sign(message, ec.ECDSA(digest)), message, ec.ECDSA(digest))


class KeyStoreContract:
    @pytest.fixture(params=list(KeySpec), ids=str)
    def ref(self, store: KeyStore, request: pytest.FixtureRequest) -> KeyRef:
        return make_key(store, request.param, "contract")

    @pytest.fixture
    def p256(self, store: KeyStore) -> KeyRef:
        return make_key(store, KeySpec.P_256, "contract")

    def test_a_generated_key_is_what_was_asked_for_and_is_found_by_its_public_key(self, store, ref):
        key = store.get(ref.public_key_der)
        assert spki_der(key.public_key()) == ref.public_key_der
        assert spec_of(key.public_key()) is ref.spec
        assert key.key_size == ref.public_key().key_size
        assert ref.key_id == key_id_of(ref.public_key_der)
        assert ref.label == "contract"
        assert ref.purpose is Purpose.DOCUMENT
        assert ref in store.list_keys()
        expected = rsa.RSAPrivateKey if ref.spec.is_rsa else ec.EllipticCurvePrivateKey
        assert isinstance(key, expected)

    def test_every_scheme_and_digest_verifies_with_the_public_key(self, store, ref):
        key = store.get(ref.public_key_der)
        for digest in DIGESTS:
            for message in MESSAGES:
                sign_and_verify(key, message, digest)

    def test_any_buffer_can_be_signed(self, store):
        key = store.get(make_key(store, KeySpec.P_256, "buffers").public_key_der)
        for message in (bytearray(MESSAGE), memoryview(MESSAGE)):
            key.public_key().verify(key.sign(message, ec.ECDSA(SHA256)), MESSAGE, ec.ECDSA(SHA256))

    def test_a_message_that_lies_in_a_file_is_signed_and_judged_as_its_octets_are(self, store, ref, tmp_path):
        # Longer than what a request to a key process holds, so that it crosses as it does for long lists.
        authority = make_key(store, ref.spec, "files", Purpose.AUTHORITY)
        message = revocation_list(6_000)
        path = tmp_path / "list"
        path.write_bytes(b"before" + message + b"after")
        with path.open("rb") as file:
            in_file = FileMessage(file.fileno(), 6, len(message))
            scheme = ec.ECDSA(SHA256) if ref.spec in (KeySpec.P_256, KeySpec.P_384) else None
            how = (scheme,) if scheme else (padding.PKCS1v15(), SHA256)
            key = store.get(authority.public_key_der)
            key.public_key().verify(key.sign(in_file, *how), message, *how)
            with pytest.raises(KeyPurposeWrong) as refused:
                store.get(ref.public_key_der).sign(in_file, *how)
            assert refused.value.facts["content"] == Content.CRL.value
            os.truncate(path, len(message) - 1)
            with pytest.raises(MessageRefused):
                key.sign(in_file, *how)

    @pytest.mark.parametrize("spec", list(KeySpec), ids=str)
    def test_an_authoritys_key_signs_certificates_requests_and_revocation_lists(self, store, spec):
        key = store.get(make_key(store, spec, "authority", Purpose.AUTHORITY).public_key_der)
        paddings = [padding.PKCS1v15(), pss(SHA256)] if spec.is_rsa else [None]
        if "CKM_SHA256_RSA_PKCS_PSS" in LACKING:
            del paddings[1:]
        for chosen in paddings:
            certificate = (
                x509.CertificateBuilder()
                .subject_name(NAME)
                .issuer_name(NAME)
                .public_key(key.public_key())
                .serial_number(0x1234)
                .not_valid_before(NOW)
                .not_valid_after(NOW + dt.timedelta(days=1))
                .sign(key, hashes.SHA256(), rsa_padding=chosen)
            )
            certificate.verify_directly_issued_by(certificate)
            request = x509.CertificateSigningRequestBuilder().subject_name(NAME)
            assert request.sign(key, hashes.SHA256(), rsa_padding=chosen).is_signature_valid
            crl = (
                x509.CertificateRevocationListBuilder()
                .issuer_name(NAME)
                .last_update(NOW)
                .next_update(NOW + dt.timedelta(days=1))
                .sign(key, hashes.SHA256(), rsa_padding=chosen)
            )
            assert crl.is_signature_valid(key.public_key())

    def test_pss_accepts_the_digests_length_as_salt_by_name_and_by_number_and_no_other(self, store):
        if "CKM_SHA256_RSA_PKCS_PSS" in LACKING:
            pytest.skip("the token lacks CKM_SHA256_RSA_PKCS_PSS")
        key = store.get(make_key(store, KeySpec.RSA_2048, "salt").public_key_der)
        digest = hashes.SHA256()
        by_number = padding.PSS(padding.MGF1(digest), digest.digest_size)
        key.public_key().verify(key.sign(MESSAGE, by_number, digest), MESSAGE, by_number, digest)
        for salt in (0, 20, padding.PSS.MAX_LENGTH, padding.PSS.AUTO):
            with pytest.raises(MechanismUnavailable):
                key.sign(MESSAGE, padding.PSS(padding.MGF1(digest), salt), digest)
        with pytest.raises(MechanismUnavailable):
            key.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA512()), 32), digest)

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
            key.sign(MESSAGE, *how)
        assert refusal.value.facts["mechanism"] == "sha1"
        if not ref.spec.is_rsa:
            with pytest.raises(MechanismUnavailable):
                key.sign(MESSAGE, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

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
            sign_and_verify(copied)

    def test_a_generated_key_is_protected(self, store, ref):
        store.check_protected(ref.public_key_der)

    def test_many_messages_get_one_signature_each_in_their_order(self, store, ref):
        messages = [attributes(number) for number in range(20)]
        schemes = (Scheme.RSA_PKCS1V15, Scheme.RSA_PSS) if ref.spec.is_rsa else (Scheme.ECDSA,)
        public_key = ref.public_key()
        for scheme in schemes:
            if scheme is Scheme.RSA_PSS and "CKM_SHA256_RSA_PKCS_PSS" in LACKING:
                continue
            for digest in DIGESTS:
                signatures = store.sign_many(ref.public_key_der, messages, scheme, digest)
                for message, signature in zip(messages, signatures, strict=True):
                    how = (rsa_padding(scheme, digest), digest) if ref.spec.is_rsa else (ec.ECDSA(digest),)
                    public_key.verify(signature, message, *how)

    def test_a_signature_ahead_of_its_verification_counts_when_it_is_confirmed(self, store, ref):
        key, public_key = store.get(ref.public_key_der), ref.public_key()
        schemes = (Scheme.RSA_PKCS1V15, Scheme.RSA_PSS) if ref.spec.is_rsa else (Scheme.ECDSA,)
        for number, (scheme, digest) in enumerate((scheme, digest) for scheme in schemes for digest in DIGESTS):
            if scheme is Scheme.RSA_PSS and "CKM_SHA256_RSA_PKCS_PSS" in LACKING:
                continue
            message = attributes(number)
            with key.sign_ahead(message, scheme, digest) as made:
                how = (rsa_padding(scheme, digest), digest) if ref.spec.is_rsa else (ec.ECDSA(digest),)
                public_key.verify(made.signature, message, *how)
                if number % 2:  # whoever has changed his mind leaves nothing behind that others would read
                    made.confirm()
        sign_and_verify(key)

    def test_ahead_or_not_the_same_is_refused(self, store, p256):
        key = store.get(p256.public_key_der)
        with pytest.raises(KeyPurposeWrong):
            key.sign_ahead(content(Content.CERTIFICATE), Scheme.ECDSA, SHA256)
        with pytest.raises(MechanismUnavailable):
            key.sign_ahead(MESSAGE, Scheme.ECDSA, hashes.SHA1())
        with pytest.raises(MechanismUnavailable):
            key.sign_ahead(MESSAGE, Scheme.RSA_PSS, SHA256)
        store.destroy(p256.public_key_der)
        with pytest.raises(KeyDestroyed):
            key.sign_ahead(MESSAGE, Scheme.ECDSA, SHA256)

    def test_no_message_at_all_gets_no_signature_but_the_key_must_be_there(self, store, p256):
        assert store.sign_many(p256.public_key_der, [], Scheme.ECDSA, SHA256) == []
        store.destroy(p256.public_key_der)
        with pytest.raises(KeyDestroyed):
            store.sign_many(p256.public_key_der, [], Scheme.ECDSA, SHA256)

    def test_one_message_of_many_that_the_key_is_not_for_refuses_all(self, store, p256):
        for wrong_at in (0, 1, 2):
            messages = [attributes(number) for number in range(3)]
            messages[wrong_at] = content(Content.CERTIFICATE)
            with pytest.raises(KeyPurposeWrong) as refusal:
                store.sign_many(p256.public_key_der, messages, Scheme.ECDSA, SHA256)
            assert refusal.value.facts["content"] == "certificate"

    def test_many_are_signed_with_a_scheme_and_digest_of_the_key_only(self, store, ref):
        wrong = Scheme.ECDSA if ref.spec.is_rsa else Scheme.RSA_PSS
        right = Scheme.RSA_PKCS1V15 if ref.spec.is_rsa else Scheme.ECDSA
        for scheme, digest in ((wrong, SHA256), (right, hashes.SHA1()), (right, utils.Prehashed(SHA256))):
            with pytest.raises(MechanismUnavailable):
                store.sign_many(ref.public_key_der, [MESSAGE], scheme, digest)

    @pytest.mark.parametrize("purpose", list(Purpose), ids=str)
    def test_a_key_signs_what_its_purpose_allows_and_is_refused_all_else_by_name(self, store, purpose):
        ref = make_key(store, KeySpec.P_256, "for a purpose", purpose)
        assert ref.purpose is purpose
        key = store.get(ref.public_key_der)
        for kind in Content:
            message = content(kind)
            if (purpose, kind) in ALLOWED:
                sign_and_verify(key, message)
                continue
            for use in (
                lambda message=message: key.sign(message, ec.ECDSA(SHA256)),
                lambda message=message: store.sign_many(ref.public_key_der, [message], Scheme.ECDSA, SHA256),
            ):
                with pytest.raises(KeyPurposeWrong) as refusal:
                    use()
                assert refusal.value.facts == {
                    "key_id": ref.key_id.hex(),
                    "purpose": purpose.value,
                    "content": kind.value,
                }

    @pytest.mark.parametrize("purpose", list(Purpose), ids=str)
    def test_every_key_proves_that_it_is_held_and_no_other(self, store, purpose):
        ref = make_key(store, KeySpec.P_256, "own request", purpose)
        key = store.get(ref.public_key_der)
        sign_and_verify(key, request(ref.public_key()))
        with pytest.raises(KeyPurposeWrong):
            sign_and_verify(key, request())

    def test_a_purpose_is_given_once_and_is_kept_with_the_key(self, store, p256):
        store.assign_purpose(p256.public_key_der, Purpose.DOCUMENT)
        for purpose in set(Purpose) - {Purpose.DOCUMENT}:
            with pytest.raises(KeyPurposeSet) as refusal:
                store.assign_purpose(p256.public_key_der, purpose)
            assert refusal.value.facts == {"key_id": p256.key_id.hex(), "purpose": "document"}
        assert p256 in store.list_keys()
        sign_and_verify(store.get(p256.public_key_der))

    def test_a_destroyed_key_is_gone_also_for_objects_handed_out_before(self, store, ref):
        key = store.get(ref.public_key_der)
        sign_and_verify(key)
        store.destroy(ref.public_key_der)
        scheme = Scheme.RSA_PKCS1V15 if ref.spec.is_rsa else Scheme.ECDSA
        for use in (
            lambda: sign_and_verify(key),
            lambda: store.get(ref.public_key_der),
            lambda: store.sign_many(ref.public_key_der, [MESSAGE], scheme, SHA256),
            lambda: store.check_protected(ref.public_key_der),
            lambda: store.assign_purpose(ref.public_key_der, Purpose.TSA),
            lambda: store.destroy(ref.public_key_der),
        ):
            with pytest.raises(KeyDestroyed) as gone:
                use()
            assert gone.value.facts == {"key_id": ref.key_id.hex(), "label": "contract"}
            assert isinstance(gone.value, KeyNotFound)
        assert ref not in store.list_keys()

    def test_what_is_left_of_destroyed_keys_is_listed_by_label_then_id(self, store):
        before = store.list_destroyed()
        labels = ("b", "a", "destroyed:tsa:not really", "tsa:a label like a purpose")
        made = [make_key(store, KeySpec.P_256, label) for label in labels]
        assert store.list_destroyed() == before
        for ref in made:
            store.destroy(ref.public_key_der)
        assert store.list_destroyed() == sorted(before + made, key=lambda ref: (ref.label, ref.key_id))

    def test_destroying_one_key_leaves_the_others(self, store):
        first, second = make_key(store, KeySpec.P_256, "one"), make_key(store, KeySpec.P_256, "two")
        kept = store.get(second.public_key_der)
        store.destroy(first.public_key_der)
        sign_and_verify(kept)
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
        made = [
            make_key(store, KeySpec.P_256, label)
            for label in ("con dấu", "a", "con dấu", "", "tsa:x", "destroyed:tsa:x")
        ]
        listed = store.list_keys()
        assert sorted(before + made, key=lambda ref: (ref.label, ref.key_id)) == listed
        for ref in made:
            sign_and_verify(store.get(ref.public_key_der))

    def test_one_key_object_serves_many_threads(self, store):
        ec_key = store.get(make_key(store, KeySpec.P_256, "threads").public_key_der)
        rsa_key = store.get(make_key(store, KeySpec.RSA_2048, "threads").public_key_der)

        def work(number: int) -> int:
            for turn in range(20):
                key = rsa_key if turn % 10 == 0 else ec_key
                sign_and_verify(key, attributes(f"{number}/{turn}"))
            return number

        with ThreadPoolExecutor(12) as threads:
            assert list(threads.map(work, range(12))) == list(range(12))

    def test_keys_made_and_destroyed_by_many_threads_do_not_mix(self, store):
        def life(number: int) -> KeyRef:
            ref = make_key(store, KeySpec.P_256, f"life-{number}")
            sign_and_verify(store.get(ref.public_key_der))
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
        ref = make_key(store, KeySpec.P_256, "closing")
        key = store.get(ref.public_key_der)
        store.close()
        store.close()
        assert store.status().state == "away"
        for use in (
            lambda: store.generate(KeySpec.P_256, "late", Purpose.DOCUMENT),
            lambda: store.get(ref.public_key_der),
            lambda: store.sign_many(ref.public_key_der, [MESSAGE], Scheme.ECDSA, SHA256),
            store.list_keys,
            store.list_destroyed,
            lambda: store.assign_purpose(ref.public_key_der, Purpose.DOCUMENT),
            lambda: store.check_protected(ref.public_key_der),
            lambda: store.destroy(ref.public_key_der),
            lambda: key.sign(MESSAGE, ec.ECDSA(hashes.SHA256())),
        ):
            with pytest.raises(StoreClosed) as refusal:
                use()
            assert isinstance(refusal.value, HSMError)
