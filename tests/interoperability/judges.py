"""Asks other people's programs about a signed file: pdfsig, pyHanko's adesverify, mutool, OpenSSL, qpdf. Each answers with a few words."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.installation import ANTIN

_RANGES = re.compile(rb"/ByteRange\s*\[\s*(\d+) (\d+) (\d+) (\d+)\s*\]")
_MUTOOL = {
    "The document is unchanged since signing.": "unchanged",
    "The signature is valid but there have been edits since signing.": "valid, more behind it",
}


def _said(words: Iterable[str | Path]) -> str:
    done = subprocess.run(list(words), capture_output=True, text=True, errors="replace", check=False, timeout=120)
    return done.stdout + done.stderr


def _counted(answers: Iterable[str]) -> str:
    return ", ".join(f"{count} × {answer}" for answer, count in Counter(answers).items())


def pdfsig(file: Path, root: Path) -> str:
    """Poppler's word on each signature; time-stamps of documents it does not know."""
    found = re.findall(r"Type: (\S+)\n(?:.*\n)*?\s+- Signature Validation: (.+)", _said(["pdfsig", "-nocert", file]))
    return _counted(said.rstrip(".") for kind, said in found if kind != "unknown")


def adesverify(file: Path, root: Path) -> str:
    """PyHanko's validation by EN 319 102-1, which asks OCSP and CRLs where the certificates say."""
    said = _said([ANTIN.with_name("pyhanko"), "sign", "adesverify", "--trust", root, file])
    return _counted(
        f"{integrity} {trust}" for integrity, trust in re.findall(r"^\S+:[0-9a-f]{64}:(\w+):(\w+)", said, re.MULTILINE)
    )


def mutool(file: Path, root: Path) -> str:
    """MuPDF's word on each signature's bytes."""
    said = _said(["mutool", "sign", "-v", file])
    parts = [part for part in said.split("Verifying signature ")[1:] if "not signed" not in part]
    lines = (part.strip().splitlines()[-1].strip() for part in parts)
    return _counted(_MUTOOL.get(line, line) for line in lines)


def openssl(file: Path, root: Path) -> str:
    """`openssl cms -verify` over the ranges that each signature names, without asking whose certificate it is."""
    pdf = file.read_bytes()
    answers = []
    for found in _RANGES.finditer(pdf):
        first, length, second, rest = (int(each) for each in found.groups())
        hole = bytes.fromhex(pdf[first + length + 1 : second - 1].decode("ascii"))
        head = hole[:4]
        cms = hole[: 4 + int.from_bytes(head[2:4], "big")]  # all of ours take two octets for their length
        if _is_timestamp(pdf, found.start()):
            continue
        container, content = file.with_suffix(".cms"), file.with_suffix(".content")
        container.write_bytes(cms)
        content.write_bytes(pdf[first : first + length] + pdf[second : second + rest])
        said = _said(
            ["openssl", "cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", container, "-content", content,
             "-out", "/dev/null"]
        )  # fmt: skip
        answers.append("verified" if "CMS Verification successful" in said else said.strip().splitlines()[-1])
    return _counted(answers)


def _is_timestamp(pdf: bytes, at: int) -> bool:
    """Whether the dictionary around a /ByteRange is a document time-stamp's: a token, which signs its own content."""
    start = pdf.rfind(b" obj", 0, at)
    return b"/ETSI.RFC3161" in pdf[start : pdf.find(b"endobj", at)]


def qpdf(file: Path, root: Path) -> str:
    """Whether the file's syntax is whole."""
    said = [line for line in _said(["qpdf", "--check", file]).splitlines() if line.startswith(("WARNING", "ERROR"))]
    return said[0] if said else "no complaint"


JUDGES: dict[str, Callable[[Path, Path], str]] = {
    "pdfsig": pdfsig,
    "adesverify": adesverify,
    "mutool sign -v": mutool,
    "openssl cms": openssl,
    "qpdf --check": qpdf,
}
