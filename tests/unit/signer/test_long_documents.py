"""Documents that stay on disk go the same way as short ones: signed, sealed, raised, judged, registered, and handed over."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from signer.errors import Refused
from signer.given import Given
from signer.handing_over import finish_document, prepare_document
from signer.long_file import LONG, LongFile, Source
from signer.octets import whole
from signer.signing import SignedDocument, SignRequest, sign_document
from signer.upgrading import raise_file
from signer.verification import verify_file
from tests.large_pdf import large_pdf, write_large
from tests.signing_world import CLERK, SigningWorld
from tests.unit.signer.office import Office
from tests.world import ADMIN

PAGES = 10
FORMS = {"table": False, "streams": True}


@pytest.fixture(params=FORMS)
def paper(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "long.pdf"
    write_large(path, 2 * LONG, PAGES, streams=FORMS[request.param])
    assert path.stat().st_size > LONG
    return path


def taken(deps_owner: SigningWorld | Office, path: Path) -> LongFile:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return deps_owner.deps.blobs.take_in(descriptor, path.stat().st_size, room=100_000)
    finally:
        os.close(descriptor)


def sign(world: SigningWorld, path: Path, credential: str = "officer", **wishes: str) -> SignedDocument:
    return sign_document(SignRequest(taken(world, path), path.name, credential, **wishes), CLERK, world.deps)


def is_sound(octets: bytes, folder: Path) -> bool:
    (folder / "checked.pdf").write_bytes(octets)
    done = subprocess.run(["qpdf", "--check", folder / "checked.pdf"], capture_output=True, text=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("placement", ["none", "auto"])
def test_an_officer_signs_and_the_seal_follows(
    signing: SigningWorld, paper: Path, tmp_path: Path, placement: str
) -> None:
    original = paper.read_bytes()
    signed = sign(signing, paper, placement=placement)
    assert isinstance(signed.file, LongFile)
    assert signed.content.startswith(original)
    assert is_sound(signed.content, tmp_path)
    approved = tmp_path / "approved.pdf"
    approved.write_bytes(signed.content)
    sealed = sign(signing, approved, "seal", placement=placement)
    assert sealed.content.startswith(signed.content)
    assert (sealed.code, sealed.issued, sealed.number) == (signed.code, True, 1)
    assert is_sound(sealed.content, tmp_path)
    approved.write_bytes(sealed.content)
    for source in (approved, sealed.file, sealed.content):
        verdict = verify_file(source, "a.pdf", signing.judging.verifier())
        assert (verdict.conclusion, verdict.sha256) == ("valid", sealed.sha256)
        assert [each.facts.coverage for each in verdict.judged.signatures] == ["earlier-revision", "whole-file"]
        assert verdict.document is not None
    acts = signing.document(signed.code).acts
    digests = [hashlib.sha256(each).hexdigest() for each in (original, signed.content, sealed.content)]
    assert [(act.input_sha256, act.output_sha256) for act in acts] == [tuple(digests[:2]), tuple(digests[1:])]


def test_it_is_signed_as_it_is_in_memory(signing: SigningWorld, paper: Path) -> None:
    """The same revision behind the same octets, but for what is drawn by lot and the signature itself."""
    long, short = sign(signing, paper, placement="none"), signing.sign(paper.read_bytes(), placement="none")
    assert len(long.content) == len(short.content)
    differing = [at for at, (one, other) in enumerate(zip(long.content, short.content, strict=True)) if one != other]
    assert differing[0] > paper.stat().st_size


def test_an_altered_octet_anywhere_is_found(signing: SigningWorld, paper: Path, tmp_path: Path) -> None:
    content = sign(signing, paper, placement="none").content
    for at in (5000, LONG + 7, paper.stat().st_size - 200):
        target = tmp_path / "altered.pdf"
        target.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        verdict = verify_file(target, "a.pdf", signing.judging.verifier())
        assert verdict.conclusion in ("invalid", "unreadable"), at


def test_a_broken_earlier_signature_and_one_that_was_hidden_are_refused(
    signing: SigningWorld, paper: Path, tmp_path: Path
) -> None:
    content = sign(signing, paper, placement="none").content
    target = tmp_path / "broken.pdf"
    target.write_bytes(content[:5000] + b"XX" + content[5002:])
    with pytest.raises(Refused) as caught:
        sign(signing, target, placement="none")
    assert caught.value.code == "INPUT_SIGNATURE_BROKEN"
    # The newest catalog as it was before the signature: the form is gone, the octets are not.
    start = int(paper.read_bytes().rsplit(b"startxref\n", 1)[1].split()[0])
    target.write_bytes(content + b"startxref\n%d\n%%%%EOF\n" % start)
    with pytest.raises(Refused) as caught:
        sign(signing, target, placement="none")
    assert caught.value.code == "INPUT_SIGNATURE_BROKEN"


def test_every_level_at_once_and_one_after_the_other(office: Office, paper: Path, tmp_path: Path) -> None:
    deps = dataclasses.replace(office.deps, max_bytes=4 * LONG)
    request = SignRequest(taken(office, paper), "a.pdf", "officer", level="B-LTA", placement="none")
    at_once = sign_document(request, ADMIN, deps)
    assert (at_once.level, at_once.pending) == ("B-LTA", None)
    step = sign_document(dataclasses.replace(request, pdf=taken(office, paper), level="B-B"), ADMIN, deps).file
    for level in ("B-T", "B-LT", "B-LTA"):
        raised = raise_file(step, level, office.upgrading())
        assert isinstance(raised.file, LongFile)
        assert raised.sha256 == hashlib.sha256(raised.content).hexdigest()
        step = raised.file
    for content in (at_once.content, whole(step)):
        judged = office.judged(content)
        assert (judged.conclusion, judged.facts.reached) == ("valid", "B-LTA")
        assert is_sound(content, tmp_path)


def test_one_that_waits_for_its_signature_is_finished(office: Office, paper: Path) -> None:
    deps = dataclasses.replace(office.handover, signing=dataclasses.replace(office.deps, max_bytes=4 * LONG))
    request = SignRequest(taken(office, paper), "a.pdf", "officer", placement="none")
    one = prepare_document(request, ADMIN, deps)
    assert one.input_sha256 == hashlib.sha256(paper.read_bytes()).hexdigest()
    finished = finish_document(one.id, Given(), ADMIN, deps)
    assert office.judged(finished.content).conclusion == "valid"


def test_neither_signing_nor_judging_takes_memory_of_its_length(signing: SigningWorld, tmp_path: Path) -> None:
    path = tmp_path / "longer.pdf"
    write_large(path, 30 * LONG, PAGES)
    tracemalloc.start()
    file = sign(signing, path, placement="none").file
    verdict = verify_file(file, "a.pdf", signing.judging.verifier())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict.conclusion == "valid"
    assert peak < 15 * LONG


def test_a_file_that_changes_while_it_is_judged_has_no_verdict(signing: SigningWorld, tmp_path: Path) -> None:
    path = tmp_path / "changing.pdf"
    path.write_bytes(large_pdf(PAGES, 200_000))

    class Meddling(LongFile):
        """Somebody writes to the file when it is read."""

        def hasher_at(self, algorithm: str, end: int) -> object:
            with path.open("r+b") as other:
                other.seek(500_000)
                other.write(b"other octets")
            return super().hasher_at(algorithm, end)

    file = Meddling(Source(os.open(path, os.O_RDONLY), path.stat().st_size))
    assert verify_file(file, "a.pdf", signing.judging.verifier()).reason == "UNREADABLE_NO_ACCESS"
    assert verify_file(path, "a.pdf", signing.judging.verifier()).conclusion == "unsigned"
