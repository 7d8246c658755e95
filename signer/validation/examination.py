"""Examining one signature of a PDF: gate, CMS, path, coverage, changes. Returns facts whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from asn1crypto import cms
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.generic_cms import extract_self_reported_ts
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from signer.octets import Octets, beginning_of, sha256_of
from signer.password import NO_PASSWORD, Password
from signer.validation.certificates import certificate_facts, has_misencoded_key, plain_text, utc
from signer.validation.changes import Kind, changes_after, coverage_of, permission_of
from signer.validation.cms_check import (
    SUBFILTER_SHA1,
    SUBFILTER_TIMESTAMP,
    SUBFILTERS_DETACHED,
    check_cms,
    digest_of_file,
    facts_by_name,
)
from signer.validation.facts import ChangeFacts, SignatureFacts
from signer.validation.paths import PathFinder
from signer.validation.pkcs1_check import SUBFILTER_PKCS1, check_pkcs1
from signer.validation.second_reading import SecondReading
from signer.validation.signature_value import SignatureValue, entry, find_value_in_bytes, read_raw_value, read_value
from signer.validation.store import store_of_cms
from signer.validation.structure import Finding, RawSignature, Section, check_after, check_byte_range
from signer.validation.tokens import examine_token, signature_timestamps

Found = dict[str, Any]
# Two parsers see two documents; which of them was signed, nobody can say.
PARSERS_DISAGREE = "PARSERS_DISAGREE"
TOO_MANY_CHANGES = "TOO_MANY_CHANGES"
# No lenient reading would find otherwise.
SETTLED = frozenset({PARSERS_DISAGREE, TOO_MANY_CHANGES})
# What is signed or filled in afterwards takes dozens of objects; so many take longer to explain than anybody waits.
_MOST_BROUGHT = 20_000


@dataclass
class Document:
    """One reading of a file, with what its signatures share."""

    pdf: Octets
    reader: PdfFileReader
    lenient: bool
    encrypted: bool
    fields: list[tuple[str, Any]] = field(default_factory=list)
    password: Password = NO_PASSWORD
    _second: list[SecondReading] = field(default_factory=list)
    _sections: list[Section] = field(default_factory=list)

    def second_reading(self) -> SecondReading:
        """What another parser makes of the file; read once, and only where a signature stands."""
        if not self._second:
            self._second.append(SecondReading(self.pdf, self.reader, self.password))
        return self._second[0]

    def sections(self) -> list[Section]:
        """The cross-reference sections as the library read them, oldest first."""
        if not self._sections:
            table = self.reader.xrefs
            for revision in range(table.total_revisions):
                info = table.get_xref_container_info(revision)
                data = table.get_xref_data(revision)
                places = {offset for _, offset in data.standard_xrefs.values()}
                if data.hybrid is not None:  # ISO 32000-2 7.5.8.4: a table and a stream make one section
                    places |= {offset for _, offset in data.hybrid.xref_data.standard_xrefs.values()}
                    places.add(data.hybrid.meta_info.start_location)
                self._sections.append(
                    Section(info.declared_startxref, info.start_location, info.end_location, frozenset(places))
                )
        return self._sections


def examine(document: Document, name: str, dictionary: Any, paths: PathFinder) -> SignatureFacts:
    """Facts of one filled signature field. Every failure but running out of memory is itself a fact."""
    found: Found = {"field": plain_text(name), "type": "signature", "subfilter": "", "lenient": document.lenient}
    values: list[SignatureValue] = []
    in_bytes = not _step(found, lambda: values.append(_read(dictionary)))
    if in_bytes:
        # A dictionary the library refuses (a stray byte in a name) can still be judged when it signs the whole file.
        _step(found, lambda: values.append(_read_from_bytes(document, dictionary)))
    if not values:
        return SignatureFacts(**found)
    found["problem"] = ""
    found["lenient"] = found["lenient"] or in_bytes
    ranges = _examine_value(found, document.pdf, values[0], paths)
    if ranges:
        _step(found, lambda: _take_changes(found, document, dictionary, name, ranges))
    return SignatureFacts(**found)


def examine_raw(pdf: Octets, raw: RawSignature, paths: PathFinder) -> SignatureFacts | None:
    """Facts of a signature in a file that cannot be opened; None unless a CMS signature really stands there."""
    found: Found = {"field": "", "type": "signature", "subfilter": "", "lenient": True}
    if not _examine_value(found, pdf, read_raw_value(pdf, raw), paths) or found.get("signer") is None:
        return None
    found["changes_after"] = "forbidden"
    return SignatureFacts(**found)


def _step(found: Found, work: Callable[[], None]) -> bool:
    """Do one step; the class of whatever it raises becomes a fact and the other steps go on."""
    try:
        work()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  pyHanko and asn1crypto raise many kinds on hostile files
        found["problem"] = found.get("problem") or type(error).__name__
        return False
    return True


def _read(dictionary: Any) -> SignatureValue:
    value = read_value(dictionary)
    if value is None:
        raise ValueError("the field's value is not a dictionary")
    return value


def _read_from_bytes(document: Document, dictionary: Any) -> SignatureValue:
    raw = find_value_in_bytes(document.pdf, document.reader, dictionary)
    if raw is None:
        raise ValueError("no signature stands in the object")
    return read_raw_value(document.pdf, raw)


def _examine_value(found: Found, pdf: Octets, value: SignatureValue, paths: PathFinder) -> tuple[int, ...]:
    """Everything but the changes. Returns the ranges when a CMS structure could be looked for."""
    found["subfilter"] = plain_text(value.subfilter, 60)
    # Old document timestamps call themselves /Sig: the SubFilter tells (EN 319 142-1 5.4.3).
    if value.subfilter == SUBFILTER_TIMESTAMP or value.type == "/DocTimeStamp":
        found["type"] = "timestamp"
    found["claimed_time"] = value.claimed_time
    found["level"] = _level(value.subfilter, found["type"])
    # ISO 32000-2 table 262: SHA-1 names the signature there, and protects nothing.
    found["contents_sha1"] = hashlib.sha1(value.contents, usedforsecurity=False).hexdigest()
    findings = check_byte_range(pdf, value.byte_range, value.contents)
    found["findings"] = tuple(finding.value for finding in findings)
    if not value.contents.strip(b"\x00"):
        found["problem"] = "NO_CONTENTS"
        return ()
    if Finding.BYTERANGE_MALFORMED in findings:
        found["problem"] = "NO_BYTE_RANGE"
        return ()
    ranges = tuple(int(str(number)) for number in value.byte_range)
    if not {Finding.BYTERANGE_START, Finding.BYTERANGE_ORDER} & set(findings):
        end = ranges[2] + ranges[3]
        found["revision_end"] = end
        found["revision_sha256"] = sha256_of(pdf, end)
    if value.subfilter == SUBFILTER_PKCS1:
        _step(found, lambda: _take_pkcs1(found, pdf, value, ranges, paths))
        return ranges
    if value.subfilter not in (*SUBFILTERS_DETACHED, SUBFILTER_SHA1, SUBFILTER_TIMESTAMP):
        found["problem"] = "UNSUPPORTED_SUBFILTER"
        return ranges
    _step(found, lambda: _take_cms(found, pdf, value, ranges, paths))
    return ranges


def _take_pkcs1(found: Found, pdf: Octets, value: SignatureValue, ranges: tuple[int, ...], paths: PathFinder) -> None:
    facts = check_pkcs1(value, lambda algorithm: digest_of_file(algorithm, pdf, ranges))
    found.update(facts_by_name(facts))
    if facts.signer is not None:
        found["signer"] = certificate_facts(facts.signer)
        found["path"] = paths.find(facts.signer, facts.others)


def _take_cms(found: Found, pdf: Octets, value: SignatureValue, ranges: tuple[int, ...], paths: PathFinder) -> None:
    signed_data = cms.ContentInfo.load(value.contents)["content"]
    paths = paths.with_store(store_of_cms(signed_data))
    facts = check_cms(signed_data, value.subfilter, lambda algorithm: digest_of_file(algorithm, pdf, ranges))
    found.update(facts_by_name(facts))
    if facts.signer is not None:
        found["signer"] = certificate_facts(facts.signer)
        found["lenient"] = found["lenient"] or has_misencoded_key(facts.signer)
        found["path"] = paths.find(facts.signer, facts.others, stamps=found["type"] == "timestamp")
    (info,) = signed_data["signer_infos"]
    if found["type"] == "timestamp":
        found["claimed_time"] = utc(signed_data["encap_content_info"]["content"].parsed["gen_time"].native)
    elif found["claimed_time"] is None:
        reported = extract_self_reported_ts(info)
        found["claimed_time"] = utc(reported) if reported is not None else None
    tokens = signature_timestamps(info)
    if tokens:
        found["timestamps"] = tuple(examine_token(token, info["signature"].native, paths) for token in tokens)


def _take_changes(found: Found, document: Document, dictionary: Any, name: str, ranges: tuple[int, ...]) -> None:
    if found["findings"]:
        found["changes_after"] = "forbidden"
        return
    end = ranges[2] + ranges[3]
    if end == len(document.pdf):
        # Our own gate has looked at the gap: every byte of the file but /Contents is signed.
        found["coverage"], found["changes_after"] = "whole-file", "none"
        if not document.second_reading().agrees:
            found["problem"] = found.get("problem") or PARSERS_DISAGREE
        return
    found["coverage"] = "earlier-revision"
    signature = EmbeddedPdfSignature(document.reader, dictionary, name)
    later = document.sections()[signature.signed_revision + 1 :]
    wrong = tuple(finding.value for finding in check_after(document.pdf, end, later))
    if wrong:
        found["findings"], found["changes_after"] = wrong, "forbidden"
        found["changes"] = (ChangeFacts("forbidden", None, ", ".join(wrong)),)
        return
    brought = _brought_later(document, signature.signed_revision)
    if len(brought) > _MOST_BROUGHT:
        found["problem"] = TOO_MANY_CHANGES
        return
    second = document.second_reading()
    if not second.reads_whole(brought):
        found["problem"] = found.get("problem") or PARSERS_DISAGREE
    newest = second.graph(beginning_of(document.pdf, end), document.reader, signature.signed_revision)
    permission = permission_of(signature)
    found["docmdp"] = permission.value if permission is not None else None
    found["coverage"] = coverage_of(signature)
    others = _signed_later(document, signature)
    after, found["changes"] = changes_after(signature, document.reader, others, newest)
    # White space may follow, but then the file is no longer what was signed, byte for byte.
    found["changes_after"] = "permitted" if after == "none" else after


def _brought_later(document: Document, signed_revision: int) -> set[tuple[int, int]]:
    table = document.reader.xrefs
    return {
        (int(reference.idnum), int(reference.generation))
        for revision in range(signed_revision + 1, table.total_revisions)
        for reference in table.explicit_refs_in_revision(revision) - table.refs_freed_in_revision(revision)
    }


def _signed_later(document: Document, signature: EmbeddedPdfSignature) -> list[tuple[str, Kind]]:
    """Names and kinds of the signatures that came after this one, broken ones among them."""
    later: list[tuple[str, Kind]] = []
    for name, dictionary in document.fields:
        with contextlib.suppress(KeyError, AttributeError, PdfReadError):
            reference = dictionary.raw_get("/V").reference
            if document.reader.xrefs.get_last_change(reference) > signature.signed_revision:
                subfilter = entry(dictionary["/V"], "/SubFilter")
                later.append((name, "timestamp" if subfilter == SUBFILTER_TIMESTAMP else "signature"))
    return later


def _level(subfilter: str, kind: str) -> str:
    """The level that the embedded parts would make, whether or not they prove anything (EN 319 142-1 6)."""
    if kind == "timestamp":
        return "DocTimeStamp"
    if subfilter in ("/ETSI.CAdES.detached", "/PBAD.PAdES"):
        return "PAdES-B-B"
    if subfilter == SUBFILTER_PKCS1:
        return "PDF-PKCS1"
    return "PDF-PKCS7" if subfilter.startswith("/adbe.pkcs7") else "PDF-UNKNOWN"
