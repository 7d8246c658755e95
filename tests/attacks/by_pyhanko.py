"""`python -m tests.attacks.by_pyhanko TIME FILE ROOT ISSUING CRL...`: pyHanko's word on a file, with nothing of ours in between."""

from __future__ import annotations

import logging
import sys
from datetime import datetime
from pathlib import Path

from asn1crypto import crl, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext


def main(moment: str, file: str, root: str, issuing: str, *lists: str) -> str:
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(Path(root).read_bytes())],
        other_certs=[x509.Certificate.load(Path(issuing).read_bytes())],
        crls=[crl.CertificateList.load(Path(each).read_bytes()) for each in lists],
        moment=datetime.fromisoformat(moment),
        allow_fetching=False,
        revocation_mode="hard-fail",
    )
    try:
        with Path(file).open("rb") as stream:
            signatures = PdfFileReader(stream).embedded_regular_signatures
            answers = [validate_pdf_signature(each, context).bottom_line for each in signatures]
    except Exception as error:  # noqa: BLE001  whatever escapes is the answer
        return f"raises {type(error).__name__}"
    if not answers:
        return "no signature"
    return "valid" if all(answers) else "not valid"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(main(*sys.argv[1:]))
