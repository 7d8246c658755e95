"""The judge of a twin: runs all rules and raises when one complains, or fails to run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from certs.errors import LintFailed
from certs.lint.rules import FRAME_RULES, RULES
from certs.lint.twin import Frame, Twin

T = TypeVar("T")
# One for each profile, issuer and partition of a CRL that is in use at a time; each holds one certificate.
_KEPT_FRAMES = 4096


@dataclass(frozen=True)
class Finding:
    """One broken rule and what it saw."""

    rule: str
    detail: str


def lint_certificate(twin: Twin) -> tuple[Finding, ...]:
    """All findings on a twin: those on the certificate itself, then those on its frame, in the order of the rules."""
    findings = _findings(RULES, twin)
    try:
        # Who signs himself is the only one of his kind, and his frame's rules look at his own key identifier.
        findings += _findings(FRAME_RULES, twin.frame) if twin.issuer is None else _broken(twin.frame)
    except Exception as error:  # noqa: BLE001  what has no frame that could be judged has not passed
        findings += [Finding(rule.__name__, f"could not judge: {error!r}") for rule in FRAME_RULES]
    return tuple(findings)


def check_certificate(twin: Twin) -> None:
    """Raise LintFailed unless every rule passes."""
    findings = lint_certificate(twin)
    if findings:
        raise LintFailed(
            "; ".join(f"{finding.rule}: {finding.detail}" for finding in findings),
            rules=", ".join(dict.fromkeys(finding.rule for finding in findings)),
            detail="; ".join(finding.detail for finding in findings),
        )


class _FrameRefusedError(Exception):
    """A frame that does not pass, which is not kept."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__()
        self.findings = findings


def _broken(frame: Frame) -> list[Finding]:
    try:
        _pass(frame)
    except _FrameRefusedError as refused:
        return refused.findings
    return []


@functools.lru_cache(maxsize=_KEPT_FRAMES)
def _pass(frame: Frame) -> None:
    """Every rule on a frame, once for the same octets: only a pass is kept."""
    findings = _findings(FRAME_RULES, frame)
    if findings:
        raise _FrameRefusedError(findings)


def _findings(rules: Sequence[Callable[[T], Iterator[str]]], judged: T) -> list[Finding]:
    findings: list[Finding] = []
    for rule in rules:
        try:
            for detail in rule(judged):
                findings.append(Finding(rule.__name__, detail))  # noqa: PERF401  nearly always none: a list for each rule would cost more
        except Exception as error:  # noqa: BLE001  a rule that cannot judge has not passed the certificate: fail closed
            findings.append(Finding(rule.__name__, f"could not judge: {error!r}"))
    return findings
