"""`antin verify`: judge signed files; in words or as the JSON of the interface."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.context import parse_time, print_json, read_input
from api.cli.parser import TypedPath
from api.errors import UsageError
from api.report import describe_verdict
from api.wiring import locate, open_installation
from certs.clock import SystemClock
from signer.judging import stranger_verifier
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.reasons import combined_exit_code
from signer.validation.verdict import Verdict
from signer.verification import Verifier, verify_many

_TRUST_FILE = 16 * 1024 * 1024
_CRL_BEGIN, _CRL_END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"


def run(options: argparse.Namespace, call: Call) -> int:
    """Judge every file; works without a home too, and then knows only what --trust names."""
    home, settings = locate(call.environment)
    assert call.judge is not None, "started ahead for this command"
    clock = SystemClock()
    at = parse_time(options.at) if options.at else clock.now()
    anchors, crls = _trusted(options.trust)
    extra = ValidationInputs(at, anchors, (), crls)
    limit = settings.validation.max_bytes
    if not home.exists():
        return _report(options, _judge(options.files, stranger_verifier(call.judge, extra, clock, limit)), call)
    with open_installation(call.environment, clock, call.judge) as installation:
        verifier = installation.judging.verifier(at, extra, file_limit=limit)
        return _report(options, _judge(options.files, verifier), call)


def _judge(files: Sequence[TypedPath], verifier: Verifier) -> list[Verdict]:
    return list(verify_many([(file.path, file.path.name) for file in files], verifier))


def _report(options: argparse.Namespace, verdicts: list[Verdict], call: Call) -> int:
    if options.json:
        shown = [verdict.to_json() for verdict in verdicts]
        print_json(call.out, shown if len(shown) > 1 else shown[0])
    else:
        for number, verdict in enumerate(verdicts):
            if number:
                call.out.write("\n")
            call.out.write("\n".join(describe_verdict(verdict, call.words)) + "\n")
    return combined_exit_code(verdict.exit_code for verdict in verdicts)


def _trusted(files: Sequence[TypedPath]) -> tuple[tuple[TrustAnchor, ...], tuple[bytes, ...]]:
    """Certificates and CRLs of the --trust files, in PEM or a single certificate in DER. Which tree they stand for is unknown."""
    anchors: list[TrustAnchor] = []
    crls: list[bytes] = []
    for file in files:
        data = read_input(file, _TRUST_FILE)
        try:
            if data.startswith(b"0"):
                found = [x509.load_der_x509_certificate(data)]
            else:
                found = x509.load_pem_x509_certificates(data) if b"-----BEGIN CERTIFICATE-----" in data else []
                crls += [crl.public_bytes(Encoding.DER) for crl in _crls(data)]
        except ValueError:
            raise UsageError("TRUST_UNREADABLE", path=file.typed) from None
        if not found and _CRL_BEGIN not in data:
            raise UsageError("TRUST_UNREADABLE", path=file.typed)
        anchors += [TrustAnchor(each.public_bytes(Encoding.DER), "unknown") for each in found]
    return tuple(anchors), tuple(crls)


def _crls(data: bytes) -> list[x509.CertificateRevocationList]:
    parts = data.split(_CRL_BEGIN)[1:]
    return [x509.load_pem_x509_crl(_CRL_BEGIN + part.split(_CRL_END)[0] + _CRL_END + b"\n") for part in parts]
