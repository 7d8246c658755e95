"""Which file becomes which: what `antin sign` and its options name, before anything is read or signed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api.cli.context import writable_folder
from api.cli.parser import TypedPath
from api.errors import UsageError


@dataclass(frozen=True)
class SignJob:
    """One file to sign, and where the signed one goes."""

    source: TypedPath
    target: TypedPath


def is_one(options: argparse.Namespace) -> bool:
    """Whether a single file was named, so that its failure is the command's and its JSON an object."""
    return len(options.files) == 1 and not options.files[0].path.is_dir()


def sign_jobs(options: argparse.Namespace) -> list[SignJob]:
    """All that is to be signed; refused before anything is signed when two would become one."""
    files: list[TypedPath] = options.files
    output: TypedPath | None = options.output
    if is_one(options) and not (output and output.path.is_dir()):
        return _distinct([SignJob(files[0], output or _default_target(files[0]))])
    if output is None:
        folder = next((each for each in files if each.path.is_dir()), None)
        if folder is not None:
            # Beside the inputs the next run would take the outputs for inputs.
            raise UsageError("FOLDER_NEEDS_OUTPUT", path=folder.typed)
        return _distinct([SignJob(file, _default_target(file)) for file in files])
    if output.path.exists() and not output.path.is_dir():
        raise UsageError("OUTPUT_NOT_FOLDER", path=output.typed)
    jobs = _distinct([SignJob(source, _below(output, within)) for source, within in _sources(files, output)])
    for parent in sorted({job.target.path.parent for job in jobs} | {output.path}):
        writable_folder(parent, output.typed)
    return jobs


def _below(folder: TypedPath, within: Path) -> TypedPath:
    return TypedPath(str(Path(folder.typed) / within), folder.path / within)


def _sources(files: list[TypedPath], output: TypedPath) -> Iterator[tuple[TypedPath, Path]]:
    """Each file, and where below the output folder its result stands: by its name, or as it stands in the folder that was named."""
    for file in files:
        if not file.path.is_dir():
            yield file, Path(file.path.name)
            continue
        found = list(_pdfs(file, output.path.resolve()))
        if not found:
            raise UsageError("FOLDER_WITHOUT_PDF", path=file.typed)
        for path in found:
            within = path.relative_to(file.path)
            yield TypedPath(str(Path(file.typed) / within), path), within


def _pdfs(folder: TypedPath, output: Path) -> Iterator[Path]:
    """The PDF files of a folder and of those in it, by name. Hidden ones are nobody's papers, and outputs are no inputs."""

    def refuse(error: OSError) -> None:
        # A folder that cannot be read would be left out without a word.
        raise UsageError("INPUT_UNREADABLE", path=str(error.filename), reason=error.strerror or "") from error

    for root, folders, names in os.walk(folder.path, onerror=refuse):
        here = Path(root)
        folders[:] = sorted(each for each in folders if not each.startswith(".") and (here / each).resolve() != output)
        yield from (here / name for name in sorted(names) if name.lower().endswith(".pdf") and not name.startswith("."))


def _distinct(jobs: list[SignJob]) -> list[SignJob]:
    inputs = {(status.st_dev, status.st_ino) for job in jobs if (status := _status(job.source.path))}
    seen: set[Path] = set()
    parents: dict[Path, Path] = {}
    for job in jobs:
        # Any of the inputs, not only its own: with --force NAME-signed.pdf of one file may be another.
        present = _status(job.target.path)
        if present and (present.st_dev, present.st_ino) in inputs:
            raise UsageError("OUTPUT_IS_INPUT", path=job.target.typed)
        parent = job.target.path.parent
        target = parents.setdefault(parent, parent.resolve()) / job.target.path.name
        if target in seen:
            raise UsageError("OUTPUT_TWICE", path=job.target.typed)
        seen.add(target)
    return jobs


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None  # said when it is read or written


def _default_target(source: TypedPath) -> TypedPath:
    name = f"{source.path.stem}-signed.pdf"
    return TypedPath(str(Path(source.typed).parent / name), source.path.parent / name)
