"""A verdict as a page shows it: headline, three checks, signatures, report. Codes and facts, no words and no HTML."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from api.web.bare_view import BareCertificate, view_bare
from api.web.document_link import DocumentLink, advice_with, links
from api.web.sentences import Sentence
from api.web.signature_view import OwnSigner, SignatureView, view_signature
from api.web.source_view import SourceLine, view_relied
from api.web.text import in_groups, short_name
from certs.clock import for_people
from signer.codes import grouped
from signer.credentials import OFFICER, SEAL
from signer.validation.policy import TRAINING, JudgedSignature
from signer.validation.verdict import DocumentStatus, Verdict, software

# What a conclusion looks like; the word beside it says the same, so colour is never the only bearer (WCAG 2.2 1.4.1).
TONES = {"valid": "good", "invalid": "bad", "indeterminate": "unsure", "unsigned": "plain", "unreadable": "plain"}

# Why and what to do, by reason: several reasons ask the same of the reader.
_ADVICE = {
    "VALID": "USE",
    "VALID_EXTENDED": "USE_EXTENDED",
    "VALID_LATER_EXPIRED": "USE_EXPIRED",
    "INVALID_MODIFIED": "DISCARD",
    "INVALID_CRYPTO": "DISCARD",
    "INVALID_FORMAT": "DISCARD",
    "INVALID_REVOKED": "RESIGN",
    "INVALID_EXPIRED": "RESIGN",
    "INVALID_NOT_YET_VALID": "RESIGN",
    "UNKNOWN_REVOKED_NO_TIME": "PROOF",
    "UNKNOWN_EXPIRED_NO_TIME": "PROOF",
    "UNKNOWN_TIME": "PROOF",
    "UNKNOWN_CLAIMED_TIME": "PROOF",
    "UNKNOWN_SUSPENDED": "WAIT",
    "UNKNOWN_REVOCATION": "WAIT",
    "UNKNOWN_ISSUER": "ISSUER",
    "UNKNOWN_CHAIN": "ASK",
    "UNKNOWN_KEY_USAGE": "ASK",
    "UNKNOWN_SIGNER": "ASK",
    "UNKNOWN_ALGORITHM": "ASK",
    "UNKNOWN_CHANGES": "ASK",
    "TRAINING": "TRAINING",
    "UNKNOWN_NO_CONTENT": "NO_CONTENT",
    "BARE_CERTIFICATE_GOOD": "USE_CERTIFICATE",
    "BARE_CERTIFICATE_REVOKED": "DISCARD_CERTIFICATE",
    "BARE_CERTIFICATE_EXPIRED": "DISCARD_CERTIFICATE",
    "BARE_CERTIFICATE_NOT_YET_VALID": "DISCARD_CERTIFICATE",
    "BARE_CERTIFICATE_SUSPENDED": "WAIT",
    "BARE_CERTIFICATES": "UNSIGNED",
    "BARE_TIMESTAMP_GOOD": "USE_TIMESTAMP",
    "NOT_SIGNED": "UNSIGNED",
    "DOC_RECALLED": "RECALLED",
    "DOC_REPLACED": "REPLACED",
}
# Good, and yet nobody has signed a document with it: the first word says what it is.
_GOOD_AS_IT_IS = {"BARE_CERTIFICATE_GOOD", "BARE_TIMESTAMP_GOOD"}
_NO_DOCUMENT = {"X.509": "BARE_CERTIFICATE_", "RFC3161": "BARE_TIMESTAMP_"}
# Said in the first line of the page where the sentence of the reason speaks of certificates and paths: these speak of content and signer.
_PLAIN = frozenset({"UNKNOWN_ISSUER", "UNKNOWN_CHAIN", "UNKNOWN_REVOCATION", "UNKNOWN_TIME"})
# A document that nobody should act on any more comes before what its signatures are worth.
_ENDED = {"DOC_RECALLED", "DOC_REPLACED"}
_NOT_IN_FORCE = {"recalled": "DOC_RECALLED", "replaced": "DOC_REPLACED"}
# Outside our register nobody here can say whether a document was recalled, and the page does not pretend.
_IN_FORCE = {"in-force": "WEB_FORCE_REGISTERED", "corrected": "WEB_FORCE_CORRECTED"}


@dataclass(frozen=True)
class Headline:
    """The first line: a tone with its icon, a word and a sentence."""

    tone: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Check:
    """One of the three named checks. `state`: pass, fail or unknown."""

    name: str
    state: str
    why: str


@dataclass(frozen=True)
class RegisterLine:
    """What the register says of the file's document, on a line of its own."""

    code: str
    grouped: str
    status: str
    tone: str
    read_on: tuple[DocumentLink, ...]


