"""The verdict as a view: what is said first, the three checks, who signed in which role, what came after."""

from __future__ import annotations

import base64
import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.report import describe_verdict
from api.web.certificate_view import octets_of, view_certificate, view_unknown
from api.web.sentences import Sentence
from api.web.signature_view import OwnSigner
from api.web.source_view import SourceLine
from api.web.verdict_view import view_verdict
from api.words import LANGUAGES, Words
from certs.inventory import State
from signer.validation.facts import CertificateFacts, ChangeFacts, CrlFacts, PathFacts, SignatureFacts
from signer.validation.policy import Evidence, JudgedFile, JudgedSignature, load_policy
from signer.validation.reasons import REASONS
from signer.validation.verdict import DocumentStatus, Verdict
from tests.world import AGENCY, World, build_world

NOW = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)
OFFICER_SHA, SEAL_SHA, ROOT_SHA = "aa" * 32, "bb" * 32, "cc" * 32
OWN = {OFFICER_SHA: OwnSigner("officer", None), SEAL_SHA: OwnSigner("seal", None)}
CERTIFICATE = CertificateFacts(
    sha256=OFFICER_SHA, subject="CN=Lê Thị Mẫu,T=Giám đốc,O=Sở Mẫu,C=VN", common_name="Lê Thị Mẫu", organization="Sở Mẫu",
    serial="0a1b", issuer="CN=Root CA,O=Sở Mẫu", not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=1),
    key_type="ec", key_bits=256, signature_hash="sha256", key_usage=("non_repudiation",), der="",
)  # fmt: skip
SEAL = dataclasses.replace(CERTIFICATE, sha256=SEAL_SHA, subject="CN=Sở Mẫu,O=Sở Mẫu,C=VN", common_name="Sở Mẫu")


def _signature(certificate: CertificateFacts | None = CERTIFICATE, reason: str = "VALID", **changes) -> JudgedSignature:
    row = REASONS[reason]
    path = (
        None if certificate is None or reason == "UNKNOWN_ISSUER" else PathFacts("internal", ROOT_SHA, (certificate,))
    )
    facts = {
        "field": "S1", "type": "signature", "subfilter": "/ETSI.CAdES.detached", "changes_after": "none",
        "signer": certificate, "path": path, "claimed_time": NOW, "level": "PAdES-B-B",
    }  # fmt: skip
    judged = {
        "conclusion": row.conclusion, "reason": reason, "sub_indication": row.sub_indications[0], "revocation": "good",
        "integrity": "broken" if reason == "INVALID_MODIFIED" else "intact", "trust": "internal" if path else "unknown",
    }  # fmt: skip
    known = {
        name: changes.pop(name) for name in list(changes) if name in {"revocation", "proven_time", "trust", "integrity"}
    }
    return JudgedSignature(facts=SignatureFacts(**facts | changes), **judged | known)


def _verdict(*signatures: JudgedSignature, status: str = "", reason: str = "") -> Verdict:
    counted = [each for each in signatures if each.facts.type == "signature"]
    order = ("invalid", "indeterminate", "valid")
    worst = min(counted, key=lambda each: order.index(each.conclusion), default=None)
    judged = JudgedFile(
        worst.conclusion if worst else "unsigned", reason or (worst.reason if worst else "NOT_SIGNED"), signatures
    )
    document = DocumentStatus("2" * 20, status) if status else None
    return Verdict("a.pdf", "ab" * 32, "PDF", judged, document, load_policy(), NOW)


def _states(verdict: Verdict) -> dict[str, tuple[str, str]]:
    return {check.name: (check.state, check.why) for check in view_verdict(verdict, OWN).checks}


def test_a_good_pair_passes_all_three_checks_without_a_warning():
    view = view_verdict(_verdict(_signature(), _signature(SEAL), status="in-force"), OWN)
    assert (view.headline.tone, view.headline.word, view.headline.sentence) == ("good", "CONCLUSION_valid", "VALID")
    assert {check.state for check in view.checks} == {"pass"}
    assert view.warnings == ()
    assert [each.role for each in view.signatures] == ["officer", "seal"]


