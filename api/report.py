"""A verdict in words: the conclusion first, then why, then each signature; for the terminal, from the locale catalogues."""

from __future__ import annotations

from api.web.later_changes import later_changes
from api.words import Words, one_line
from certs.clock import for_people
from signer.codes import grouped
from signer.validation.policy import TRAINING, JudgedSignature
from signer.validation.reasons import INDICATIONS
from signer.validation.verdict import Verdict

_MARKS = {"valid": "✓", "invalid": "✗", "indeterminate": "?", "unsigned": "–", "unreadable": "!"}

# Valid, and yet no word that somebody has signed: the headline says what it is that is good.
_GOOD_AS_IT_IS = frozenset({"BARE_CERTIFICATE_GOOD", "BARE_TIMESTAMP_GOOD"})
_NO_DOCUMENT = {"X.509": "BARE_CERTIFICATE_", "RFC3161": "BARE_TIMESTAMP_"}


def describe_verdict(verdict: Verdict, words: Words) -> list[str]:
    """Lines of text. The document's status comes before its signatures when it is no longer in force."""
    mark, headline = _headline(verdict, words)
    lines = [f"{mark} {one_line(verdict.file)}: {headline}", f"  {words.say(verdict.reason)}"]
    if verdict.reason != verdict.judged.reason:
        lines.append(f"  {words.say(verdict.judged.reason)}")
    if verdict.document is not None:
        status = words.say(f"STATUS_{verdict.document.status}")
        lines.append("  " + words.say("REPORT_DOCUMENT", {"code": grouped(verdict.document.code), "status": status}))
        line = "REPORT_CORRECTION" if verdict.document.status == "corrected" else "HOLDS_NOW_LINE"
        lines += ["  " + words.say(line, {"code": grouped(each)}) for each in verdict.document.see]
    lines += _describe_kind(verdict, words)
    for number, signature in enumerate(verdict.judged.signatures, start=1):
        lines += _describe_signature(number, signature, words)
    if verdict.judged.signatures:
        lines.append("  " + _policy_line(verdict, words))
    return lines


def _policy_line(verdict: Verdict, words: Words) -> str:
    name, version = verdict.policy.name, verdict.policy.version
    if verdict.at is None:
        return words.say("REPORT_POLICY", {"name": name, "version": version})
    return words.say("REPORT_POLICY_AT", {"name": name, "version": version, "time": for_people(verdict.at)})


def _headline(verdict: Verdict, words: Words) -> tuple[str, str]:
    """What a hurried reader takes away: a document out of force is not called valid, however good its signatures are."""
    if verdict.reason == TRAINING:
        return _MARKS["invalid"], words.say("WEB_WORD_TRAINING")
    if verdict.reason in _GOOD_AS_IT_IS:
        return _MARKS["valid"], words.say(f"HEADLINE_{verdict.reason}")
    if verdict.document is None or verdict.reason == verdict.judged.reason:
        return _MARKS[verdict.conclusion], words.say(f"CONCLUSION_{verdict.conclusion}")
    status = words.say(f"STATUS_{verdict.document.status}").upper()
    signatures = words.say(f"SIGNATURES_{verdict.conclusion}")
    return _MARKS["invalid"], words.say("REPORT_OUT_OF_FORCE", {"status": status, "signatures": signatures})


def _describe_kind(verdict: Verdict, words: Words) -> list[str]:
    """What the file is when it is no signed document, and the facts of a bare certificate."""
    lines = []
    own_reasons = _NO_DOCUMENT.get(verdict.format or "")
    if own_reasons is not None and not verdict.reason.startswith(own_reasons):
        lines.append("  " + words.say(f"KIND_{verdict.format}"))
    judged = verdict.certificate
    if judged is None:
        return lines
    facts = judged.facts
    term = {"begin": for_people(facts.not_before), "end": for_people(facts.not_after)}
    standing = {"trust": words.say(f"TRUST_{judged.trust}"), "standing": words.say(f"STANDING_{judged.revocation}")}
    lines += [
        "  " + words.say("REPORT_CERTIFICATE", {"name": facts.subject}),
        "    " + words.say("REPORT_CERTIFICATE_ISSUER", {"issuer": facts.issuer, "serial": facts.serial}),
        "    " + words.say("REPORT_CERTIFICATE_TERM", term),
        "    " + words.say("REPORT_CERTIFICATE_TREE", standing),
        f"    SHA-256 {facts.sha256}",
    ]
    above = judged.path.certificates[1:] if judged.path is not None else ()
    return lines + ["    " + words.say("REPORT_CERTIFICATE_ABOVE", {"name": each.subject}) for each in above]


def _describe_signature(number: int, judged: JudgedSignature, words: Words) -> list[str]:
    facts = judged.facts
    signer = facts.signer
    name = (signer.common_name or signer.subject) if signer else words.say("REPORT_UNKNOWN_SIGNER")
    if signer and signer.organization and signer.organization != name:
        name = f"{name} ({signer.organization})"
    kind = words.say(f"REPORT_{facts.type.upper()}", {"number": str(number), "name": name})
    lines = [f"  {_MARKS[judged.conclusion]} {kind}", f"    {words.say(judged.reason)}"]
    indication, sub = INDICATIONS[judged.conclusion], judged.sub_indication
    if sub is None:
        lines.append("    " + words.say("REPORT_INDICATION", {"indication": indication}))
    else:
        lines.append("    " + words.say("REPORT_SUB_INDICATION", {"indication": indication, "sub_indication": sub}))
    if judged.proven_time:
        lines.append("    " + words.say("REPORT_TIME_PROVEN", {"time": for_people(judged.proven_time)}))
    elif facts.claimed_time:
        lines.append("    " + words.say("REPORT_TIME_CLAIMED", {"time": for_people(facts.claimed_time)}))
    trust = {"trust": words.say(f"TRUST_{judged.trust}"), "level": facts.level or "–"}
    lines.append("    " + words.say("REPORT_TRUST", trust))
    if facts.lenient:
        lines.append("    " + words.say("REPORT_LENIENT"))
    for group in later_changes(facts):
        lines.append(f"    {words.say(group.heading)}:")
        lines += [f"      - {words.say(each.code, each.facts)}" for each in group.sentences]
    return lines