@dataclass(frozen=True)
class VerdictView:
    """Everything about one judged file, in the order of the page."""

    headline: Headline
    second: Headline | None
    advice: str
    document: RegisterLine | None
    checks: tuple[Check, ...]
    warnings: tuple[Sentence, ...]
    signatures: tuple[SignatureView, ...]
    roots: tuple[tuple[str, str], ...]
    report: tuple[tuple[str, str], ...]
    sources: tuple[SourceLine, ...]
    json_link: str
    # What the file is, where it is no signed document and the headline does not say it already.
    kind: str = ""
    certificate: BareCertificate | None = None


def view_verdict(
    verdict: Verdict,
    own: Mapping[str, OwnSigner],
    *,
    sealed_alone: bool = False,
    purposes: Mapping[str, str] = MappingProxyType({}),
    sources: tuple[SourceLine, ...] = (),
) -> VerdictView:
    """`own` are the signers whose certificates are ours, by fingerprint; `sealed_alone`: no officer is expected;
    `purposes`: what the signatures were for, by field.
    """
    signatures = tuple(
        replace(view_signature(n, each, own), purpose=purposes.get(each.facts.field, ""))
        for n, each in enumerate(verdict.judged.signatures, start=1)
    )
    document = verdict.document
    return VerdictView(
        headline=_headline(verdict, verdict.reason),
        second=_headline(verdict, verdict.judged.reason) if verdict.reason in _ENDED else None,
        advice=advice_with(_ADVICE[verdict.reason], _read_on(document) if document is not None else ()),
        document=None if document is None else _register_line(document, verdict.conclusion),
        checks=_checks(verdict),
        warnings=_missing_half(signatures, sealed_alone=sealed_alone)
        + tuple(each.sentence for each in sources if not each.is_good),
        signatures=signatures,
        roots=_roots(verdict.judged.signatures),
        report=_report(verdict),
        sources=(*sources, *view_relied(verdict.judged.signatures)) if sources else (),
        json_link=_json_link(verdict),
        kind=_kind(verdict),
        certificate=None if verdict.certificate is None else view_bare(verdict.certificate),
    )


def _register_line(document: DocumentStatus, conclusion: str) -> RegisterLine:
    """A document in force lends nothing to a copy of it that is not valid: there the line stays plain."""
    in_force = "good" if conclusion == "valid" else "plain"
    tone = {"in-force": in_force, "corrected": "unsure"}.get(document.status, "bad")
    return RegisterLine(document.code, grouped(document.code), document.status, tone, _read_on(document))


def _read_on(document: DocumentStatus) -> tuple[DocumentLink, ...]:
    return links("WEB_CORRECTED_BY" if document.status == "corrected" else "WEB_HOLDS_NOW", document.see)


def _headline(verdict: Verdict, reason: str) -> Headline:
    if reason in _ENDED:
        return Headline("bad", f"WEB_WORD_{reason}", reason)
    if reason == TRAINING:
        return Headline("bad", "WEB_WORD_TRAINING", reason)
    if reason in _GOOD_AS_IT_IS:
        return Headline("good", f"HEADLINE_{reason}", reason)
    return Headline(TONES[verdict.conclusion], f"CONCLUSION_{verdict.conclusion}", _sentence(verdict, reason))


def _sentence(verdict: Verdict, reason: str) -> str:
    """The plain sentence, where it is true: every signature in the file is on content that has not changed."""
    counted = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
    intact = bool(counted) and all(_content(each)[0] == "pass" for each in counted)
    return f"WEB_PLAIN_{reason}" if reason in _PLAIN and intact else reason


def _kind(verdict: Verdict) -> str:
    own_reasons = _NO_DOCUMENT.get(verdict.format or "")
    return "" if own_reasons is None or verdict.reason.startswith(own_reasons) else f"KIND_{verdict.format}"


def _checks(verdict: Verdict) -> tuple[Check, ...]:
    """The three questions of TT15/2025: unchanged, by the right person, in force then. The worst signature answers each."""
    counted = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
    if not counted:
        return ()
    status = verdict.document.status if verdict.document is not None else ""
    force = _worst("FORCE", [_force(each, _IN_FORCE.get(status, "WEB_FORCE_UNREGISTERED")) for each in counted])
    content = _worst("CONTENT", [_content(each) for each in counted])
    if content.state == "fail" and force.state == "unknown":
        force = Check("FORCE", "unknown", "WEB_NOT_ASKED_CONTENT")
    return (
        content,
        _worst("SIGNER", [_signer(each) for each in counted]),
        Check("FORCE", "fail", _NOT_IN_FORCE[status]) if status in _NOT_IN_FORCE else force,
    )


