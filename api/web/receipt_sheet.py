"""What a receipt says: a verdict in the words of the pages, block by block. No HTML, no PDF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from api.web.sentences import Sentence, Speech
from api.web.signature_view import SignatureView
from api.web.text import in_groups, masked, short_name, shown
from api.web.verdict_view import TONES, VerdictView
from certs.clock import for_people
from signer.codes import grouped
from signer.receipts.typeset import Banner, Block, Fact, Facts, Heading, Item, Sheet, Text
from signer.validation.policy import Evidence, JudgedSignature
from signer.validation.reasons import INDICATIONS
from signer.validation.verdict import Verdict, software

LANGUAGE_TAGS = {"vi": "vi-VN", "en": "en", "ko": "ko-KR"}
_LONGEST_NAME = 255
# As certs.clock.for_people writes it.
_TIME = re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d \+07:00")


def receipt_sheet(
    verdict: Verdict, view: VerdictView | None, speak: Speech, language: str, agency: str, now: datetime
) -> Sheet:
    """The receipt of a verdict; `view` is None for a file that could not be read."""
    speak = _keeping(speak)
    blocks = [*_headline(verdict, view, speak), *_file(verdict, speak)]
    if view is not None:
        blocks += [*_meaning(view, speak), *_checks(view, speak), *_signatures(verdict, view, speak)]
        blocks += _certificate(verdict, view, speak)
    digest = f"SHA-256: {verdict.sha256}" if verdict.sha256 else ""
    return Sheet(
        title=speak("WEB_RECEIPT_TITLE"),
        subtitle=speak("WEB_RECEIPT_SUBTITLE", agency=shown(agency), time=for_people(now), software=software()),
        language=LANGUAGE_TAGS[language],
        blocks=tuple(blocks),
        footer=f"{speak('WEB_RECEIPT_FOOTER')} {digest}".rstrip(),
        page_label=speak("WEB_RECEIPT_PAGE", page="{page}", pages="{pages}"),
        reason=speak("WEB_RECEIPT_REASON"),
        field_label=speak("WEB_RECEIPT_FIELD"),
        producer=software(),
        made_at=now,
    )


def _headline(verdict: Verdict, view: VerdictView | None, speak: Speech) -> Iterator[Block]:
    if view is None:
        yield Banner(TONES[verdict.conclusion], speak(f"CONCLUSION_{verdict.conclusion}"), speak(verdict.reason))
        return
    first, second = view.headline, view.second
    yield Banner(first.tone, speak(first.word), speak(first.sentence))
    if second is not None:
        yield Text(f"{speak('WEB_SIGNATURES_ALONE')} {speak(second.word)}. {speak(second.sentence)}")


def _file(verdict: Verdict, speak: Speech) -> Iterator[Block]:
    rows = [Fact(speak("WEB_RECEIPT_FILE_NAME"), shown(verdict.file, _LONGEST_NAME) or "–")]
    if verdict.sha256:
        rows.append(Fact(speak("WEB_REPORT_SHA256"), in_groups(verdict.sha256)))
    rows.append(Fact(speak("WEB_REPORT_CHECKED_AT"), _moment(verdict.checked_at)))
    if verdict.at is not None:
        rows.append(Fact(speak("WEB_RECEIPT_AT"), _moment(verdict.at)))
    policy = verdict.policy
    rows.append(
        Fact(
            speak("WEB_REPORT_POLICY"), speak("WEB_RECEIPT_POLICY", name=policy.name, version=policy.version),
            (speak("WEB_RECEIPT_POLICY_HASH", sha256=policy.sha256),),
        )
    )  # fmt: skip
    document = verdict.document
    if document is not None:
        # What is in force is the original, not the copy at hand that is not valid.
        kind = "LINE" if verdict.conclusion == "valid" else "ORIGINAL"
        status, code = speak(f"STATUS_{document.status}"), grouped(document.code)
        line = speak(f"WEB_RECEIPT_DOCUMENT_{kind}", status=status, code=code)
        rows.append(Fact(speak("WEB_RECEIPT_DOCUMENT"), line))
    elif verdict.certificate is None:
        rows.append(Fact(speak("WEB_RECEIPT_DOCUMENT"), speak("WEB_RECEIPT_DOCUMENT_NONE")))
    yield Heading(speak("WEB_RECEIPT_FILE"))
    yield Facts(tuple(rows))


def _meaning(view: VerdictView, speak: Speech) -> Iterator[Block]:
    yield Heading(speak("WEB_RECEIPT_MEANING"))
    rows = [
        Fact(speak("WEB_WHY"), speak("WEB_" + view.advice + "_WHY")),
        Fact(speak("WEB_NEXT"), speak("WEB_" + view.advice + "_NEXT")),
    ]
    rows += [Fact(speak("WEB_WARNING"), speak(warning)) for warning in view.warnings]
    links = view.document.read_on if view.document is not None else ()
    rows += [Fact(speak(link.sentence), link.grouped) for link in links]
    yield Facts(tuple(rows))


def _checks(view: VerdictView, speak: Speech) -> Iterator[Block]:
    if view.checks:
        yield Heading(speak("WEB_CHECKS"))
        for check in view.checks:
            yield Item(
                check.state, speak(f"WEB_CHECK_{check.name}"), f"{speak(f'WEB_STATE_{check.state}')} {speak(check.why)}"
            )


def _signatures(verdict: Verdict, view: VerdictView, speak: Speech) -> Iterator[Block]:
    if not view.signatures:
        return
    yield Heading(speak("WEB_SIGNATURES"))
    for each, judged in zip(view.signatures, verdict.judged.signatures, strict=True):
        name = each.name or speak("REPORT_UNKNOWN_SIGNER")
        heading = f"{speak(f'WEB_CARD_{each.type}', number=str(each.number))}: {name}"
        short = f"WEB_CARD_{each.reason}" if each.reason in ("VALID", "VALID_LATER_EXPIRED") else each.reason
        sentence = f"{speak(f'WEB_STATE_{each.conclusion}')} {speak(short)}"
        rows = (*_who(each, speak), *_when(each, judged, speak), *_worth(each, judged, speak))
        yield Item(each.conclusion, heading, sentence, tuple(row for row in rows if row.value))


def _certificate(verdict: Verdict, view: VerdictView, speak: Speech) -> Iterator[Block]:
    """The facts of a file that is a certificate, and what its state was taken from."""
    each, judged = view.certificate, verdict.certificate
    if each is None or judged is None:
        return
    lines = list(dict.fromkeys(_source(one, speak) for one in judged.evidence))
    if not lines and judged.path is not None:
        lines = [speak("WEB_RECEIPT_SOURCE_anchor")]
    trust = (speak("WEB_TRUST_NOT_FORGED"),) if each.trust in ("unknown", "foreign") else ()
    rows = (
        Fact(speak("WEB_ORGANIZATION"), each.organization if each.organization != each.name else ""),
        Fact(speak("WEB_ISSUER"), each.issuer),
        Fact(speak("WEB_CERTIFICATE_TERM"), speak("WEB_CERTIFICATE_SPAN", begin=each.begin, end=each.end)),
        Fact(speak("WEB_TRUST"), speak(f"TRUST_{each.trust}"), trust),
        Fact(speak("WEB_REVOCATION"), speak(f"WEB_REVOCATION_{each.revocation}")),
        Fact(speak("WEB_SERIAL"), each.serial),
        Fact(speak("WEB_FINGERPRINT"), each.fingerprint),
        Fact(speak("WEB_RECEIPT_EVIDENCE"), lines[0] if lines else "", more=tuple(lines[1:])),
    )
    heading = f"{speak('WEB_CERTIFICATE_JUDGED')}: {each.name or speak('REPORT_UNKNOWN_SIGNER')}"
    sentence = f"{speak(f'WEB_STATE_{judged.conclusion}')} {speak(judged.reason)}"
    yield Heading(speak("WEB_CERTIFICATE_JUDGED"))
    yield Item(judged.conclusion, heading, sentence, tuple(row for row in rows if row.value))


def _who(each: SignatureView, speak: Speech) -> Iterator[Fact]:
    if each.role:
        yield Fact(speak("WEB_ROLE"), speak(f"WEB_ROLE_{each.role}"))
    yield Fact(speak("WEB_POSITION"), each.title)
    if each.organization != each.name:
        yield Fact(speak("WEB_ORGANIZATION"), each.organization)
    for attribute in each.subject:
        if attribute.name in ("OU", "UID", "serialNumber"):
            yield Fact(speak(f"WEB_ATTRIBUTE_{attribute.name}"), attribute.value)
    yield Fact(speak("WEB_SERIAL"), each.serial)
    yield Fact(speak("WEB_ISSUER"), each.issuer)
    trust = (speak("WEB_TRUST_NOT_FORGED"),) if each.trust in ("unknown", "foreign") else ()
    yield Fact(speak("WEB_TRUST"), speak(f"TRUST_{each.trust}"), trust)


def _when(each: SignatureView, judged: JudgedSignature, speak: Speech) -> Iterator[Fact]:
    basis = (speak("WEB_TIME_PROVEN" if each.proven else "WEB_TIME_CLAIMED"),) if each.time else ()
    yield Fact(speak("WEB_TIME"), _whole(each.time) or speak("WEB_TIME_NONE"), basis)
    if each.proven and each.type == "signature":
        yield Fact(speak("WEB_CLAIMED"), _whole(each.claimed))
    for token in judged.tokens:
        signer = token.facts.signer
        facts = {
            "time": for_people(token.facts.time) if token.facts.time else "–",
            "name": masked(short_name(signer.subject)) if signer else speak("REPORT_UNKNOWN_SIGNER"),
        }
        if token.reason is None:
            yield Fact(speak("WEB_RECEIPT_STAMP"), speak("WEB_RECEIPT_STAMP_HOLDS", **facts))
        else:
            yield Fact(
                speak("WEB_RECEIPT_STAMP"), speak("WEB_RECEIPT_STAMP_FAILS", **facts, reason=speak(token.reason))
            )
    if judged.best_time is not None:
        yield Fact(speak("WEB_RECEIPT_BEST_TIME"), _moment(judged.best_time))


def _worth(each: SignatureView, judged: JudgedSignature, speak: Speech) -> Iterator[Fact]:
    after = [speak(change) for group in each.after for change in group.sentences]
    after += [speak("REPORT_LENIENT")] if each.lenient else []
    nothing = (
        speak("WEB_RECEIPT_AFTER_NONE") if judged.facts.changes_after == "none" else speak("WEB_RECEIPT_AFTER_UNKNOWN")
    )
    yield Fact(speak("WEB_RECEIPT_AFTER"), after[0] if after else nothing, more=tuple(after[1:]))
    yield Fact(speak("WEB_LEVEL"), each.level)
    yield Fact(speak("WEB_ALGORITHM"), each.algorithm)
    indication = INDICATIONS[judged.conclusion]
    sub = judged.sub_indication
    yield Fact(speak("WEB_RECEIPT_INDICATION"), f"{indication}, {sub}" if sub else indication)
    if each.ended:
        yield Fact(speak("WEB_REVOCATION"), speak(f"WEB_REVOCATION_{each.revocation}_since", time=each.ended))
    relied = [*judged.evidence, *(one for token in judged.tokens for one in token.evidence)]
    lines = list(dict.fromkeys(_source(one, speak) for one in relied))
    if not lines and judged.facts.path is not None:
        lines = [speak("WEB_RECEIPT_SOURCE_anchor")]
    yield Fact(speak("WEB_RECEIPT_EVIDENCE"), lines[0] if lines else "", more=tuple(lines[1:]))


def _source(relied: Evidence, speak: Speech) -> str:
    facts = {"name": masked(shown(relied.certificate.common_name or short_name(relied.certificate.subject)))}
    if relied.source is None:
        return speak("WEB_RECEIPT_SOURCE_none", **facts)
    facts["status"] = speak(Sentence(f"WEB_REVOCATION_{relied.status}"))
    facts["kind"] = (relied.kind or "").upper()
    facts["time"] = for_people(relied.this_update) if relied.this_update is not None else ""
    return speak(f"WEB_RECEIPT_SOURCE_{relied.source}", **facts)


def _keeping(speak: Speech) -> Speech:
    """The same words with times that no line end tears apart."""

    def spoken(what: str | Sentence, **facts: str) -> str:
        return _whole(speak(what, **facts))

    return spoken


def _whole(text: str) -> str:
    return _TIME.sub(lambda found: found.group().replace(" ", "\N{NO-BREAK SPACE}"), text)


def _moment(moment: datetime) -> str:
    return _whole(for_people(moment))
