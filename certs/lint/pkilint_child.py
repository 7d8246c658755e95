"""The linting process from the inside: gives up what it does not need, then has pkilint judge one object after another.

Its parent is second_opinion.py, which alone decides what follows from a finding. pkilint takes half a second to import, and it
reads what may be wrong in any way, so it lives in a process of its own with limits. A request and an answer are a line each.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import resource
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# Importing makes objects that stay; collecting them again and again takes a quarter of the time, so it rests until `serve`.
gc.disable()

from pkilint import etsi, finding_filter, loader, pkix  # noqa: E402  after the line above
from pkilint.document import SubstrateDecodingFailedError  # noqa: E402  the same
from pkilint.etsi.etsi_constants import CertificateType  # noqa: E402  the same
from pkilint.pkix import certificate, crl, extension, name, ocsp  # noqa: E402  the same
from pkilint.validation import ValidationResult, ValidatorContainer  # noqa: E402  the same

Findings = list[dict[str, str]]

_ETSI_TYPES = {
    "natural-person": CertificateType.NCP_NATURAL_PERSON_CERTIFICATE,
    "legal-person": CertificateType.NCP_LEGAL_PERSON_CERTIFICATE,
}
_LONGEST_TEXT = 500


class Linter:
    """pkilint's validators, each put together when first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, ValidatorContainer] = {}

    def certificate(self, der: bytes, holder: str) -> Findings:
        """RFC 5280, and EN 319 412 for a person or an organisation."""
        document = loader.RFC5280CertificateDocumentLoader().load_der_document(der)
        found = _findings(self._container("certificate", _certificate_container).validate(document.root), "pkix")
        if holder:
            kind = _ETSI_TYPES[holder]
            # A document carries what was decoded in it, and the two containers decode attributes differently.
            document = loader.RFC5280CertificateDocumentLoader().load_der_document(der)
            results = self._container(holder, lambda: _etsi_container(kind)).validate(document.root)
            results, _ = finding_filter.filter_results(etsi.create_etsi_finding_filters(kind), results)
            known = {each["code"] for each in found}
            found += [each for each in _findings(results, "etsi") if each["code"] not in known]
        return found

    def crl(self, der: bytes, _holder: str) -> Findings:
        """RFC 5280 section 5."""
        document = loader.RFC5280CertificateListDocumentLoader().load_der_document(der)
        return _findings(self._container("crl", _crl_container).validate(document.root), "pkix")

    def ocsp(self, der: bytes, _holder: str) -> Findings:
        """RFC 6960."""
        document = loader.RFC6960OCSPResponseDocumentLoader().load_der_document(der)
        return _findings(self._container("ocsp", _ocsp_container).validate(document.root), "pkix")

    def _container(self, key: str, make: Callable[[], ValidatorContainer]) -> ValidatorContainer:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def serve(settings: Mapping[str, int]) -> None:
    """Answer requests until the parent closes the pipe."""
    sink = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for what, value in (
        (resource.RLIMIT_AS, settings["memory_bytes"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, settings["open_files"]),
    ):
        resource.setrlimit(what, (value, value))
    gc.freeze()
    gc.enable()
    linter = Linter()
    _answer(sink, {"ready": True})
    for line in sys.stdin.buffer:
        _allow_processor_time(settings["cpu_seconds"])
        _answer(sink, _perform(linter, line))


def _perform(linter: Linter, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        judge = {"certificate": linter.certificate, "crl": linter.crl, "ocsp": linter.ocsp}[request["kind"]]
        return {"findings": judge(base64.b64decode(request["der"]), request["holder"])}
    except (SubstrateDecodingFailedError, ValueError) as error:
        # Not what it claims to be: a finding about the object, not a failure of the linter.
        return {"findings": [_finding("pkix", "FATAL", "pkilint.cannot_decode", str(error))]}
    except Exception as error:  # noqa: BLE001  whatever goes wrong must become an answer, or the parent waits
        return {"error": type(error).__name__}


def _findings(results: Iterable[ValidationResult], standard: str) -> Findings:
    return [
        _finding(
            standard,
            each.finding.severity.name,
            each.finding.code,
            f"{result.node.path}: {each.message or ''}".rstrip(": "),
        )
        for result in results
        for each in result.finding_descriptions
    ]


def _finding(standard: str, severity: str, code: str, text: str) -> dict[str, str]:
    return {"standard": standard, "severity": severity, "code": code, "text": text[:_LONGEST_TEXT]}


def _answer(sink: Any, answer: dict[str, Any]) -> None:
    sink.write(json.dumps(answer).encode() + b"\n")
    sink.flush()


def _certificate_container() -> ValidatorContainer:
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def _etsi_container(kind: CertificateType) -> ValidatorContainer:
    return certificate.create_pkix_certificate_validator_container(
        etsi.create_decoding_validators(kind), etsi.create_validators(kind)
    )


def _crl_container() -> ValidatorContainer:
    return crl.create_pkix_crl_validator_container(
        _decoders(),
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


def _ocsp_container() -> ValidatorContainer:
    return ocsp.create_pkix_ocsp_response_validator_container([ocsp.create_response_decoder(), *_decoders()], [])


def _decoders() -> list[Any]:
    return [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]


def _allow_processor_time(seconds: int) -> None:
    """Processor time is counted over the life of the process, so each object moves the bound."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    bound = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
