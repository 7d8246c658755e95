"""The judge of a twin: runs all rules and raises when one complains, or fails to run."""

from __future__ import annotations

from dataclasses import dataclass

from certs.errors import LintFailed
from certs.lint.rules import RULES
from certs.lint.twin import Twin


@dataclass(frozen=True)
class Finding:
    """One broken rule and what it saw."""

    rule: str
    detail: str


def lint_certificate(twin: Twin) -> tuple[Finding, ...]:
    """All findings on a twin, in the order of the rules."""
    findings: list[Finding] = []
    for rule in RULES:
        try:
            findings += [Finding(rule.__name__, detail) for detail in rule(twin)]
        except Exception as error:  # noqa: BLE001  a rule that cannot judge has not passed the certificate: fail closed
            findings.append(Finding(rule.__name__, f"could not judge: {error!r}"))
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
