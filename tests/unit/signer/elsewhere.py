"""A signer whose key is nowhere in the house: a look-alike of a government's authority with an officer's card, and what they make."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki.schemes import Scheme, scheme_for, sign_message
from pki.signed_data import SignerTemplate
from signer.given import Given
from signer.handing_over import OutsideWish, cancel_document, finish_document, prepare_document
from signer.prepared import PreparedDocument, get_prepared
from signer.signing_parts import SignedDocument, SignRequest
from tests.attacks.pki import Party, make, usage
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN


@dataclass
class Card:
    """A person's card: its certificate, the authorities above it, and a key that signs what it is given."""

    root: Party
    issuing: Party
    person: Party
    scheme: Scheme = field(init=False)
    padding: str = "pss"

    def __post_init__(self) -> None:
        self.scheme = scheme_for(self.person.key.public_key(), rsa_padding=self.padding)

    @property
    def wish(self) -> OutsideWish:
        return OutsideWish(self.person.certificate, tuple({self.root.certificate, self.issuing.certificate}))

    def sign(self, octets: bytes) -> bytes:
        """The value as a card makes it, over the octets it is handed."""
        return sign_message(self.person.key, self.scheme, octets)

    def cms(self, digest: bytes, **signing_time: Any) -> bytes:
        """A whole detached CMS over a digest, as a signing service makes it."""
        template = SignerTemplate(self.person.certificate, self.scheme)
        attributes = template.signed_attributes(digest, **signing_time)
        head = template.head() + template.certificates([self.issuing.certificate])
        return template.content_info(head, attributes, self.sign(attributes))


def make_card(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None, **wishes: Any) -> Card:
    """A card of another government's authority; `wishes` are those of tests/attacks/pki.py for the person's certificate."""
    padding = wishes.pop("padding", "pss")
    root = make("Look-alike Government Root", ca=True, key_usage=usage(key_cert_sign=True, crl_sign=True))
    issuing = make("Look-alike Government CA", root, ca=True, key_usage=usage(key_cert_sign=True, crl_sign=True))
    wishes.setdefault("key_usage", usage(content_commitment=True))
    return Card(root, issuing, make("Trần Văn Thẻ", issuing, key=key, **wishes), padding)


def prepare(office: Office, card: Card | None = None, pdf: bytes = PDF, **wishes: Any) -> PreparedDocument:
    """Prepare for the officer's credential, or for a card."""
    wishes.setdefault("placement", "none")
    request = SignRequest(pdf, "a.pdf", "" if card else "officer", **wishes)
    if card is None:
        return prepare_document(request, ADMIN, office.handover)
    deps = dataclasses.replace(office.handover, rsa_padding=card.padding)
    return prepare_document(request, ADMIN, deps, card.wish)


def finish(office: Office, one: PreparedDocument, **given: Any) -> SignedDocument:
    return finish_document(one.id, Given(**given), ADMIN, office.handover)


def cancel(office: Office, one: PreparedDocument) -> PreparedDocument:
    return cancel_document(one.id, ADMIN, office.handover)


def officers_value(office: Office, one: PreparedDocument) -> bytes:
    """The value by the officer's own key, made by somebody who holds only the octets."""
    credential = office.deps.desk.usable("officer")
    return sign_message(credential.key(), one.scheme, one.to_be_signed)


def record(office: Office, one: PreparedDocument) -> PreparedDocument:
    """The record as it is now."""
    with office.world.database.read() as session:
        return get_prepared(session, one.id)
