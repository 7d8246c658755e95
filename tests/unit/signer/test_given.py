"""A whole CMS that was made elsewhere: what is embedded, and what is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from hsm import der
from pki.signed_data import TST_INFO, SignerTemplate
from signer.errors import Refused
from signer.subfilters import PKCS7
from signer.validation.facts import TrustAnchor, ValidationInputs
from tests.fakes.clock import START
from tests.unit.signer.elsewhere import Card, cancel, finish, make_card, prepare, record
from tests.unit.signer.office import Office

_LATER = datetime(2026, 11, 21, 8, 0, 0, tzinfo=START.tzinfo)


def refusal(office: Office, one, cms: bytes) -> str:
    """The code with which it is refused; the document waits on, and nothing was written."""
    acts = office.rows("SELECT count(*) FROM audit")
    with pytest.raises(Refused) as caught:
        finish(office, one, cms=cms)
    assert record(office, one) == one
    assert office.rows("SELECT count(*) FROM audit") == acts
    return caught.value.code


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LT"])
def test_a_cms_of_a_signing_service_is_embedded_as_it_is_and_raised(office: Office, level: str) -> None:
    card = make_card()
    one = prepare(office, card, level=level)
    cms = card.cms(bytes.fromhex(one.digest))
    signed = finish(office, one, cms=cms)
    start = one.hole[0] + 1
    assert signed.content[start : start + 2 * len(cms)] == cms.hex().encode()
    # Without a list nobody knows whether the card was revoked: B-LT has to wait.
    reached = level if level == "B-B" else "B-T"
    assert (signed.level, signed.pending) == ((level, None) if level == reached else ("B-T", level))
    inputs = ValidationInputs(office.world.clock.now(), (TrustAnchor(card.root.der, "government"),))
    judged = office.judged(signed.content, extra=inputs)
    assert (judged.integrity, judged.reason, judged.facts.reached) == ("intact", "UNKNOWN_REVOCATION", reached)


def test_the_older_form_may_have_a_time_in_it_and_pades_may_not(office: Office) -> None:
    card = make_card()
    one = prepare(office, card)
    cms = card.cms(bytes.fromhex(one.digest), signing_time=_LATER)
    assert refusal(office, one, cms) == "PREPARED_CMS_SIGNING_TIME"
    old = prepare(office, card, subfilter=PKCS7)
    signed = finish(office, old, cms=card.cms(bytes.fromhex(old.digest), signing_time=_LATER))
    judged = office.judged(signed.content)
    assert (judged.integrity, judged.facts.level) == ("intact", "PDF-PKCS7")


def _unbound(card: Card, digest: bytes) -> bytes:
    """Without signing-certificate-v2."""
    template = SignerTemplate(card.person.certificate, card.scheme)
    reader = der.Reader(template.signed_attributes(digest)).enter(der.SET)
    kept = []
    while not reader.is_empty:
        attribute = der.tlv(der.SEQUENCE, reader.take(der.SEQUENCE))
        if der.oid("1.2.840.113549.1.9.16.2.47") not in attribute:
            kept.append(attribute)
    attributes = der.set_of(kept)
    return template.content_info(template.head() + template.certificates([]), attributes, card.sign(attributes))


def _enclosing(card: Card, digest: bytes) -> bytes:
    template = SignerTemplate(card.person.certificate, card.scheme)
    attributes = template.signed_attributes(digest)
    return template.content_info(
        template.head(b"content") + template.certificates([]), attributes, card.sign(attributes)
    )


def _of_another_kind(card: Card, digest: bytes) -> bytes:
    template = SignerTemplate(card.person.certificate, card.scheme, TST_INFO)
    attributes = template.signed_attributes(digest)
    return template.content_info(template.head() + template.certificates([]), attributes, card.sign(attributes))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda card, digest: card.cms(bytes(32)), "PREPARED_SIGNS_ANOTHER"),
        (lambda card, digest: make_card().cms(digest), "PREPARED_SIGNED_BY_ANOTHER"),
        (lambda card, digest: card.cms(digest)[:-1], "PREPARED_CMS_MALFORMED"),
        (lambda card, digest: card.cms(digest) + b"\0", "PREPARED_CMS_MALFORMED"),
        (lambda card, digest: b"", "PREPARED_CMS_MALFORMED"),
        (lambda card, digest: b"-----BEGIN CMS-----", "PREPARED_CMS_MALFORMED"),
        (_enclosing, "PREPARED_CMS_MALFORMED"),
        (_of_another_kind, "PREPARED_CMS_MALFORMED"),
        (_unbound, "PREPARED_CMS_UNBOUND"),
        (lambda card, digest: bytes(100_000), "PREPARED_CMS_TOO_LARGE"),
    ],
)  # fmt: skip
def test_what_is_not_this_signature_of_this_document_is_refused(
    office: Office, make: Callable[[Card, bytes], bytes], code: str
) -> None:
    card = make_card()
    one = prepare(office, card)
    assert refusal(office, one, make(card, bytes.fromhex(one.digest))) == code


def test_a_wrong_value_in_a_right_frame_is_refused(office: Office) -> None:
    card = make_card()
    one = prepare(office, card)
    template = SignerTemplate(card.person.certificate, card.scheme)
    attributes = template.signed_attributes(bytes.fromhex(one.digest))
    head = template.head() + template.certificates([card.issuing.certificate])
    cms = template.content_info(head, attributes, card.sign(attributes + b"\0"))
    assert refusal(office, one, cms) == "PREPARED_SIGNATURE_WRONG"


def test_more_room_takes_what_was_too_large(office: Office) -> None:
    card = make_card()
    one = prepare(office, card)
    template = SignerTemplate(card.person.certificate, card.scheme)

    def large(digest: bytes) -> bytes:
        attributes = template.signed_attributes(digest)
        head = template.head() + template.certificates([make_card().person.certificate for _ in range(30)])
        return template.content_info(head, attributes, card.sign(attributes))

    assert refusal(office, one, large(bytes.fromhex(one.digest))) == "PREPARED_CMS_TOO_LARGE"
    cancel(office, one)
    wide = prepare(office, card, room=40_000)
    assert wide.room == 40_000
    signed = finish(office, wide, cms=large(bytes.fromhex(wide.digest)))
    assert office.judged(signed.content).integrity == "intact"


def test_room_never_makes_less_than_our_own_signature_needs(office: Office) -> None:
    assert prepare(office, room=1).room == prepare(office).room
