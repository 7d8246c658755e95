"""Which input of a command becomes which output: a file for one, a folder for several, names kept, nothing overwritten by mistake."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from api.cli.context import writable_folder
from api.cli.parser import TypedPath
from api.errors import UsageError
from certs.training import bears_training_name, marked_name


@dataclass(frozen=True)
class Job:
    """One input and its output."""

    source: TypedPath
    target: TypedPath


def plan_outputs(files: list[TypedPath], output: TypedPath | None) -> list[Job]:
    """Which file becomes which; refused before anything is signed when two would become one."""
    if len(files) == 1 and not (output and output.path.is_dir()):
        return distinct([Job(files[0], output or beside(files[0]))])
    if output is None:
        return distinct([Job(file, beside(file)) for file in files])
    if output.path.exists() and not output.path.is_dir():
        raise UsageError("OUTPUT_NOT_FOLDER", path=output.typed)
    writable_folder(output.path, output.typed)
    return distinct([Job(file, below(output, Path(file.path.name))) for file in files])


def practice_jobs(jobs: list[Job], options: argparse.Namespace) -> list[Job]:
    """The same for a home that only serves to practise: every name says so. One that somebody typed is not changed but refused."""
    typed = options.output is not None and len(jobs) == 1 and jobs[0].target == options.output
    if typed:
        refuse_unmarked(options.output)
    return distinct([Job(job.source, _marked(job.target)) for job in jobs])


def refuse_unmarked(target: TypedPath) -> None:
    """UsageError for a name that does not say that what is in it is for practice."""
    if not bears_training_name(target.path.name):
        raise UsageError("TRAINING_NAME", path=target.typed, name=_marked(target).path.name)


def _marked(target: TypedPath) -> TypedPath:
    if bears_training_name(target.path.name):
        return target
    name = marked_name(target.path.name)
    return TypedPath(str(Path(target.typed).with_name(name)), target.path.with_name(name))


def below(folder: TypedPath, within: Path) -> TypedPath:
    """A path in a folder."""
    return TypedPath(str(Path(folder.typed) / within), folder.path / within)


def beside(source: TypedPath) -> TypedPath:
    """Where the signed form of a file goes when nothing is said of it."""
    name = f"{source.path.stem}-signed.pdf"
    return TypedPath(str(Path(source.typed).parent / name), source.path.parent / name)


def distinct(jobs: list[Job]) -> list[Job]:
    """The jobs, unless two would write one file, or one would write over an input."""
    inputs = {(status.st_dev, status.st_ino) for job in jobs if (status := _status(job.source.path))}
    seen: set[Path] = set()
    for job in jobs:
        # Any of the inputs, not only its own: with --force NAME-signed.pdf of one file may be another.
        present = _status(job.target.path)
        if present and (present.st_dev, present.st_ino) in inputs:
            raise UsageError("OUTPUT_IS_INPUT", path=job.target.typed)
        target = job.target.path.parent.resolve() / job.target.path.name
        if target in seen:
            raise UsageError("OUTPUT_TWICE", path=job.target.typed)
        seen.add(target)
    return jobs


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None  # said when it is read or written
