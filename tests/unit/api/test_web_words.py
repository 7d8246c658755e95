"""The words of the pages: every sentence is said somewhere, and whatever a page may say is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509

from api.web.certificate_view import _TONES as CERTIFICATE_STATES
from api.web.notices import NOTICES
from api.web.signature_view import OFFICER, SEAL
from api.web.verdict_view import _ADVICE, _PLAIN, TONES
from api.words import LANGUAGES, read_catalogues
from pki.history import Past
from pki.revocation import REASONS as REVOCATION_REASONS
from signer.office_policy import INTENTS
from signer.validation.reasons import REASONS

WEB = Path(__file__).parents[3] / "api" / "web"
TEXT = "".join(path.read_text("utf-8") for path in sorted(WEB.rglob("*")) if path.suffix in (".html", ".py"))
SENTENCES = {code for code in read_catalogues("en") if code.startswith("WEB_")}
# What a template or view puts together, by its fixed beginning: which endings there can be.
FAMILIES = {
    "WEB_ATTRIBUTE_": ["CN", "T", "OU", "O", "UID", "serialNumber", "ST", "L", "NAME"],
    "WEB_CARD_": ["signature", "timestamp", "countersignature", "VALID", "VALID_LATER_EXPIRED"],
    "WEB_CERTIFICATE_WORD_": [*CERTIFICATE_STATES, "unknown"],
    "WEB_CERTIFICATE_SENTENCE_": [*CERTIFICATE_STATES, "unknown"],
    "WEB_CERTIFICATE_NEXT_": [*CERTIFICATE_STATES, "unknown"],
    "WEB_CHECK_": ["CONTENT", "SIGNER", "FORCE"],
    "WEB_PAST_KNOWN_": ["active", "suspended"],
    "WEB_PAST_NEXT_": ["good", "other"],
    "WEB_PAST_OCSP_": ["none", "good", "revoked", "old"],
    "WEB_PAST_WORD_": ["issuer", *(state.value for state in Past if state is not Past.INTENT), "lost"],
    "WEB_PAST_SENTENCE_": ["issuer", *(state.value for state in Past if state is not Past.INTENT), "lost"],
    "WEB_PLAIN_": list(_PLAIN),
    "WEB_PURPOSE_": list(INTENTS),
    "WEB_REASON_": [*REVOCATION_REASONS, "unspecified"],
    "WEB_RECEIPT_DOCUMENT_": ["LINE", "ORIGINAL"],
    "WEB_RECEIPT_SOURCE_": ["register", "embedded", "given", "cached", "local", "fetched"],
    "WEB_REPORT_": ["CHECKED_AT", "POLICY", "SHA256", "SOFTWARE"],
    "WEB_REVOCATION_": ["good", "revoked", "suspended", "unknown", "revoked_since", "suspended_since"],
    "WEB_ROLE_": [OFFICER, SEAL],
    "WEB_SOURCE_": [f"{kind}_{state}" for kind in ("register", "crl") for state in ("good", "down", "never")],
    "WEB_STATE_": ["pass", "fail", "unknown", "valid", "invalid", "indeterminate"],
    "WEB_WORD_DOC_": ["RECALLED", "REPLACED", "CORRECTED"],
    "WEB_": [
        *(f"{key}_{part}" for key in NOTICES for part in ("TITLE", "WHY", "NEXT")),
        *(
            f"{key}_{part}"
            for key in {*_ADVICE.values(), "REPLACED_HERE", "CORRECTED", "CORRECTED_HERE", "NOT_ISSUED", "DOCUMENT"}
            for part in ("WHY", "NEXT")
        ),
    ],
}
SAID = set(re.findall(r"""['"](WEB_[A-Za-z0-9_]*[A-Za-z0-9])['"]""", TEXT)) | {
    beginning + ending for beginning, endings in FAMILIES.items() for ending in endings
}


def test_whatever_a_page_may_say_has_a_sentence():
    assert sorted(SAID - SENTENCES) == []


def test_every_sentence_of_the_pages_is_said():
    assert sorted(SENTENCES - SAID) == []


def test_every_code_that_is_put_together_belongs_to_a_family_known_here():
    begun = set(re.findall(r"""['"](WEB_[A-Za-z0-9_]*_)['"]\s*~""", TEXT)) | set(
        re.findall(r'f"(WEB_[A-Za-z_]*)\{', TEXT)
    )
    assert {each for each in begun if not any(each.startswith(known) for known in FAMILIES)} == set()
    assert begun


def test_every_reason_for_which_something_was_judged_has_advice():
    judged = {code for code, row in REASONS.items() if row.conclusion not in (None, "unreadable")}
    assert judged | {"DOC_RECALLED", "DOC_REPLACED"} == set(_ADVICE)


def test_every_reason_of_rfc_5280_that_can_be_given_is_explained():
    assert set(REVOCATION_REASONS) <= {reason.value for reason in x509.ReasonFlags}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_conclusion_has_a_word_of_its_own(language):
    sentences = read_catalogues(language)
    words = [sentences[f"CONCLUSION_{conclusion}"] for conclusion in TONES]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_speaks_to_people_and_not_in_codes_or_markup(language):
    for code, sentence in read_catalogues(language).items():
        if code.startswith("WEB_"):
            assert not re.search(r"<|>|&\w+;|[A-Z]{3,}_[A-Z]|  ", sentence), code
