"""The document security store of a PDF as the judge process reads it, and which level the embedded proofs make (EN 319 142-1 5.4, 6.3).

What cannot be read is left out: a store only adds what it proves. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from asn1crypto import cms, x509
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.levels import B_B, B_LT, B_LTA, B_T
from signer.validation.facts import SignatureFacts

# A store of many signatures holds some hundred parts; a list of an authority may have many megabytes.
_MOST_PARTS = 500
_MOST_LISTS = 100
_MOST_OCTETS = 64 * 1024 * 1024

Part = TypeVar("Part")


@dataclass(frozen=True)
class Store:
    """The parts of a store that could be read."""

    certificates: tuple[x509.Certificate, ...] = ()
    ocsps: tuple[asn1_ocsp.BasicOCSPResponse, ...] = ()
    crls: tuple[bytes, ...] = ()


NO_STORE = Store()


def read_store(reader: PdfFileReader) -> Store:
    """The newest store of the file; empty where there is none."""
    try:
        dictionary = reader.root["/DSS"]
    except KeyError:
        return NO_STORE
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a catalog that points nowhere
        return NO_STORE
    budget = [_MOST_PARTS, _MOST_OCTETS]
    return Store(
        tuple(_parts(dictionary, "/Certs", _certificate, budget)),
        tuple(_parts(dictionary, "/OCSPs", readable_answer, budget)),
        tuple(_parts(dictionary, "/CRLs", readable_crl, budget)),
    )


def _parts(dictionary: Any, key: str, read: Callable[[bytes], Part], budget: list[int]) -> list[Part]:
    found: list[Part] = []
    try:
        array = dictionary[key]
        references = [array.raw_get(at) for at in range(min(len(array), _MOST_PARTS))]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  not there, or no array
        return found
    for reference in references:
        if budget[0] <= 0 or budget[1] <= 0:
            break
        budget[0] -= 1
        try:
            stream = reference.get_object()
            if not isinstance(stream, generic.StreamObject):
                continue
            der = stream.data
            budget[1] -= len(der)
            found.append(read(der))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S112  one broken part hides no other
            continue
    return found


def store_of_cms(signed_data: cms.SignedData) -> Store:
    """Lists and answers that a CMS structure brings along; what cannot be read is left out.

    Among its own parts (RFC 5652 10.2.1, EN 319 122-1 5.4), and in the signed attribute of older PDF signatures (ISO 32000-2
    12.8.3.3.2, adbe-revocationInfoArchival).
    """
    found = _Found([], [])
    for choice in islice(signed_data["crls"] or (), _MOST_LISTS):
        _take(found.add_choice, choice)
    archives: list[Any] = []
    _take(archives.extend, _archives(signed_data))
    for archive in archives:
        for each in islice(archive["crl"] or (), _MOST_LISTS):
            _take(found.add_list, each)
        for each in islice(archive["ocsp"] or (), _MOST_LISTS):
            _take(found.add_answer, each)
    return Store((), tuple(found.ocsps), tuple(found.crls)) if found.crls or found.ocsps else NO_STORE


@dataclass(frozen=True)
class _Found:
    crls: list[bytes]
    ocsps: list[asn1_ocsp.BasicOCSPResponse]

    def add_choice(self, choice: Any) -> None:
        if choice.name == "crl":
            self.add_list(choice.chosen.untag())
        elif choice.chosen["other_rev_info_format"].native == "ocsp_response":
            self.add_answer(choice.chosen["other_rev_info"])

    def add_list(self, item: Any) -> None:
        self.crls.append(readable_crl(item.dump()))

    def add_answer(self, item: Any) -> None:
        self.ocsps.append(readable_answer(item.dump()))


def _take(add: Callable[[Any], None], item: Any) -> None:
    try:
        add(item)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  one broken part hides no other
        return


def _archives(signed_data: cms.SignedData) -> Iterator[Any]:
    for info in islice(signed_data["signer_infos"], 1):
        for attribute in info["signed_attrs"] or ():
            if attribute["type"].native == "adobe_revocation_info_archival":
                yield from islice(attribute["values"], 1)


def _certificate(der: bytes) -> x509.Certificate:
    certificate = x509.Certificate.load(der, strict=True)
    certificate.subject.dump()
    return certificate


def readable_answer(der: bytes) -> asn1_ocsp.BasicOCSPResponse:
    """The answer; raises what asn1crypto raises for anything else."""
    answer = asn1_ocsp.OCSPResponse.load(der, strict=True)
    basic: asn1_ocsp.BasicOCSPResponse = answer.basic_ocsp_response
    basic["tbs_response_data"]["responses"].native  # noqa: B018  parsed here, where a broken one is left out
    return basic


def readable_crl(der: bytes) -> bytes:
    """The same octets, when a list stands in them."""
    asn1_crl.CertificateList.load(der, strict=True).issuer.dump()
    return der


def joined(one: Store, other: Store) -> Store:
    """What two stores hold together."""
    if other is NO_STORE or one is NO_STORE:
        return one if other is NO_STORE else other
    return Store(one.certificates + other.certificates, one.ocsps + other.ocsps, one.crls + other.crls)


def with_levels(
    reader: PdfFileReader, fields: Sequence[tuple[str, Any]], facts: Sequence[SignatureFacts]
) -> list[SignatureFacts]:
    """The facts with the level that each signature's embedded proofs would make, whether or not they hold."""
    stamps = [each for each in facts if each.type == "timestamp" and each.revision_end is not None]
    over_store = _ends_over_store(reader, fields, stamps) if stamps else set()
    return [each if each.type == "timestamp" else _with_level(each, stamps, over_store) for each in facts]


def _with_level(facts: SignatureFacts, stamps: Sequence[SignatureFacts], over_store: set[int]) -> SignatureFacts:
    end = facts.revision_end
    covering = [
        each for each in stamps if end is not None and each.revision_end is not None and each.revision_end > end
    ]
    paths = [facts.path, *(token.path for token in facts.timestamps)]
    reached = B_B
    if facts.timestamps or covering:
        reached = B_T
        # The newest document time-stamp's own proofs come with the next one.
        if all(path is not None and path.is_proved for path in paths):
            archived = any(each.revision_end in over_store for each in covering)
            proved = facts.timestamps or any(each.path is not None and each.path.is_proved for each in covering)
            reached = B_LTA if archived and proved else B_LT if proved else B_T
    level = f"PAdES-{reached}" if facts.level.startswith("PAdES") else facts.level
    return replace(facts, reached=reached, level=level)


def _ends_over_store(
    reader: PdfFileReader, fields: Sequence[tuple[str, Any]], stamps: Sequence[SignatureFacts]
) -> set[int]:
    """Ends of those document time-stamps that cover a store."""
    ends = {each.field: each.revision_end for each in stamps}
    found: set[int] = set()
    for name, dictionary in fields:
        end = ends.get(name)
        if end is None:
            continue
        try:
            revision = reader.xrefs.get_introducing_revision(dictionary.raw_get("/V").reference)
            if "/DSS" in reader.get_historical_resolver(revision).root:
                found.add(end)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S112  then it counts as one that covers none
            continue
    return found
