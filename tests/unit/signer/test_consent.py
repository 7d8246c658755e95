"""signer/consent and activation: a person's second factor, and consent that is for these bytes, this often, until then, and once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from pki.audit import Actor
from pki.errors import RoleMissing
from signer.consent import (
    Activation,
    ActivationWish,
    ConsentDeps,
    end_consent,
    enrol_factor,
    give_consent,
    list_activations,
)
from signer.errors import Refused, SignerError, UsageWrong
from signer.factor_seal import FactorSeal
from signer.signing import SignedDocument, SignRequest, sign_document
from signer.signing_batch import sign_documents
from tests.attacks.documents import page_pdf
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN

OTHER = page_pdf() + b"\n% another\n"
ONE_MINUTE = timedelta(minutes=1)


@dataclass
class Person:
    """An officer with an authenticator."""

    office: Office
    deps: ConsentDeps
    totp: pyotp.TOTP

    @property
    def code(self) -> str:
        return self.totp.at(int(self.office.world.clock.now().timestamp()))

    def give(
        self, *pdfs: bytes, code: str | None = None, lasts: timedelta = ONE_MINUTE, count: int | None = None
    ) -> Activation:
        """Consent with the next code."""
        if code is None:
            self.office.world.clock.advance(seconds=30)
            code = self.code
        documents = tuple(hashlib.sha256(each).hexdigest() for each in pdfs)
        return give_consent(ActivationWish("officer", documents, lasts, count), code, ADMIN, self.deps)

    def sign(self, activation: str | None, pdf: bytes = PDF) -> SignedDocument:
        return self.office.signed("B-B", pdf, activation=activation)

    def uses(self) -> int:
        ((count,),) = self.office.rows("SELECT count(*) FROM audit WHERE action = 'activation.use'")
        return int(count)


@pytest.fixture
def person(office: Office, tmp_path: Path) -> Person:
    deps = ConsentDeps(office.world.database, office.world.clock, FactorSeal(tmp_path / "factors"))
    uri = enrol_factor("officer", ADMIN, deps)
    totp = pyotp.parse_uri(uri)
    assert isinstance(totp, pyotp.TOTP)
    return Person(office, deps, totp)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(SignerError) as caught:
        call()
    return caught.value.code


def test_without_consent_nothing_is_signed_and_nothing_begun(person: Person) -> None:
    assert refusal(lambda: person.sign(None)) == "ACTIVATION_NEEDED"
    assert refusal(lambda: person.sign("0" * 32)) == "ACTIVATION_UNKNOWN"
    assert person.office.rows("SELECT count(*) FROM signing_acts") == [(0,)]


def test_consent_is_for_these_very_bytes_and_for_once(person: Person) -> None:
    given = person.give(PDF)
    assert refusal(lambda: person.sign(given.id, OTHER)) == "ACTIVATION_OTHER_DOCUMENT"
    assert person.sign(given.id).level == "B-B"
    assert refusal(lambda: person.sign(given.id)) == "ACTIVATION_USED"
    assert person.uses() == 1


def test_the_count_may_be_below_the_number_of_documents(person: Person) -> None:
    given = person.give(PDF, OTHER, count=1)
    person.sign(given.id, OTHER)
    assert refusal(lambda: person.sign(given.id)) == "ACTIVATION_USED"
    with person.office.world.database.read() as session:
        (shown,) = list_activations(session)
    assert (shown.count, shown.remaining) == (1, 0)


def test_consent_ends(person: Person) -> None:
    given = person.give(PDF)
    person.office.world.clock.advance(seconds=61)
    assert refusal(lambda: person.sign(given.id)) == "ACTIVATION_EXPIRED"


def test_one_activation_is_used_once_however_many_try_at_one_moment(person: Person) -> None:
    given = person.give(PDF)
    results: list[str] = []
    barrier = threading.Barrier(8)

    def attempt() -> None:
        barrier.wait()
        try:
            sign_document(
                SignRequest(PDF, "a.pdf", "officer", placement="none", activation=given.id), ADMIN, person.office.deps
            )
            results.append("signed")
        except Refused as error:
            results.append(error.code)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == ["ACTIVATION_USED"] * 7 + ["signed"]
    assert person.uses() == 1


def test_in_a_row_of_documents_each_needs_its_own(person: Person) -> None:
    given = person.give(PDF)
    requests = [
        SignRequest(pdf, "a.pdf", "officer", placement="none", activation=given.id) for pdf in (PDF, OTHER, PDF)
    ]
    results = sign_documents(requests, ADMIN, person.office.deps)
    assert isinstance(results[0], SignedDocument)
    codes = [each.code for each in results[1:] if isinstance(each, SignerError)]
    assert codes == ["ACTIVATION_OTHER_DOCUMENT", "ACTIVATION_USED"]


def test_a_code_counts_once_and_only_around_now(person: Person) -> None:
    clock = person.office.world.clock
    code = person.code
    person.give(PDF, code=code)
    assert refusal(lambda: person.give(PDF, code=code)) == "FACTOR_CODE_USED"
    clock.advance(minutes=5)
    assert refusal(lambda: person.give(PDF, code=code)) == "FACTOR_CODE_WRONG"
    clock.advance(seconds=30)
    late = person.code
    clock.advance(seconds=30)
    assert person.give(PDF, code=late).remaining == 1, "a telephone may be half a minute behind"


def test_guessing_ends_after_five_codes_and_the_right_one_waits_too(person: Person) -> None:
    wrong = f"{(int(person.code) + 1) % 10**6:06d}"
    for nonsense in (wrong, "", "abcdef", "１２３４５６", "0" * 60):
        assert refusal(lambda nonsense=nonsense: person.give(PDF, code=nonsense)) == "FACTOR_CODE_WRONG"
    assert refusal(lambda: person.give(PDF)) == "FACTOR_LOCKED"
    person.office.world.clock.advance(minutes=15)
    assert person.give(PDF)
    assert person.office.rows("SELECT count(*) FROM audit WHERE action = 'activation.refuse'") == [(6,)]


def test_another_factor_takes_the_old_ones_place_and_ends_what_was_consented_to(person: Person) -> None:
    given, old = person.give(PDF), person.totp
    assert refusal(lambda: enrol_factor("officer", ADMIN, person.deps)) == "FACTOR_EXISTS"
    person.totp = pyotp.TOTP(str(pyotp.parse_uri(enrol_factor("officer", ADMIN, person.deps, again=True)).secret))
    assert refusal(lambda: person.sign(given.id)) == "ACTIVATION_EXPIRED"
    person.office.world.clock.advance(seconds=30)
    code = old.at(int(person.office.world.clock.now().timestamp()))
    assert refusal(lambda: person.give(PDF, code=code)) == "FACTOR_CODE_WRONG"
    assert person.sign(person.give(PDF).id)


def test_a_credential_that_was_looked_up_before_asks_for_consent_all_the_same(office: Office, tmp_path: Path) -> None:
    office.signed("B-B")
    enrol_factor("officer", ADMIN, ConsentDeps(office.world.database, office.world.clock, FactorSeal(tmp_path / "f")))
    assert refusal(lambda: office.signed("B-B")) == "ACTIVATION_NEEDED"
    end_consent("officer", ADMIN, ConsentDeps(office.world.database, office.world.clock, FactorSeal(tmp_path / "f")))
    assert office.signed("B-B")


def test_the_secret_is_nowhere_in_the_database_and_opens_for_its_credential_alone(person: Person) -> None:
    ((sealed,),) = person.office.rows("SELECT secret FROM second_factors")
    secret = person.totp.secret.encode()
    assert secret not in bytes(sealed)
    assert person.deps.seal.open(bytes(sealed), "officer") == secret
    assert refusal(lambda: person.deps.seal.open(bytes(sealed), "another")) == "FACTOR_UNREADABLE"
    assert person.deps.seal.key_file.stat().st_mode & 0o777 == 0o600
    person.deps.seal.key_file.unlink()
    assert refusal(lambda: person.give(PDF)) == "FACTOR_KEY_MISSING"


def test_what_no_consent_can_be_is_wrong_usage(person: Person) -> None:
    for wish in (
        ActivationWish("officer", (), ONE_MINUTE),
        ActivationWish("officer", ("nonsense",), ONE_MINUTE),
        ActivationWish("officer", ("0" * 64,), ONE_MINUTE, 2),
        ActivationWish("officer", ("0" * 64,), ONE_MINUTE, 0),
        ActivationWish("officer", ("0" * 64,), timedelta(days=2)),
        ActivationWish("nobody", ("0" * 64,), ONE_MINUTE),
    ):
        with pytest.raises(UsageWrong):
            give_consent(wish, person.code, ADMIN, person.deps)


def test_who_may_not_sign_or_manage_credentials_changes_nothing(person: Person) -> None:
    nobody = Actor("nobody")
    wish = ActivationWish("officer", ("0" * 64,), ONE_MINUTE)
    for deed in (
        lambda: enrol_factor("officer", nobody, person.deps, again=True),
        lambda: end_consent("officer", nobody, person.deps),
        lambda: give_consent(wish, person.code, nobody, person.deps),
    ):
        with pytest.raises(RoleMissing):
            deed()
