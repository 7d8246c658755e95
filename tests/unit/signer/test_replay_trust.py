"""signer/replay: what a restored home learns again of trust and consent, from the audit trail of after its backup."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import text

from pki.audit import list_acts
from signer.consent import ActivationWish, ConsentDeps, enrol_factor, give_consent
from signer.credentials import get_credential
from signer.errors import SignerError
from signer.factor_seal import FactorSeal
from signer.replay import REPLAYED
from signer.trust_store import TrustDeps, add_anchor, list_trusted, remove_anchor
from tests.official import look_alike
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN


def replay(office: Office, action: str) -> list[bool]:
    """Do every act of this kind once more, as reconciling does."""
    with office.world.database.write() as session:
        acts = [each for each in list_acts(session) if each.action == action]
        return [REPLAYED[action](session, each) for each in acts]


def test_who_was_believed_no_more_is_not_believed_again(office: Office) -> None:
    other, deps = look_alike("government", 2), TrustDeps(office.world.database, office.world.clock)
    add_anchor(other.root, "government", other.fingerprint, ADMIN, deps)
    remove_anchor(other.fingerprint.hex(), ADMIN, deps)
    add_anchor(other.root, "government", other.fingerprint, ADMIN, deps)  # as the backup has it
    assert replay(office, "trust.remove") == [True]
    with office.world.database.read() as session:
        assert list_trusted(session) == []


def test_a_used_consent_stays_used_and_a_lost_factor_is_asked_for_anew(office: Office, tmp_path: Path) -> None:
    clock = office.world.clock
    deps = ConsentDeps(office.world.database, clock, FactorSeal(tmp_path / "factors"))
    totp = pyotp.parse_uri(enrol_factor("officer", ADMIN, deps))
    assert isinstance(totp, pyotp.TOTP)
    wish = ActivationWish("officer", (hashlib.sha256(PDF).hexdigest(),), timedelta(minutes=5))
    given = give_consent(wish, totp.at(int(clock.now().timestamp())), ADMIN, deps)
    office.signed("B-B", activation=given.id)
    with office.world.database.write() as session:  # as the backup has it: before the signature, and before the factor
        session.execute(text("UPDATE activation_documents SET used_at = NULL"))
        session.execute(text("UPDATE activations SET remaining = 1"))
        session.execute(text("UPDATE credentials SET activation = 'standing'"))
    assert replay(office, "activation.use") == [True]
    assert office.rows("SELECT remaining FROM activations") == [(0,)]
    assert replay(office, "credential.factor") == [True]
    with office.world.database.read() as session:
        assert get_credential(session, "officer").activation == "consent"
    with pytest.raises(SignerError) as caught:
        office.signed("B-B", activation=given.id)
    assert caught.value.code == "ACTIVATION_USED"
    with pytest.raises(SignerError) as caught:
        give_consent(wish, "123456", ADMIN, deps)
    assert caught.value.code == "FACTOR_MISSING"
