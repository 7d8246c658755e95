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
from signer.revocation_sources import is_now
from signer.validation.policy import Evidence, JudgedSignature
from signer.validation.reasons import INDICATIONS
from signer.validation.verdict import Verdict, software

LANGUAGE_TAGS = {"vi": "vi-VN", "en": "en", "ko": "ko-KR"}
_LONGEST_NAME = 255
# As certs.clock.for_people writes it.
_TIME = re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d \+07:00")


def receipt_sheet(
    verdict: Verdict, view: VerdictView | None, say: Speech, language: str, agency: str, now: datetime
) -> Sheet:
    """The receipt of a verdict; `view` is None for a file that could not be read."""
    say = _keeping(say)
    blocks = [*_headline(verdict, view, say), *_file(verdict, say)]
    if view is not None:
        blocks += [*_meaning(view, say), *_checks(view, say), *_signatures(verdict, view, say)]
    digest = f"SHA-256: {verdict.sha256}" if verdict.sha256 else ""
    return Sheet(
        title=say("RECEIPT_TITLE"),
        subtitle=say("RECEIPT_SUBTITLE", agency=shown(agency), time=for_people(now), software=software()),
        language=LANGUAGE_TAGS[language],
        blocks=tuple(blocks),
        footer=f"{say('RECEIPT_FOOTER')} {digest}".rstrip(),
        page_label=say("RECEIPT_PAGE", page="{page}", pages="{pages}"),
        reason=say("RECEIPT_REASON"),
        field_label=say("RECEIPT_FIELD"),
        producer=software(),
        made_at=now,
    )


def _headline(verdict: Verdict, view: VerdictView | None, say: Speech) -> Iterator[Block]:
    if view is None:
        yield Banner(TONES[verdict.conclusion], say(f"CONCLUSION_{verdict.conclusion}"), say(verdict.reason))
        return
    first, second = view.headline, view.second
    yield Banner(first.tone, say(first.word), say(first.sentence))
    if second is not None:
        yield Text(f"{say('WEB_SIGNATURES_ALONE')} {say(second.word)}. {say(second.sentence)}")


def _file(verdict: Verdict, say: Speech) -> Iterator[Block]:
    rows = [Fact(say("RECEIPT_FILE_NAME"), shown(verdict.file, _LONGEST_NAME) or "–")]
    if verdict.sha256:
        rows.append(Fact(say("WEB_REPORT_SHA256"), in_groups(verdict.sha256)))
    rows.append(Fact(say("WEB_REPORT_CHECKED_AT"), _moment(verdict.checked_at)))
    if verdict.at is not None and not is_now(verdict.at, verdict.checked_at):
        rows.append(Fact(say("RECEIPT_AT"), _moment(verdict.at)))
    policy = verdict.policy
    rows.append(
        Fact(
            say("WEB_REPORT_POLICY"), say("RECEIPT_POLICY", name=policy.name, version=policy.version),
            (say("RECEIPT_POLICY_HASH", sha256=policy.sha256),),
        )
    )  # fmt: skip
    document = verdict.document
    line = say("RECEIPT_DOCUMENT_NONE")
    if document is not None:
        line = say("RECEIPT_DOCUMENT_LINE", status=say(f"STATUS_{document.status}"), code=grouped(document.code))
    rows.append(Fact(say("RECEIPT_DOCUMENT"), line))
    yield Heading(say("RECEIPT_FILE"))
    yield Facts(tuple(rows))


def _meaning(view: VerdictView, say: Speech) -> Iterator[Block]:
    yield Heading(say("RECEIPT_MEANING"))
    rows = [
        Fact(say("WEB_WHY"), say(f"WEB_{view.advice}_WHY")),
        Fact(say("WEB_NEXT"), say(f"WEB_{view.advice}_NEXT")),
    ]
    rows += [Fact(say("WEB_WARNING"), say(warning)) for warning in view.warnings]
    links = view.document.read_on if view.document is not None else ()
    rows += [Fact(say(link.sentence), link.grouped) for link in links]
    yield Facts(tuple(rows))


def _checks(view: VerdictView, say: Speech) -> Iterator[Block]:
    if view.checks:
        yield Heading(say("WEB_CHECKS"))
        for check in view.checks:
            yield Item(
                check.state, say(f"WEB_CHECK_{check.name}"), f"{say(f'WEB_STATE_{check.state}')} {say(check.why)}"
            )


def _signatures(verdict: Verdict, view: VerdictView, say: Speech) -> Iterator[Block]:
    if not view.signatures:
        return
    yield Heading(say("WEB_SIGNATURES"))
    for each, judged in zip(view.signatures, verdict.judged.signatures, strict=True):
        name = each.name or say("REPORT_UNKNOWN_SIGNER")
        heading = f"{say(f'WEB_CARD_{each.type}', number=str(each.number))}: {name}"
        short = f"WEB_CARD_{each.reason}" if each.reason in ("VALID", "VALID_LATER_EXPIRED") else each.reason
        sentence = f"{say(f'WEB_STATE_{each.conclusion}')} {say(short)}"
        rows = (*_who(each, say), *_when(each, judged, say), *_worth(each, judged, say))
        yield Item(each.conclusion, heading, sentence, tuple(row for row in rows if row.value))


