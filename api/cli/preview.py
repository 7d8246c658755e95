"""`antin preview`: pages as they will look when they are signed, as PNG. Uses no key, takes no number, writes nothing in the register."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, read_password, refuse_existing, take_input, writable_folder
from api.cli.failures import describe
from api.cli.outputs import Job, below, distinct
from api.cli.parser import TypedPath
from api.cli.sign import read_metadata
from api.cli.sign_many import GROWTH
from api.errors import ApiError, UsageError
from api.wiring import Installation, open_installation
from api.words import one_line
from pki.audit import Actor
from signer.appearance.geometry import parse_placement
from signer.errors import SignerError
from signer.metadata import Metadata
from signer.particulars import parse_particulars
from signer.preview import Preview, PreviewWish, preview_document
from signer.signing_parts import SignRequest
from signer.storage import OutputFile
from signer.validation.reasons import combined_exit_code

_ROOM = 4 * 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Draw every file; a line each, or a JSON array. A single file's failure is the command's."""
    parse_placement(options.placement)
    with open_installation(call.environment, judge=call.judge) as installation:
        jobs = _jobs(options)
        metadata, actor = read_metadata(options), acting(call, installation)
        if len(jobs) == 1:
            shown = _draw(jobs[0], metadata, options, installation, actor)
            if options.json:
                print_json(call.out, shown)
            else:
                _say(shown, call)
            return 0
        codes, answers = [], []
        for job in jobs:
            try:
                shown, code = _draw(job, metadata, options, installation, actor), 0
            except (SignerError, ApiError) as error:
                code, reason, facts = describe(error)
                shown = {"file": job.source.typed, "error": reason}
                if not options.json:
                    call.err.write(one_line(f"{job.source.typed}: {call.words.say(reason, facts)}") + "\n")
            codes.append(code)
            answers.append(shown)
            if not (code or options.json):
                _say(shown, call)
        if options.json:
            print_json(call.out, answers)
        return combined_exit_code(codes)


def _draw(
    job: Job, metadata: Metadata, options: argparse.Namespace, installation: Installation, actor: Actor
) -> dict[str, Any]:
    settings = installation.settings.sign
    refuse_existing(job.target.path, job.target.typed, force=options.force)
    request = SignRequest(
        pdf=take_input(job.source, settings.max_bytes, installation.blobs, GROWTH),
        name=job.source.path.name,
        credential=options.credential,
        intent=options.intent,
        metadata=metadata,
        placement=options.placement,
        field=options.field,
        password=read_password(options.password_file),
        particulars=parse_particulars(options.main, options.copy_form, options.copy_source, options.comment),
    )
    with OutputFile(job.target.path, expected_size=_ROOM, replace=options.force) as file:
        wish = PreviewWish(options.page or 0, options.dpi)
        drawn = preview_document(request, wish, actor, installation.signing, installation.judging)
        file.publish(drawn.png)
    return _describe(job, drawn)


def _describe(job: Job, drawn: Preview) -> dict[str, Any]:
    return {
        "file": job.source.typed, "output": job.target.typed, "page": drawn.page, "pages": drawn.pages,
        "placed": drawn.placed, "number": drawn.number, "findings": [each.to_json() for each in drawn.findings],
    }  # fmt: skip


def _say(shown: dict[str, Any], call: Call) -> None:
    facts = {name: str(shown[name]) for name in ("file", "output", "page", "pages")}
    said = "PREVIEW_DRAWN" if shown["placed"] else "PREVIEW_SHOWS_NOTHING"
    call.out.write(one_line(call.words.say(said, facts)) + "\n")


def _jobs(options: argparse.Namespace) -> list[Job]:
    """Which file becomes which picture; refused before anything is drawn when two would become one."""
    files: list[TypedPath] = options.files
    output: TypedPath | None = options.output
    if len(files) == 1 and output is not None and not output.path.is_dir():
        return distinct([Job(files[0], output)])
    if output is None:
        return distinct([Job(each, _beside(each)) for each in files])
    if output.path.exists() and not output.path.is_dir():
        raise UsageError("OUTPUT_NOT_FOLDER", path=output.typed)
    writable_folder(output.path, output.typed)
    return distinct([Job(each, below(output, Path(f"{each.path.stem}.png"))) for each in files])


def _beside(source: TypedPath) -> TypedPath:
    name = f"{source.path.stem}-preview.png"
    return TypedPath(str(Path(source.typed).parent / name), source.path.parent / name)