def _worst(name: str, answers: list[tuple[str, str]]) -> Check:
    state, why = min(answers, key=lambda answer: ("fail", "unknown", "pass").index(answer[0]))
    return Check(name, state, why)


def _content(judged: JudgedSignature) -> tuple[str, str]:
    if judged.integrity == "broken" or judged.reason in ("INVALID_MODIFIED", "INVALID_CRYPTO", "INVALID_FORMAT"):
        return "fail", judged.reason
    # A digest that can be forged proves nothing about the content.
    if judged.integrity != "intact" or judged.reason in ("UNKNOWN_CHANGES", "UNKNOWN_ALGORITHM"):
        return "unknown", judged.reason
    if judged.facts.changes_after == "permitted":
        return "pass", "WEB_CONTENT_EXTENDED"
    return "pass", "WEB_CONTENT_PASS"


def _signer(judged: JudgedSignature) -> tuple[str, str]:
    if _content(judged)[0] == "fail":
        return "unknown", "WEB_NOT_ASKED_CONTENT"
    path = judged.facts.path
    if judged.reason == TRAINING:
        return "fail", judged.reason
    if path is None or path.problem:
        return "unknown", judged.reason
    if judged.trust == "unknown":
        # An anchor that whoever checks brought along is nobody's but his.
        return "unknown", "WEB_SIGNER_GIVEN" if judged.conclusion == "valid" else judged.reason
    if judged.reason in ("UNKNOWN_SIGNER", "UNKNOWN_KEY_USAGE", "UNKNOWN_CHAIN", "UNKNOWN_ALGORITHM"):
        return "unknown", judged.reason
    return "pass", "WEB_SIGNER_PASS"


def _force(judged: JudgedSignature, in_force: str) -> tuple[str, str]:
    if judged.reason in ("INVALID_REVOKED", "INVALID_EXPIRED", "INVALID_NOT_YET_VALID"):
        return "fail", judged.reason
    if judged.conclusion == "valid":
        return "pass", "VALID_LATER_EXPIRED" if judged.reason == "VALID_LATER_EXPIRED" else in_force
    if _content(judged)[0] == "fail":
        return "unknown", "WEB_NOT_ASKED_CONTENT"
    return ("unknown", "WEB_NOT_ASKED_SIGNER") if _signer(judged)[0] != "pass" else ("unknown", judged.reason)


def _missing_half(signatures: tuple[SignatureView, ...], *, sealed_alone: bool) -> tuple[Sentence, ...]:
    """Nghị định 30/2020/NĐ-CP Đ.13 and 14: a person signs, then the agency. Said only where every role is known."""
    roles = {each.role for each in signatures if each.type == "signature"}
    if roles == {OFFICER}:
        return (Sentence("WEB_MISSING_SEAL"),)
    if roles == {SEAL} and not sealed_alone:
        return (Sentence("WEB_MISSING_OFFICER"),)
    return ()


def _roots(signatures: tuple[JudgedSignature, ...]) -> tuple[tuple[str, str], ...]:
    """Name and fingerprint of the roots that other software may not know: those of trees that no vendor ships."""
    found: dict[str, str] = {}
    for each in signatures:
        path = each.facts.path
        if path is not None and each.trust not in ("training", "unknown"):
            top = path.certificates[-1].issuer if path.certificates else ""
            found.setdefault(in_groups(path.anchor_sha256), short_name(top))
    return tuple((name, fingerprint) for fingerprint, name in found.items())


def _report(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    rows = [("CHECKED_AT", for_people(verdict.checked_at))]
    rows += [("POLICY", f"{verdict.policy.name}, {verdict.policy.version}")]
    rows += [("SHA256", in_groups(verdict.sha256))] if verdict.sha256 else []
    return (*rows, ("SOFTWARE", software()))


def _json_link(verdict: Verdict) -> str:
    """The verdict itself inside the link: nothing of an upload is kept, so there is no address to fetch it from."""
    text = json.dumps(verdict.to_json(), ensure_ascii=False, indent=1)
    return "data:application/json;base64," + base64.b64encode(text.encode()).decode("ascii")
