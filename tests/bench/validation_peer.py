"""PyHanko judging by itself, in a process of its own: where Antin is imported too, its quicker readers serve the library as well.

`python -m tests.bench.validation_peer` reads one JSON line that says what is believed, then one line for each file that is to be judged.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from asn1crypto import crl as asn1_crl
from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext


class Peer:
    """The process, from outside. `judge` answers as the library does: whether all is well, and its summary."""

    def __init__(
        self, root: bytes, issuing: bytes, crls: Sequence[bytes], moment: datetime, files: Sequence[bytes]
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        texts = {"root": root, "issuing": issuing}
        lists = {"crls": crls, "files": files}
        self._ask(
            {name: _text(octets) for name, octets in texts.items()}
            | {name: [_text(each) for each in many] for name, many in lists.items()}
            | {"moment": moment.isoformat()}
        )

    def judge(self, file: int, signature: int) -> tuple[bool, str]:
        good, summary = self._ask([file, signature])
        return good, summary

    def _ask(self, question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """As the library's documentation has it: everything read anew, because each file is another one."""
    logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
    given = json.loads(sys.stdin.readline())
    root, issuing = (base64.b64decode(given[name]) for name in ("root", "issuing"))
    crls, files = ([base64.b64decode(each) for each in given[name]] for name in ("crls", "files"))
    moment = datetime.fromisoformat(given["moment"])
    assert "signer" not in sys.modules
    _say("ready")
    for line in sys.stdin:
        file, signature = json.loads(line)
        context = ValidationContext(
            trust_roots=[x509.Certificate.load(root)],
            other_certs=[x509.Certificate.load(issuing)],
            crls=[asn1_crl.CertificateList.load(each) for each in crls],
            moment=moment,
            allow_fetching=False,
            revocation_mode="hard-fail",
        )
        reader = PdfFileReader(io.BytesIO(files[file]))
        status = validate_pdf_signature(reader.embedded_regular_signatures[signature], context)
        _say([status.bottom_line, status.summary()])


if __name__ == "__main__":
    main()
