"""Where a stranger's state is looked for: the file, kept answers, lists brought here, the network; an earlier source spares the later ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ReasonFlags, ocsp

from api.fetching import HttpFetcher
from signer.judging import Leaning, stranger_verifier
from signer.revocation_cache import FolderCache, MemoryCache, RevocationCache, cache_name
from signer.revocation_sources import FetchLimits, Lists
from signer.sandbox import Judge
from signer.trust_lists import facts_of
from signer.validation.facts import CrlFacts, TrustAnchor, ValidationInputs
from signer.validation.verdict import Verdict
from signer.verification import FILE_LIMIT, verify_file
from tests.attacks import documents
from tests.attacks.pki import NOW, Party, make, make_crl
from tests.fakes.clock import FixedClock
from tests.strangers import OCSP_TYPE, Stranger, addresses, answering, saying, serving, sleeping

LIST_TYPE = "application/pkix-crl"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(preload=("gather",)) as judge:
        yield judge


@dataclass
class Tree:
    """Somebody else's certificates, which say where they can be asked about, and a file that their officer signed."""

    judge: Judge
    stranger: Stranger
    root: Party
    issuing: Party
    officer: Party
    pdf: bytes
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    cache: RevocationCache = field(default_factory=MemoryCache)

    def verdict(
        self,
        pdf: bytes | None = None,
        *,
        fetches: bool = True,
        at: datetime | None = None,
        lists: Lists | None = None,
        limits: FetchLimits | None = None,
    ) -> Verdict:
        fetcher = HttpFetcher(allows_private=True) if fetches else None
        leaning = Leaning(cache=self.cache, fetcher=fetcher, limits=limits or FetchLimits())
        inputs = ValidationInputs(at or self.clock.now(), (TrustAnchor(self.root.der, "foreign"),))
        verifier = stranger_verifier(self.judge, inputs, self.clock, FILE_LIMIT, None, leaning)
        assert verifier.complete is not None
        if lists is not None:
            sources = replace(verifier.complete.__self__, lists=lists)  # type: ignore[attr-defined]
            verifier = replace(verifier, complete=sources.complete)
        self.stranger.asked.clear()
        return verify_file(pdf or self.pdf, "a.pdf", verifier)

    def told(self, **more: object) -> tuple[str, list[str | None], list[str]]:
        """The reason, the source about each certificate of the path, and which addresses were asked."""
        verdict = self.verdict(**more)  # type: ignore[arg-type]
        (signature,) = verdict.to_json()["signatures"]
        return verdict.reason, [each["source"] for each in signature["path"]], list(self.stranger.asked)

    def lists(self, *crls: tuple[Party, bytes]) -> Lists:
        """What lists brought to a home say."""
        held = {issuer.der: x509.load_der_x509_crl(der) for issuer, der in crls}

        def about(certificate: bytes, issuer: bytes) -> CrlFacts | None:
            return facts_of(held[issuer], x509.load_der_x509_certificate(certificate)) if issuer in held else None

        return about


@pytest.fixture
def tree(judge: Judge) -> Iterator[Tree]:
    with serving() as stranger:
        root = make("Root của họ", ca=True)
        issuing = make("CA của họ", root, ca=True, more=addresses(crl_url=stranger.url("/root.crl")))
        officer = make("Người ký", issuing, more=addresses(stranger.url("/ocsp"), stranger.url("/issuing.crl")))
        stranger.handlers |= {
            "/ocsp": answering(officer, issuing, lambda: NOW),
            "/root.crl": saying(200, LIST_TYPE, make_crl(root)),
            "/issuing.crl": saying(200, LIST_TYPE, make_crl(issuing)),
        }
        yield Tree(judge, stranger, root, issuing, officer, documents.sign(documents.page_pdf(), officer))


def test_without_leave_nobody_is_asked_and_nothing_is_valid(tree: Tree) -> None:
    assert tree.told(fetches=False) == ("UNKNOWN_REVOCATION", [None, None], [])


def test_what_is_fetched_is_named_and_kept_and_spares_the_next_question(tree: Tree) -> None:
    assert tree.told() == ("VALID", ["fetched", "fetched"], ["/ocsp", "/root.crl"])
    (signature,) = tree.verdict(fetches=False).to_json()["signatures"]
    leaf, above = signature["path"]
    assert (leaf["source"], leaf["kind"], leaf["this_update"]) == ("cached", "ocsp", "2026-11-21T03:14:30Z")
    assert (above["source"], above["kind"], above["next_update"]) == ("cached", "crl", "2026-11-28T03:15:30Z")
    assert tree.told() == ("VALID", ["cached", "cached"], [])


def test_what_the_file_brings_spares_every_other_source(tree: Tree) -> None:
    whole = documents.with_lists(tree.pdf, [tree.issuing, tree.root], [make_crl(tree.root), make_crl(tree.issuing)])
    assert tree.told(pdf=whole) == ("VALID_EXTENDED", ["embedded", "embedded"], [])
    part = documents.with_lists(tree.pdf, [tree.issuing], [make_crl(tree.issuing)])
    assert tree.told(pdf=part) == ("VALID_EXTENDED", ["embedded", "fetched"], ["/root.crl"])