def test_outside_the_register_nothing_is_promised_about_recalls():
    assert _states(_verdict(_signature()))["FORCE"] == ("pass", "WEB_FORCE_UNREGISTERED")
    assert _states(_verdict(_signature(), status="in-force"))["FORCE"] == ("pass", "WEB_FORCE_REGISTERED")
    assert _states(_verdict(_signature(), status="corrected"))["FORCE"] == ("pass", "WEB_FORCE_CORRECTED")


@pytest.mark.parametrize(("status", "reason"), [("recalled", "DOC_RECALLED"), ("replaced", "DOC_REPLACED")])
def test_a_document_out_of_force_comes_before_its_valid_signatures(status, reason):
    view = view_verdict(_verdict(_signature(), status=status), OWN)
    assert (view.headline.tone, view.headline.sentence) == ("bad", reason)
    assert view.second is not None
    assert (view.second.tone, view.second.word) == ("good", "CONCLUSION_valid")
    assert {check.name: check.state for check in view.checks} == {"CONTENT": "pass", "SIGNER": "pass", "FORCE": "fail"}


def test_a_changed_file_fails_the_first_check_and_nothing_is_said_of_the_others():
    assert _states(_verdict(_signature(reason="INVALID_MODIFIED"))) == {
        "CONTENT": ("fail", "INVALID_MODIFIED"),
        "SIGNER": ("unknown", "WEB_NOT_ASKED_CONTENT"),
        "FORCE": ("unknown", "WEB_NOT_ASKED_CONTENT"),
    }


def test_one_changed_signature_among_good_ones_decides_the_check():
    assert _states(_verdict(_signature(), _signature(SEAL, "INVALID_MODIFIED")))["CONTENT"][0] == "fail"


def test_an_unknown_issuer_leaves_the_content_intact_and_the_signer_open():
    view = view_verdict(_verdict(_signature(reason="UNKNOWN_ISSUER")), {})
    assert (view.headline.tone, view.headline.sentence) == ("unsure", "WEB_PLAIN_UNKNOWN_ISSUER")
    assert _states(_verdict(_signature(reason="UNKNOWN_ISSUER"))) == {
        "CONTENT": ("pass", "WEB_CONTENT_PASS"),
        "SIGNER": ("unknown", "UNKNOWN_ISSUER"),
        "FORCE": ("unknown", "WEB_NOT_ASKED_SIGNER"),
    }


@pytest.mark.parametrize("reason", ["INVALID_REVOKED", "INVALID_EXPIRED", "INVALID_NOT_YET_VALID"])
def test_a_certificate_out_of_force_at_signing_fails_the_third_check_alone(reason):
    assert {name: state for name, (state, _) in _states(_verdict(_signature(reason=reason))).items()} == {
        "CONTENT": "pass",
        "SIGNER": "pass",
        "FORCE": "fail",
    }


@pytest.mark.parametrize(
    "reason", [code for code, row in REASONS.items() if row.conclusion in ("invalid", "indeterminate")]
)
def test_no_verdict_that_is_not_valid_passes_all_three_checks(reason):
    assert {state for state, _ in _states(_verdict(_signature(reason=reason))).values()} != {"pass"}


def test_a_weak_digest_says_nothing_about_the_content():
    assert _states(_verdict(_signature(reason="UNKNOWN_ALGORITHM")))["CONTENT"][0] == "unknown"


def test_what_others_have_published_stands_among_the_sources_each_once():
    register = SourceLine(True, Sentence("WEB_SOURCE_register_good", {"time": "then"}))
    asked = (Evidence(CERTIFICATE, "good", "register", None, NOW), Evidence(SEAL, "good", "local", "crl", NOW))
    judged = [dataclasses.replace(_signature(), evidence=asked) for _ in range(2)]
    view = view_verdict(_verdict(*judged), OWN, sources=(register,))
    (line,) = view.sources[1:]
    assert line.sentence == Sentence(
        "WEB_SOURCE_relied", {"kind": "CRL", "name": "Sở Mẫu", "time": "21/11/2026 10:04:05 +07:00"}
    )
    assert line.is_good


