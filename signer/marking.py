"""What is drawn on a document's pages besides a stamp, decided before it is prepared: its code where policy or setting wants it, and what
tells a document for practice from a real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from certs.training import is_training
from signer.appearance.fonts import EmbeddedFont, Style
from signer.codes import grouped, new_code
from signer.errors import Refused
from signer.office_policy import CODE_NONE, CODE_REQUIRED
from signer.page_marks import CODE_STYLE, WATERMARK_STYLE, CodeMark, PageMarks
from signer.qr import qr_modules
from signer.signing_parts import Case, SigningDeps

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_GROUPS_A_LINE = 3


def refuse_mixed_training(case: Case) -> None:
    """Refused where practice and earnest would meet: in a certificate, or in the signatures of one file."""
    practises = case.deps.training
    if is_training(case.signatory.template.certificate) != practises:
        raise Refused("TRAINING_CERTIFICATE_REAL" if practises else "TRAINING_CERTIFICATE")
    earlier = case.earlier
    strange = set(earlier.fields) - set(earlier.practised) if practises else set(earlier.practised_elsewhere)
    if strange:
        raise Refused("TRAINING_FILE_REAL" if practises else "TRAINING_FILE", field=", ".join(sorted(strange)))


def drawn_code(case: Case) -> str | None:
    """A new code for a document that is to bear it on its first page; None for all others."""
    rule = case.policy.code
    if _wish(case) == CODE_NONE or case.earlier.fields or case.intent not in rule.intents:
        return None
    address = urlsplit(case.deps.code.address)
    if address.scheme != "https" and address.hostname not in LOOPBACK:
        raise Refused("CODE_ADDRESS_NOT_HTTPS", url=case.deps.code.address)
    return new_code()


def marks_of(case: Case) -> PageMarks:
    """What the first signature brings along; a later one brings nothing."""
    if case.earlier.fields:
        return PageMarks()
    return PageMarks(case.policy.watermark if case.deps.training else (), _code_mark(case))


def mark_fonts(
    marks: PageMarks, text: tuple[str, ...], values: Mapping[str, str], deps: SigningDeps
) -> dict[Style, EmbeddedFont]:
    """The fonts that marks need; the regular one has to serve a stamp's letters too."""
    fonts: dict[Style, EmbeddedFont] = {}
    if marks.watermark:
        fonts[WATERMARK_STYLE] = deps.font(WATERMARK_STYLE, " ".join(marks.watermark))
    if marks.code is not None:
        fonts[CODE_STYLE] = deps.font(CODE_STYLE, " ".join((*marks.code.lines, *text, *values.values())))
    return fonts


def code_lines(code: str) -> tuple[str, ...]:
    """The code in groups of four, in two lines, which together are no wider than the QR."""
    groups = grouped(code).split("-")
    return "-".join(groups[:_GROUPS_A_LINE]), "-".join(groups[_GROUPS_A_LINE:])


def check_address(base: str, code: str) -> str:
    """Where a document is checked: what its QR says."""
    return f"{base.rstrip('/')}/v/{code}"


def _code_mark(case: Case) -> CodeMark | None:
    if case.code is None:
        return None
    rule = case.policy.code
    return CodeMark(
        code_lines(case.code), qr_modules(check_address(case.deps.code.address, case.code)), rule.qr_mm, rule.text_size,
        rule.edge_mm, _wish(case) == CODE_REQUIRED,
    )  # fmt: skip


def _wish(case: Case) -> str:
    return case.deps.code.drawn or case.policy.code.drawn