def _who(each: SignatureView, say: Speech) -> Iterator[Fact]:
    if each.role:
        yield Fact(say("WEB_ROLE"), say(f"WEB_ROLE_{each.role}"))
    yield Fact(say("WEB_POSITION"), each.title)
    if each.organization != each.name:
        yield Fact(say("WEB_ORGANIZATION"), each.organization)
    for attribute in each.subject:
        if attribute.name in ("OU", "UID", "serialNumber"):
            yield Fact(say(f"WEB_ATTRIBUTE_{attribute.name}"), attribute.value)
    yield Fact(say("WEB_SERIAL"), each.serial)
    yield Fact(say("WEB_ISSUER"), each.issuer)
    trust = (say("WEB_TRUST_NOT_FORGED"),) if each.trust in ("unknown", "foreign") else ()
    yield Fact(say("WEB_TRUST"), say(f"TRUST_{each.trust}"), trust)


def _when(each: SignatureView, judged: JudgedSignature, say: Speech) -> Iterator[Fact]:
    basis = (say("WEB_TIME_PROVEN" if each.proven else "WEB_TIME_CLAIMED"),) if each.time else ()
    yield Fact(say("WEB_TIME"), _whole(each.time) or say("WEB_TIME_NONE"), basis)
    if each.proven and each.type == "signature":
        yield Fact(say("WEB_CLAIMED"), _whole(each.claimed))
    for token in judged.tokens:
        signer = token.facts.signer
        facts = {
            "time": for_people(token.facts.time) if token.facts.time else "–",
            "name": masked(short_name(signer.subject)) if signer else say("REPORT_UNKNOWN_SIGNER"),
        }
        if token.reason is None:
            yield Fact(say("RECEIPT_STAMP"), say("RECEIPT_STAMP_HOLDS", **facts))
        else:
            yield Fact(say("RECEIPT_STAMP"), say("RECEIPT_STAMP_FAILS", **facts, reason=say(token.reason)))
    if judged.best_time is not None:
        yield Fact(say("RECEIPT_BEST_TIME"), _moment(judged.best_time))


def _worth(each: SignatureView, judged: JudgedSignature, say: Speech) -> Iterator[Fact]:
    after = [say(change) for change in (*each.forbidden, *each.harmless)]
    nothing = say("RECEIPT_AFTER_NONE") if judged.facts.changes_after == "none" else say("RECEIPT_INTEGRITY_unknown")
    yield Fact(say("RECEIPT_AFTER"), after[0] if after else nothing, more=tuple(after[1:]))
    yield Fact(say("WEB_LEVEL"), each.level)
    yield Fact(say("WEB_ALGORITHM"), each.algorithm)
    indication = INDICATIONS[judged.conclusion]
    sub = judged.sub_indication
    yield Fact(say("RECEIPT_INDICATION"), f"{indication}, {sub}" if sub else indication)
    if each.ended:
        yield Fact(say("WEB_REVOCATION"), say(f"WEB_REVOCATION_{each.revocation}_since", time=each.ended))
    relied = [*judged.evidence, *(one for token in judged.tokens for one in token.evidence)]
    lines = list(dict.fromkeys(_source(one, say) for one in relied))
    if not lines and judged.facts.path is not None:
        lines = [say("RECEIPT_SOURCE_anchor")]
    yield Fact(say("RECEIPT_EVIDENCE"), lines[0] if lines else "", more=tuple(lines[1:]))


def _source(relied: Evidence, say: Speech) -> str:
    facts = {"name": masked(shown(relied.certificate.common_name or short_name(relied.certificate.subject)))}
    if relied.source is None:
        return say("RECEIPT_SOURCE_none", **facts)
    facts["status"] = say(Sentence(f"WEB_REVOCATION_{relied.status}"))
    facts["kind"] = (relied.kind or "").upper()
    facts["time"] = for_people(relied.this_update) if relied.this_update is not None else ""
    return say(f"RECEIPT_SOURCE_{relied.source}", **facts)


def _keeping(say: Speech) -> Speech:
    """The same words with times that no line end tears apart."""

    def speak(what: str | Sentence, **facts: str) -> str:
        return _whole(say(what, **facts))

    return speak


def _whole(text: str) -> str:
    return _TIME.sub(lambda found: found.group().replace(" ", "\N{NO-BREAK SPACE}"), text)


def _moment(moment: datetime) -> str:
    return _whole(for_people(moment))