def test_a_source_that_is_down_is_a_warning_too_and_all_stand_in_the_report():
    good = SourceLine(True, Sentence("WEB_SOURCE_register_good", {"time": "then"}))
    down = SourceLine(False, Sentence("WEB_SOURCE_crl_down", {"owner": "A", "time": "then", "due": "soon"}))
    view = view_verdict(_verdict(_signature(), _signature(SEAL), status="in-force"), OWN, sources=(good, down))
    assert view.sources == (good, down)
    assert view.warnings == (down.sentence,)
    # A list that nobody renewed takes nothing from what the register says.
    assert view.headline.tone == "good"


def test_a_file_without_signatures_has_no_checks_and_is_told_so():
    view = view_verdict(_verdict(), {})
    assert (view.headline.tone, view.headline.sentence, view.checks, view.signatures) == ("plain", "NOT_SIGNED", (), ())


def test_half_of_the_pair_is_missed():
    assert [each.code for each in view_verdict(_verdict(_signature()), OWN).warnings] == ["WEB_MISSING_SEAL"]
    sealed = _verdict(_signature(SEAL))
    assert [each.code for each in view_verdict(sealed, OWN).warnings] == ["WEB_MISSING_OFFICER"]
    assert view_verdict(sealed, OWN, sealed_alone=True).warnings == ()


def test_nothing_is_missed_where_a_role_is_not_known():
    stranger = dataclasses.replace(CERTIFICATE, sha256="dd" * 32)
    assert view_verdict(_verdict(_signature(stranger)), OWN).warnings == ()


@pytest.mark.parametrize(
    ("subject", "name", "role"),
    [
        ("CN=A,UID=CCCD:001099001234,O=Sở Mẫu", "A", "officer"),
        ("CN=Sở Mẫu,UID=MST:0400000001,O=Sở Mẫu", "Sở Mẫu", "seal"),
        ("CN=A,UID=MST:0400000001,O=Sở Mẫu", "A", ""),
        ("CN=A,O=Sở Mẫu", "A", ""),
    ],
)
def test_the_role_of_a_stranger_is_read_from_his_numbers_only(subject, name, role):
    stranger = dataclasses.replace(CERTIFICATE, sha256="dd" * 32, subject=subject, common_name=name)
    assert view_verdict(_verdict(_signature(stranger)), OWN).signatures[0].role == role


def test_a_proven_time_is_told_from_the_signers_own_clock():
    plain, proven = view_verdict(
        _verdict(_signature(), _signature(SEAL, proven_time=NOW + timedelta(seconds=2))), OWN
    ).signatures
    assert (plain.time, plain.proven) == ("21/11/2026 10:04:05 +07:00", False)
    assert (proven.time, proven.proven, proven.claimed) == (
        "21/11/2026 10:04:07 +07:00",
        True,
        "21/11/2026 10:04:05 +07:00",
    )


def test_a_revocation_after_signing_is_dated():
    own = {OFFICER_SHA: OwnSigner("officer", NOW + timedelta(days=1))}
    (card,) = view_verdict(_verdict(_signature(revocation="revoked")), own).signatures
    assert card.ended == "22/11/2026 10:04:05 +07:00"


def test_a_strangers_revocation_is_dated_by_the_newest_list():
    old = CrlFacts(NOW - timedelta(days=9), None, None, None)
    new = CrlFacts(NOW, None, NOW - timedelta(days=2), "superseded")
    stranger = dataclasses.replace(CERTIFICATE, sha256="dd" * 32, crls=(old, new))
    (card,) = view_verdict(_verdict(_signature(stranger, revocation="revoked")), OWN).signatures
    assert card.ended == "19/11/2026 10:04:05 +07:00"


def _after(card) -> list[tuple[str, str, list[str]]]:
    return [(each.heading, each.tone, [told.code for told in each.sentences]) for each in card.after]


