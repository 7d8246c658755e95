"""`antin image`: the pictures of seals and signatures: add, list, show, end. Who approves one uses `antin approvals`."""

from __future__ import annotations

import argparse
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, read_input, refuse_existing
from api.cli.picture import LARGEST_FILE, usual_width
from api.wiring import Installation, open_installation
from api.words import local_time
from certs.clock import VIETNAM, rfc3339
from signer.image_registry import Image, NewImage, add_image, end_image, get_image, list_images, owner_of
from signer.storage import OutputFile


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    with open_installation(call.environment) as installation:
        day = installation.clock.now().astimezone(VIETNAM).date().isoformat()
        if options.action == "list":
            found = [_describe(each, day) for each in _list(options, installation)]
            if options.json:
                print_json(call.out, found)
            else:
                _print_table(found, call)
            return 0
        action = {"add": _add, "show": _show, "end": _end}[options.action]
        one = action(options, installation, call)
    if options.json:
        print_json(call.out, _describe(one, day))
    elif options.action == "show":
        _print_one(one, day, call)
    else:
        said = "IMAGE_REGISTERED" if options.action == "add" else "IMAGE_HAS_ENDED"
        facts = {
            "id": str(one.id), "purpose": one.purpose, "owner": one.owner, "mm": _cell(one.width_mm),
            "approved_by": one.approved_by or "",
        }  # fmt: skip
        call.out.write(call.words.say(said, facts) + "\n")
    return 0


def _add(options: argparse.Namespace, installation: Installation, call: Call) -> Image:
    actor = acting(call, installation)
    with installation.database.read() as session:
        purpose, owner = owner_of(session, options.credential)
    png = read_input(options.png, LARGEST_FILE)
    width = options.mm if options.mm is not None else usual_width(purpose, installation)
    new = NewImage(png, options.png.typed, purpose, owner, width, options.starts, options.ends)
    return add_image(new, actor, installation.image_registry)


def _list(options: argparse.Namespace, installation: Installation) -> list[Image]:
    with installation.database.read() as session:
        owner = None if options.credential is None else owner_of(session, options.credential)[1]
        return list_images(session, owner)


def _show(options: argparse.Namespace, installation: Installation, _call: Call) -> Image:
    with installation.database.read() as session:
        image = get_image(session, options.id)
    if options.output is not None:
        output = options.output
        refuse_existing(output.path, output.typed, force=options.force)
        png = installation.images.png(image.sha256)
        with OutputFile(output.path, expected_size=len(png), replace=options.force) as file:
            file.publish(png)
    return image


def _end(options: argparse.Namespace, installation: Installation, call: Call) -> Image:
    return end_image(options.id, options.reason, acting(call, installation), installation.database, installation.clock)


def _describe(one: Image, day: str) -> dict[str, Any]:
    dpi = None if one.width_px is None else round(one.width_px / one.width_mm * 25.4)
    return {
        "id": one.id, "purpose": one.purpose, "owner": one.owner, "state": one.state_on(day), "mm": one.width_mm,
        "dpi": dpi, "width_px": one.width_px, "height_px": one.height_px, "starts": one.starts, "ends": one.ends,
        "sha256": one.sha256, "uploaded_sha256": one.source_sha256, "added_by": one.added_by,
        "added_at": rfc3339(one.added_at), "approved_by": one.approved_by,
        "approved_at": rfc3339(one.approved_at) if one.approved_at else None,
        "ended_at": rfc3339(one.ended_at) if one.ended_at else None, "end_reason": one.end_reason,
    }  # fmt: skip


def _print_table(found: list[dict[str, Any]], call: Call) -> None:
    table = [
        [
            call.words.say(f"COLUMN_{name}")
            for name in ("ID", "PURPOSE", "OWNER", "MM", "DPI", "STARTS", "ENDS", "APPROVED_BY", "STATE")
        ]
    ]
    names = ("id", "purpose", "owner", "mm", "dpi", "starts", "ends", "approved_by", "state")
    table += [[_cell(one[name]) for name in names] for one in found]
    print_table(call.out, table)


def _print_one(one: Image, day: str, call: Call) -> None:
    facts = _describe(one, day)
    rows = [
        [call.words.say(f"COLUMN_{name.upper()}"), local_time(_cell(value))]
        for name, value in facts.items()
        if value is not None
    ]
    print_table(call.out, rows)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)
