"""`antin cert issue`: one certificate, for a key in the token or one of a request, by what is typed or by a registration.

Many at once are cert_batch.py's.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.cert_batch import issue_batch
from api.cli.context import acting, print_json, read_input, refuse_existing
from api.cli.picture import registered_picture
from api.errors import UsageError
from api.wiring import Installation
from certs.csr import parse_csr
from certs.inventory import CertificateRecord
from certs.names import parse_subject
from hsm.spec import KeySpec
from pki.audit import Actor
from pki.issuance import issue_wanted
from pki.registration import register_at_once
from pki.registration_records import Wanted, get_registration
from signer.credentials import ROLE_OF_PROFILE, SEAL, credential_of_certificate
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol
from signer.errors import UsageWrong
from signer.storage import OutputFile

_SMALL_FILE = 1024 * 1024
_PEM_FILE = 16 * 1024
# What a registration, or a line of a list, says instead of the command line.
_SAID = ("profile", "subject", "csr", "san", "days", "evidence")
Describe = Callable[[CertificateRecord, Installation], dict[str, Any]]


def issue_certificates(options: argparse.Namespace, installation: Installation, call: Call, describe: Describe) -> int:
    """Carry out the command. `describe` is how a certificate is shown as JSON."""
    _check_words(options)
    if options.batch is not None:
        return issue_batch(options, installation, call, describe)
    words, out, actor = call.words, call.out, acting(call, installation)
    output = options.output
    if output is not None:
        refuse_existing(output.path, output.typed, force=options.force)
    wanted = _wanted(options, installation)
    installation.catalogue.get(wanted.profile)
    if wanted.public_key_der is not None and (options.credential or options.image):
        raise UsageError("CSR_MAKES_NO_CREDENTIAL")
    # The output's space is taken first: a folder that is not there must not cost a key and a certificate.
    with contextlib.ExitStack() as stack:
        file = None
        if output is not None:
            file = stack.enter_context(OutputFile(output.path, expected_size=_PEM_FILE, replace=options.force))
        if wanted.public_key_der is not None:
            registration = _registration(wanted, options, installation, actor)
            record, name = (
                issue_wanted(wanted, registration, actor, installation.issuing_today(options.authority)),
                None,
            )
        else:
            record, name = _issue_with_key(wanted, options, installation, actor)
        pem = record.certificate().public_bytes(Encoding.PEM)
        if file is not None:
            file.publish(pem)
    if options.json:
        print_json(out, describe(record, installation) | {"credential": name})
    elif output is None:
        out.write(pem.decode())
    else:
        facts = {"serial": record.serial, "path": output.typed, "name": name or ""}
        out.write(words.say("CERTIFICATE_ISSUED_FOR" if name else "CERTIFICATE_ISSUED", facts) + "\n")
    return 0


def _check_words(options: argparse.Namespace) -> None:
    """Either what is asked stands on the command line, or in a registration, or in a list."""
    said = [name for name in _SAID if getattr(options, name)]
    own = [name for name in ("credential", "image") if getattr(options, name)]
    if options.batch is not None:
        said += own + (["registration"] if options.registration is not None else [])
        if said:
            raise UsageError("ISSUE_BATCH_SAYS_IT", option=f"--{said[0]}")
        if options.output is None:
            raise UsageError("ISSUE_BATCH_NEEDS_FOLDER")
    elif options.registration is not None:
        if said:
            raise UsageError("ISSUE_REGISTRATION_SAYS_IT", option=f"--{said[0]}")
    elif not options.profile or not options.subject:
        raise UsageError("ISSUE_NEEDS_SUBJECT")


def _wanted(options: argparse.Namespace, installation: Installation) -> Wanted:
    if options.registration is not None:
        with installation.database.read() as session:
            return get_registration(session, options.registration).wanted
    # Law 5: the request gives key and proof; the subject is what was typed here.
    key = None if options.csr is None else parse_csr(read_input(options.csr, _SMALL_FILE))
    subject = str(parse_subject(options.subject))
    return Wanted(options.profile, subject, tuple(options.san), options.days, key)


def _registration(wanted: Wanted, options: argparse.Namespace, installation: Installation, actor: Actor) -> int | None:
    """The registration to issue by: the one that is named, or one that is stored now with the evidence."""
    if options.evidence is None:
        number: int | None = options.registration
        return number
    return register_at_once(wanted, options.evidence, actor, installation.registrations).id


def _issue_with_key(
    wanted: Wanted, options: argparse.Namespace, installation: Installation, actor: Actor
) -> tuple[CertificateRecord, str]:
    if wanted.profile not in ROLE_OF_PROFILE:
        raise UsageWrong("PROFILE_NEEDS_CSR", profile=wanted.profile, valid=", ".join(ROLE_OF_PROFILE))
    settings = installation.settings
    seal = ROLE_OF_PROFILE[wanted.profile] == SEAL
    subject = parse_subject(wanted.subject)
    owner = subject.organization if seal else options.credential or subject.common_name
    picture = registered_picture(options.image, "seal" if seal else "signature", owner, installation, actor)
    request = EnrolmentRequest(
        name=options.credential,
        profile=wanted.profile,
        subject=subject,
        spec=KeySpec(settings.keys.credential),
        image_sha256=picture,
        diameter_mm=settings.sign.seal_diameter_mm if seal else None,
        san=wanted.san,
        days=wanted.days,
        registration=_registration(wanted, options, installation, actor),
    )
    deps = EnrolmentDeps(installation.keys, installation.issuing_today(options.authority), settings.sign.rsa_padding)
    record = enrol(request, actor, deps)
    with installation.database.read() as session:
        return record, credential_of_certificate(session, record.serial) or ""
