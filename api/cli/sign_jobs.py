"""Which file becomes which: what `antin sign` and its options name, before anything is read or signed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from api.cli.context import writable_folder
from api.cli.outputs import Job, below, beside, distinct
from api.cli.parser import TypedPath
from api.errors import UsageError


def is_one(options: argparse.Namespace) -> bool:
    """Whether a single file was named, so that its failure is the command's and its JSON an object."""
    return len(options.files) == 1 and not options.files[0].path.is_dir()


def sign_jobs(options: argparse.Namespace) -> list[Job]:
    """All that is to be signed; refused before anything is signed when two would become one."""
    files: list[TypedPath] = options.files
    output: TypedPath | None = options.output
    if is_one(options) and not (output and output.path.is_dir()):
        return distinct([Job(files[0], output or beside(files[0]))])
    if output is None:
        folder = next((each for each in files if each.path.is_dir()), None)
        if folder is not None:
            # Beside the inputs the next run would take the outputs for inputs.
            raise UsageError("FOLDER_NEEDS_OUTPUT", path=folder.typed)
        return distinct([Job(file, beside(file)) for file in files])
    if output.path.exists() and not output.path.is_dir():
        raise UsageError("OUTPUT_NOT_FOLDER", path=output.typed)
    jobs = distinct([Job(source, below(output, within)) for source, within in _sources(files, output)])
    for parent in sorted({job.target.path.parent for job in jobs} | {output.path}):
        writable_folder(parent, output.typed)
    return jobs


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
