"""The main job on real documents: an officer signs, the agency seals, everything is verified, one copy is tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.cli.failures import describe
from api.demo.papers import write_papers
from api.errors import UsageError
from api.wiring import Installation
from certs.training import marked_name
from pki.audit import Actor
from pki.roles import Permission, require
from signer.credentials import credential_exists
from signer.documents import document_by_code
from signer.errors import InputUnreadable, Refused
from signer.signing import SignRequest, sign_document
from signer.storage import OutputFile, write_once
from signer.validation.verdict import Verdict

TAMPERED_SUFFIX = "-tampered"
_LARGEST = 100 * 1024 * 1024


@dataclass(frozen=True)
class DemoResult:
    """One finished document with its verdict, or why there is none."""

    name: str
    path: Path | None
    verdict: Verdict | None
    refusal: tuple[str, dict[str, str]] | None = None


@dataclass(frozen=True)
class _Source:
    name: str
    content: bytes
    metadata: dict[str, Any]


def run_demo(
    installation: Installation, own_documents: Path | None, actor: Actor
) -> tuple[list[DemoResult], DemoResult | None]:
    """Sign what is not signed yet, verify everything. Returns the documents and the tampered copy; run again, it changes nothing."""
    require(actor, Permission.SIGN_DOCUMENTS)
    with installation.database.read() as session:
        if not (credential_exists(session, "officer") and credential_exists(session, "seal")):
            raise UsageError("DEMO_NEEDS_CREDENTIALS")
    sources = [*_papers(installation), *_own(own_documents)]
    results = [_finish(source, installation, actor) for source in sources]
    first = next((result for result in results if result.path), None)
    return results, _tamper(first, installation) if first else None


def _papers(installation: Installation) -> Iterator[_Source]:
    fonts = Path(installation.settings.sign.font).parent
    for paper in write_papers(installation.home.demo / "sources", fonts, installation.home.cache):
        yield _Source(paper.path.name, paper.path.read_bytes(), paper.metadata)


def _own(folder: Path | None) -> Iterator[_Source]:
    """The PDFs of a folder that the caller names, as `own-NAME`, so that no name meets one of ours."""
    if folder is None:
        return
    if not folder.is_dir():
        raise UsageError("INPUT_MISSING", path=str(folder))
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == ".pdf" and path.is_file() and path.stat().st_size <= _LARGEST:
            yield _Source(f"own-{path.name}", path.read_bytes(), {})


def _finish(source: _Source, installation: Installation, actor: Actor) -> DemoResult:
    step = installation.home.demo / "steps" / f"{Path(source.name).stem}-officer.pdf"
    target = installation.home.out / (marked_name(source.name) if installation.training else source.name)
    try:
        if not target.exists():
            if not step.exists():
                _sign(source.content, source, "officer", step, installation, actor)
            _issue(step.read_bytes(), source, target, installation, actor)
    except (Refused, InputUnreadable) as error:
        _, code, facts = describe(error)
        return DemoResult(source.name, None, None, (code, facts))
    verdict = installation.judging.verify(target.read_bytes(), target.name)
    return DemoResult(source.name, target, verdict)


def _issue(pdf: bytes, source: _Source, target: Path, installation: Installation, actor: Actor) -> None:
    """Seal it; or, when an earlier run did and its file is gone, take that from the register: a document is issued once."""
    try:
        _sign(pdf, source, "seal", target, installation, actor)
    except Refused as error:
        if error.code != "ALREADY_ISSUED":
            raise
        with installation.database.read() as session:
            sha256 = document_by_code(session, error.facts["code"]).sha256
        assert sha256 is not None, "an issued document has a finished revision"
        write_once(target, installation.blobs.get(sha256))


def _sign(pdf: bytes, source: _Source, credential: str, target: Path, installation: Installation, actor: Actor) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    metadata = source.metadata if credential == "officer" else {}
    request = SignRequest(pdf=pdf, name=source.name, credential=credential, metadata=metadata)
    with OutputFile(target, expected_size=len(pdf), replace=False) as file:
        file.publish(sign_document(request, actor, installation.signing).content)


def _tamper(result: DemoResult, installation: Installation) -> DemoResult:
    """The same file with its number changed from 01 to 91, as a forger would."""
    assert result.path is not None
    target = result.path.with_name(f"{result.path.stem}{TAMPERED_SUFFIX}.pdf")
    content = result.path.read_bytes()
    at = content.rfind(b"/V (0")
    if at < 0:
        raise InputUnreadable("INPUT_DAMAGED", kind="NumberNotFound")
    write_once(target, content[: at + 4] + b"9" + content[at + 5 :])
    return DemoResult(target.name, target, installation.judging.verify(target.read_bytes(), target.name))