def test_a_kept_answer_comes_before_a_list_that_was_brought_and_that_before_the_network(tree: Tree) -> None:
    lists = tree.lists((tree.root, make_crl(tree.root)), (tree.issuing, make_crl(tree.issuing)))
    assert tree.told(lists=lists) == ("VALID", ["local", "local"], [])
    tree.cache.put(cache_name(tree.stranger.url("/issuing.crl"), ""), make_crl(tree.issuing))
    assert tree.told(lists=lists) == ("VALID", ["cached", "local"], [])
    half = tree.lists((tree.issuing, make_crl(tree.issuing)))
    assert tree.told(lists=half) == ("VALID", ["cached", "fetched"], ["/root.crl"])


def test_what_is_stale_or_forged_is_passed_over(tree: Tree) -> None:
    stale = make_crl(tree.issuing, this_update=NOW - timedelta(days=9), next_update=NOW - timedelta(days=1))
    tree.cache.put(cache_name(tree.stranger.url("/issuing.crl"), ""), stale)
    tree.cache.put(cache_name(tree.stranger.url("/root.crl"), ""), make_crl(tree.root, signed_by=tree.issuing))
    lists = tree.lists((tree.issuing, stale))
    assert tree.told(lists=lists) == ("VALID", ["fetched", "fetched"], ["/ocsp", "/root.crl"])


def test_a_list_that_lies_here_is_heard_against_an_older_answer_in_the_file(tree: Tree) -> None:
    whole = documents.with_lists(
        tree.pdf, [tree.issuing, tree.root],
        [make_crl(tree.root), make_crl(tree.issuing, this_update=NOW - timedelta(days=2))],
    )  # fmt: skip
    since = {tree.officer.certificate.serial_number: (NOW - timedelta(days=1), ReasonFlags.key_compromise)}
    newer = tree.lists((tree.issuing, make_crl(tree.issuing, since)))
    assert tree.told(pdf=whole, lists=newer)[:2] == ("UNKNOWN_REVOKED_NO_TIME", ["local", "embedded"])


def test_no_answer_of_ocsp_leads_to_the_list_and_no_answer_at_all_to_no_verdict(tree: Tree) -> None:
    tree.stranger.handlers["/ocsp"] = saying(200, OCSP_TYPE, b"no answer")
    assert tree.told() == ("VALID", ["fetched", "fetched"], ["/ocsp", "/issuing.crl", "/root.crl"])
    tree.cache = MemoryCache()
    tree.stranger.handlers["/issuing.crl"] = saying(404, "text/html", b"")
    assert tree.told() == ("UNKNOWN_REVOCATION", [None, "fetched"], ["/ocsp", "/issuing.crl", "/root.crl"])


def test_a_revocation_that_is_fetched_counts(tree: Tree) -> None:
    revoked = answering(tree.officer, tree.issuing, lambda: NOW, status=ocsp.OCSPCertStatus.REVOKED)
    tree.stranger.handlers["/ocsp"] = revoked
    assert tree.told()[:2] == ("UNKNOWN_REVOKED_NO_TIME", ["fetched", "fetched"])


def test_about_the_past_nobody_is_asked(tree: Tree) -> None:
    assert tree.told(at=NOW - timedelta(days=1)) == ("UNKNOWN_REVOCATION", [None, None], [])


def test_a_changed_file_or_an_unknown_issuer_makes_nobody_ask(tree: Tree) -> None:
    changed = tree.pdf.replace(b"Generated", b"Generater", 1)
    assert tree.told(pdf=changed) == ("INVALID_MODIFIED", [None, None], [])
    tree.root = make("Gốc khác", ca=True)
    assert tree.told() == ("UNKNOWN_ISSUER", [], [])


def test_questions_and_their_time_are_bounded(tree: Tree) -> None:
    assert tree.told(limits=FetchLimits(exchanges=1))[2] == ["/ocsp"]
    assert tree.told(limits=FetchLimits(exchanges=0))[2] == []
    tree.cache = MemoryCache()
    for path in ("/ocsp", "/issuing.crl"):
        tree.stranger.handlers[path] = sleeping(3, tree.stranger.handlers[path])
    begun = time.monotonic()
    assert tree.told(limits=FetchLimits(seconds=0.3, total_seconds=0.4))[0] == "UNKNOWN_REVOCATION"
    assert time.monotonic() - begun < 2


def test_a_list_beyond_its_size_is_not_read(tree: Tree) -> None:
    tree.stranger.handlers["/ocsp"] = saying(200, OCSP_TYPE, bytes(65 * 1024))
    tree.stranger.handlers["/issuing.crl"] = saying(200, LIST_TYPE, bytes(33 * 1024 * 1024))
    assert tree.told()[:2] == ("UNKNOWN_REVOCATION", [None, "fetched"])


def test_the_cache_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path, most=3, most_octets=100)
    for at in range(5):
        cache.put(f"{at}", bytes([at]) * 10)
        time.sleep(0.01)
    assert [cache.get(f"{at}") is not None for at in range(5)] == [False, False, True, True, True]
    cache.put("large", bytes(95))
    assert [cache.get(name) is not None for name in ("3", "4", "large")] == [False, False, True]
    cache.put("too large", bytes(101))
    assert cache.get("too large") is None
    assert FolderCache(tmp_path / "none").get("0") is None