def test_permitted_additions_stand_apart_from_forbidden_changes():
    additions = (
        ChangeFacts("signature", None, "Seal1"),
        ChangeFacts("field", 1, "SoVanBan: ∅ → 01"),
        ChangeFacts("field", None, "X: a → b"),
        ChangeFacts("field", 1, "So: 15 → 15"),
        ChangeFacts("validation-data", None, ""),
    )
    forbidden = (
        ChangeFacts("forbidden", 2, "object 7"),
        ChangeFacts("forbidden", 2, "object 8"),
        ChangeFacts("forbidden", None, "object 9"),
    )
    one = _signature(changes_after="permitted", changes=additions)
    two = _signature(reason="INVALID_MODIFIED", changes_after="forbidden", changes=forbidden)
    good, bad = view_verdict(_verdict(one, two), OWN).signatures
    told = ["WEB_AFTER_SIGNATURE", "WEB_AFTER_FILLED_PAGE", "WEB_AFTER_FIELD", "WEB_AFTER_REDRAWN_PAGE"]
    told += ["WEB_AFTER_DATA"]
    assert _after(good) == [("WEB_AFTER_PERMITTED", "", told)]
    facts = dict(good.after[0].sentences[1].facts)
    assert facts == {"page": "1", "text": "SoVanBan: ∅ → 01", "field": "SoVanBan", "value": "01"}
    assert _after(bad) == [("WEB_AFTER_FORBIDDEN", "bad", ["WEB_FORBIDDEN_PAGE", "WEB_FORBIDDEN_FILE"])]
    assert bad.after[0].sentences[0].facts["page"] == "2"


@pytest.mark.parametrize(
    ("known", "reason", "heading", "tone", "stamp"),
    [
        ("forbidden", "INVALID_MODIFIED", "WEB_AFTER_FORBIDDEN", "bad", "WEB_AFTER_PERMITTED"),
        ("unknown", "UNKNOWN_CHANGES", "WEB_AFTER_UNCLEAR", "unsure", "WEB_AFTER_UNCLEAR"),
        ("permitted", "VALID_EXTENDED", "WEB_AFTER_PERMITTED", "", "WEB_AFTER_PERMITTED"),
    ],
)
def test_what_is_not_known_to_be_permitted_is_not_called_so(known, reason, heading, tone, stamp):
    changes = tuple(ChangeFacts(kind, None, kind) for kind in ("annotation", "field", "timestamp", "validation-data"))
    (card,) = view_verdict(_verdict(_signature(reason=reason, changes_after=known, changes=changes)), OWN).signatures
    by_code = {told.code: each.heading for each in card.after for told in each.sentences}
    assert by_code == {
        "WEB_AFTER_ANNOTATION": heading,
        "WEB_AFTER_FIELD": heading,
        "WEB_AFTER_TIMESTAMP": stamp,
        "WEB_AFTER_DATA": "WEB_AFTER_PERMITTED",
    }
    assert card.after[0].tone == tone


def test_the_command_line_says_the_same_words_as_the_page():
    changes = (ChangeFacts("forbidden", 2, "object 7"), ChangeFacts("forbidden", 2, "object 8"))
    verdict = _verdict(_signature(reason="INVALID_MODIFIED", changes_after="forbidden", changes=changes))
    (group,) = view_verdict(verdict, OWN).signatures[0].after
    for language in LANGUAGES:
        words = Words(language)
        (sentence,) = (words.say(each.code, each.facts) for each in group.sentences)
        lines = describe_verdict(verdict, words)
        assert f"    {words.say(group.heading)}:\n      - {sentence}" in "\n".join(lines)
        assert "object" not in sentence
        assert sum("object 7" in line for line in lines) == 0


def test_a_document_in_force_lends_no_green_to_a_copy_that_is_not_valid():
    good = view_verdict(_verdict(_signature(), status="in-force"), OWN).document
    bad = view_verdict(_verdict(_signature(reason="INVALID_MODIFIED"), status="in-force"), OWN).document
    assert good is not None
    assert bad is not None
    assert (good.tone, bad.tone) == ("good", "plain")


def test_each_root_is_named_once_with_its_fingerprint():
    view = view_verdict(_verdict(_signature(), _signature(SEAL)), OWN)
    assert view.roots == (("Root CA (Sở Mẫu)", " ".join(["cccc"] * 16)),)


