"""What three programs say of every attack: ours, pyHanko's validation with its own rules, poppler's pdfsig."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from signer.sandbox import Judge, Limits
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import load_policy
from signer.validation.verdict import Verdict
from signer.verification import Known, Verifier, verify_file
from tests.attacks.attack import Attack
from tests.attacks.families import FAMILIES
from tests.attacks.pki import NOW, Pki
from tests.fakes.clock import FixedClock

LIMITS = Limits(cpu_seconds=10, wall_seconds=30, memory_bytes=512 * 1024 * 1024)
_BEGIN, _END = "<!-- table -->\n", "<!-- end of table -->\n"
_PEER_SECONDS = 20
_PEER_OCTETS = 2 << 30


@contextmanager
def judged(pki: Pki) -> Iterator[Verifier]:
    """The judge process as verifying has it, with the test root as an anchor and fresh lists."""
    inputs = ValidationInputs(at=NOW, anchors=(TrustAnchor(pki.root.der, "internal"),), crls=pki.crls())
    with Judge(LIMITS, preload=("gather",)) as judge:
        yield Verifier(judge, inputs, lambda _certificates, _revisions: Known(), FixedClock(NOW), load_policy())


def our_word(verdict: Verdict) -> str:
    return f"{verdict.conclusion} `{verdict.reason}`"


def pyhanko_word(pdf: bytes, pki: Pki) -> str:
    """What `validate_pdf_signature` says of all signatures of the file together, in a process that may be stopped."""
    with tempfile.TemporaryDirectory() as folder:
        names = ["file.pdf", "root.der", "issuing.der", "0.crl", "1.crl"]
        for name, data in zip(names, (pdf, pki.root.der, pki.issuing.der, *pki.crls()), strict=True):
            (Path(folder) / name).write_bytes(data)
        command = [
            sys.executable,
            "-m",
            "tests.attacks.by_pyhanko",
            NOW.isoformat(),
            *(f"{folder}/{name}" for name in names),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_PEER_SECONDS, preexec_fn=_limited
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {_PEER_SECONDS} s"
        return done.stdout.strip() or "dies"


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_PEER_OCTETS, _PEER_OCTETS))


def pdfsig_word(pdf: bytes) -> str:
    """Poppler's word on the signatures, certificates left aside."""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(pdf)
        file.flush()
        try:
            done = subprocess.run(
                ["pdfsig", "-nocert", file.name],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_PEER_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {_PEER_SECONDS} s"
    words = re.findall(r"Signature Validation: (.+)", done.stdout)
    if not words:
        return "no signature"
    partly = " (not the whole file)" if "Not total document signed" in done.stdout else ""
    return ", ".join(sorted({word.rstrip(".").replace("Signature is ", "") for word in words})).lower() + partly


def rows(attacks: Iterable[Attack], pki: Pki) -> Iterator[str]:
    """A row of the table for each attack, in their order."""
    with judged(pki) as verifier:
        for attack in attacks:
            ours = our_word(verify_file(attack.pdf, f"{attack.name}.pdf", verifier))
            yield row(attack.name, (ours, pyhanko_word(attack.pdf, pki), pdfsig_word(attack.pdf)))


def row(name: str, words: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(words) + " |\n"


def written(lines: Sequence[str]) -> str:
    """The whole table: a heading for each family, and how often a program was taken in."""
    out = []
    fooled = [sum(_is_valid(line, column) for line in lines) for column in (1, 2, 3)]
    out.append(
        f"{len(lines)} files. Called valid: by Antin {fooled[0]}, by pyHanko {fooled[1]}, by pdfsig {fooled[2]}.\n\n"
    )
    for family, about in FAMILIES.items():
        members = [line for line in lines if line.startswith(f"| {family}_")]
        out.append(
            f"### {family}: {about}\n| attack | Antin | pyHanko | pdfsig |\n|---|---|---|---|\n{''.join(members)}\n"
        )
    return "".join(out)


def _is_valid(line: str, column: int) -> bool:
    return line.split(" | ")[column].removesuffix(" |\n").startswith("valid")


def table_of(page: str) -> str:
    return page.partition(_BEGIN)[2].partition(_END)[0]


def with_table(page: str, table: str) -> str:
    before, _, rest = page.partition(_BEGIN)
    return before + _BEGIN + table + _END + rest.partition(_END)[2]
