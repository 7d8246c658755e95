"""`antin credential`: who signs here; certificates whose key is elsewhere are enrolled and ended."""

from __future__ import annotations

import argparse
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.cli.picture import registered_picture
from api.cli.prepare import read_chain
from api.wiring import Installation, open_installation
from api.words import local_time
from certs.clock import rfc3339
from certs.inventory import get_certificate
from signer.credentials import SEAL, list_credentials
from signer.outside import outside_signatory
from signer.outside_credentials import NewOutside, OutsideCredential, end_outside, enrol_outside, list_outside


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    with open_installation(call.environment) as installation:
        if options.action == "list":
            return _list(options, installation, call)
        one = _enrol(options, installation, call) if options.action == "enrol" else _end(options, installation, call)
        described = _describe(one, installation)
    if options.json:
        print_json(call.out, described)
    else:
        facts = {"name": one.name, "holder": one.holder}
        said = "CREDENTIAL_ENROLLED" if options.action == "enrol" else "CREDENTIAL_HAS_ENDED"
        call.out.write(call.words.say(said, facts) + "\n")
    return 0


def _enrol(options: argparse.Namespace, installation: Installation, call: Call) -> OutsideCredential:
    actor = acting(call, installation)
    certificate, *others = read_chain([options.certificate, *options.chain])
    is_seal = options.role == SEAL
    picture = None
    if options.image is not None:
        padding = installation.settings.sign.rsa_padding
        outside = outside_signatory(certificate, others, installation.clock.now(), rsa_padding=padding)
        owner = (options.agency or outside.agency) if is_seal else options.name
        picture = registered_picture(options.image, "seal" if is_seal else "signature", owner, installation, actor)
    new = NewOutside(
        name=options.name,
        role=options.role,
        certificate=certificate,
        others=tuple(others),
        holder=options.holder,
        reference=options.reference,
        agency=options.agency,
        image_sha256=picture,
        diameter_mm=installation.settings.sign.seal_diameter_mm if is_seal else None,
    )
    return enrol_outside(new, actor, installation.outside)


def _end(options: argparse.Namespace, installation: Installation, call: Call) -> OutsideCredential:
    actor = acting(call, installation)
    return end_outside(options.name, options.reason, actor, installation.database, installation.clock)


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    now = installation.clock.now()
    found: list[dict[str, Any]] = []
    with installation.database.read() as session:
        for each in list_credentials(session):
            record = get_certificate(session, each.certificate_serial)
            found.append(
                {
                    "name": each.name, "role": each.role, "agency": each.agency, "common_name": record.common_name,
                    "key": "here", "serial": record.serial, "not_after": rfc3339(record.not_after),
                    "state": record.state_at(now).value,
                }
            )  # fmt: skip
        found += [_describe(each, installation) for each in list_outside(session)]
    found.sort(key=lambda each: str(each["name"]))
    if options.json:
        print_json(call.out, found)
        return 0
    table = [
        [
            call.words.say(f"COLUMN_{name}")
            for name in ("NAME", "ROLE", "AGENCY", "COMMON_NAME", "KEY_PLACE", "NOT_AFTER", "STATE")
        ]
    ]
    table += [
        [
            one["name"],
            one["role"],
            one["agency"],
            one["common_name"],
            one["key"],
            local_time(one["not_after"]),
            one["state"],
        ]
        for one in found
    ]
    print_table(call.out, table)
    return 0


def _describe(one: OutsideCredential, installation: Installation) -> dict[str, Any]:
    now = installation.clock.now()
    state = "active" if one.not_before <= now <= one.not_after else "expired"
    return {
        "name": one.name, "role": one.role, "agency": one.agency, "common_name": one.common_name, "key": "outside",
        "serial": one.serial, "not_after": rfc3339(one.not_after), "state": "ended" if one.ended_at else state,
        "sha256": one.sha256, "holder": one.holder, "reference": one.reference,
        "ended_at": rfc3339(one.ended_at) if one.ended_at else None, "end_reason": one.end_reason,
    }  # fmt: skip