def test_the_json_in_the_link_is_the_verdict():
    verdict = _verdict(_signature())
    prefix, _, payload = view_verdict(verdict, OWN).json_link.partition(",")
    assert prefix == "data:application/json;base64"
    assert json.loads(base64.b64decode(payload)) == verdict.to_json()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    built = build_world(tmp_path_factory.mktemp("web-world"))
    yield built
    built.close()


def _view(world: World, serial: str, now: datetime | None = None):
    issuer = world.record(f"{world.issuing.certificate.serial_number:x}")
    return view_certificate(world.record(serial), issuer, now or world.clock.now())


def test_a_certificate_in_force_shows_the_officer_with_his_number_masked(world):
    view = _view(world, world.officer().record.serial)
    assert (view.tone, view.word) == ("good", "WEB_CERTIFICATE_WORD_active")
    assert [(each.name, each.value) for each in view.subject] == [
        ("CN", "Nguyễn Thị Thử Nghiệm"),
        ("T", "Phó Giám đốc"),
        ("O", AGENCY),
        ("UID", "CCCD:********0001"),
    ]
    assert "000000000001" not in repr(view)


def test_a_revoked_certificate_says_when_why_and_since_when_it_is_suspect(world):
    serial = world.officer().record.serial
    world.clock.advance(days=5)
    world.revoke(serial, "keyCompromise", days=3)
    view = _view(world, serial)
    assert (view.tone, view.word, view.reason) == ("bad", "WEB_CERTIFICATE_WORD_revoked", "WEB_REASON_keyCompromise")
    assert view.revoked_at
    assert view.suspect_since
    assert view.revoked_at != view.suspect_since


def test_suspended_is_not_revoked(world):
    serial = world.officer().record.serial
    world.revoke(serial, "certificateHold")
    view = _view(world, serial)
    assert (view.tone, view.word) == ("unsure", "WEB_CERTIFICATE_WORD_suspended")


def test_a_certificate_before_and_after_its_time(world):
    record = world.officer().record
    assert _view(world, record.serial, record.not_before - timedelta(hours=1)).word == "WEB_CERTIFICATE_WORD_future"
    assert _view(world, record.serial, record.not_after + timedelta(hours=1)).word == "WEB_CERTIFICATE_WORD_expired"


def test_a_certificate_is_worth_no_more_than_its_issuer(world):
    record = world.officer().record
    issuer = dataclasses.replace(world.record(record.serial), serial="00", state=State.REVOKED)
    assert view_certificate(record, issuer, world.clock.now()).word == "WEB_CERTIFICATE_WORD_issuer"


def test_an_unknown_certificate_shows_nothing_and_accuses_nobody():
    view = view_unknown(NOW)
    assert (view.tone, view.found, view.subject, view.serial) == ("plain", False, (), "")


def test_a_certificate_file_is_recognised_in_both_encodings(world):
    record = world.officer().record
    certificate = record.certificate()
    pem = certificate.public_bytes(Encoding.PEM)
    for file in (certificate.public_bytes(Encoding.DER), pem, b"Bag Attributes\n" + pem, pem.replace(b"\n", b"\r\n")):
        assert octets_of(file) == record.der
    assert x509.load_pem_x509_certificate(pem) == certificate


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"%PDF-1.7",
        b"\x30\x03\x02\x01\x05",
        b"\x30\x84\xff\xff\xff\xff" + bytes(50),
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----",
        b"-----BEGIN PRIVATE KEY-----\nMAMCAQU=\n-----END PRIVATE KEY-----",
        b"\x30\x80" * 5000,
    ],
)
def test_what_is_no_certificate_is_not_taken_for_one(file):
    assert octets_of(file) is None


def test_a_card_says_what_its_signature_was_for_where_the_register_knows():
    judged = _verdict(_signature(), _signature(SEAL, field="S2"), _signature(SEAL, field="S3"))
    view = view_verdict(judged, OWN, purposes={"S1": "approve", "S2": "issue"})
    assert [each.purpose for each in view.signatures] == ["approve", "issue", ""]
