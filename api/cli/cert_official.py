"""`antin cert csr|import`: a certificate that an authority outside issues for a key in the token; and what is shown of such a one."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, read_input, refuse_existing
from api.cli.picture import registered_picture
from api.wiring import Installation
from certs.clock import for_people, rfc3339
from certs.names import parse_subject
from certs.outside import OutsideCertificate, find_outside
from hsm.spec import KeySpec
from signer.credentials import SEAL, CredentialSummary, credential_exists, get_credential
from signer.official import RequestWish, import_certificate, read_bundle, request_certificate
from signer.storage import OutputFile

_CERTIFICATES = 1024 * 1024
_PEM = 16 * 1024


def find_official(installation: Installation, which: str) -> tuple[CredentialSummary, OutsideCertificate] | None:
    """The credential of this name with its certificate, when others have issued that one."""
    with installation.database.read() as session:
        if not which.isascii() or not credential_exists(session, which[:80]):
            return None
        credential = get_credential(session, which)
        found = find_outside(session, credential.outside_sha256) if credential.outside_sha256 is not None else None
    return None if found is None else (credential, found)


def make_request(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """The request, to a file or to the standard output."""
    actor = acting(call, installation)
    output = options.output
    if output is not None:
        refuse_existing(output.path, output.typed, force=options.force)
    seal = options.role == SEAL
    subject = None if options.subject is None else parse_subject(options.subject)
    owner = (subject.organization or subject.common_name)[:64] if seal and subject is not None else options.credential
    picture = registered_picture(options.image, "seal" if seal else "signature", owner, installation, actor)
    wish = RequestWish(
        name=options.credential,
        role=options.role,
        subject=subject,
        spec=KeySpec(options.key or installation.settings.keys.credential),
        image_sha256=picture,
        diameter_mm=installation.settings.sign.seal_diameter_mm if seal else None,
    )
    return write_request(wish, options, installation, call)


def write_request(wish: RequestWish, options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """The same once it is known what is asked for."""
    actor, output = acting(call, installation), options.output
    with contextlib.ExitStack() as stack:
        file = None
        if output is not None:
            file = stack.enter_context(OutputFile(output.path, expected_size=_PEM, replace=options.force))
        csr = x509.load_der_x509_csr(request_certificate(wish, actor, installation.official))
        pem = csr.public_bytes(Encoding.PEM)
        if file is not None:
            file.publish(pem)
    if options.json:
        print_json(call.out, {"credential": wish.name, "csr": pem.decode()})
    elif output is None:
        call.out.write(pem.decode())
        call.err.write(call.words.say("REQUEST_MADE", {"name": wish.name}) + "\n")
    else:
        call.out.write(call.words.say("REQUEST_WRITTEN", {"name": wish.name, "path": output.typed}) + "\n")
    return 0


def take_in(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """What the authority has issued."""
    actor = acting(call, installation)
    found = read_bundle(read_input(options.file, _CERTIFICATES))
    for file in options.chain:
        found += read_bundle(read_input(file, _CERTIFICATES))
    done = import_certificate(found, actor, installation.official)
    if options.json:
        print_json(call.out, as_json(done.credential, done.certificate) | {"tree": done.tree, "new": done.is_new})
        return 0
    facts = {
        "name": done.credential,
        "tree": call.words.say(f"TRUST_{done.tree}"),
        "issuer": done.certificate.issuer,
        "until": for_people(done.certificate.not_after),
    }
    call.out.write(call.words.say("OFFICIAL_TAKEN_NEW" if done.is_new else "OFFICIAL_TAKEN", facts) + "\n")
    return 0


def show_official(
    credential: CredentialSummary, certificate: OutsideCertificate, options: argparse.Namespace, call: Call
) -> int:
    """One such certificate, by the name of its credential."""
    if options.pem:
        call.out.write(certificate.certificate().public_bytes(Encoding.PEM).decode())
        return 0
    facts = as_json(credential.name, certificate)
    if options.json:
        print_json(call.out, facts)
        return 0
    shown = [
        ("SERIAL", certificate.serial),
        ("SUBJECT", certificate.subject),
        ("COMMON_NAME", certificate.common_name),
        ("ISSUER", certificate.issuer),
        ("NOT_BEFORE", for_people(certificate.not_before)),
        ("NOT_AFTER", for_people(certificate.not_after)),
        ("SHA256", certificate.sha256),
    ]
    print_table(call.out, [[call.words.say(f"COLUMN_{name}"), value] for name, value in shown])
    return 0


def as_json(credential: str, certificate: OutsideCertificate) -> dict[str, Any]:
    """For programs."""
    return {
        "serial": certificate.serial,
        "credential": credential,
        "subject": certificate.subject,
        "common_name": certificate.common_name,
        "issuer": certificate.issuer,
        "not_before": rfc3339(certificate.not_before),
        "not_after": rfc3339(certificate.not_after),
        "sha256": certificate.sha256,
        "official": True,
    }
