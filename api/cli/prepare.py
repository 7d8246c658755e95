"""`antin prepare`: make a document ready for a signature that is made elsewhere or later, and say what is to be signed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cryptography.x509 import Certificate

from api.cli.call import Call
from api.cli.context import acting, print_json, read_input, read_password, refuse_existing, take_input
from api.cli.parser import TypedPath
from api.cli.prepared import print_prepared
from api.cli.sign import read_metadata
from api.cli.sign_many import GROWTH
from api.errors import UsageError
from api.prepared_report import describe_prepared
from api.wiring import open_installation
from signer.appearance.geometry import parse_placement
from signer.handing_over import OutsideWish, prepare_document
from signer.outside import read_certificates
from signer.particulars import parse_particulars
from signer.signing_parts import SignRequest
from signer.storage import OutputFile

_CERTIFICATE_FILE = 1024 * 1024
_GROWTH = 4096


def run(options: argparse.Namespace, call: Call) -> int:
    """Store the prepared document; print what is to be signed, or write it to a file."""
    parse_placement(options.placement)
    with open_installation(call.environment, judge=call.judge) as installation:
        settings = installation.settings.sign
        outside = _outside(options)
        metadata = read_metadata(options)
        request = SignRequest(
            pdf=take_input(options.file, settings.max_bytes, installation.blobs, GROWTH),
            name=options.file.path.name,
            credential=options.credential or "",
            intent=options.intent,
            level=options.level or settings.level,
            metadata=metadata,
            placement=options.placement,
            field=options.field,
            password=read_password(options.password_file),
            subfilter=options.subfilter or settings.subfilter,
            room=options.room or 0,
            activation=options.activation,
            particulars=parse_particulars(options.main, options.copy_form, options.copy_source, options.comment),
        )
        actor = acting(call, installation)
        if options.output is None:
            one = prepare_document(request, actor, installation.handover, outside)
        else:
            _refuse_input(options.output, options)
            refuse_existing(options.output.path, options.output.typed, force=options.force)
            with OutputFile(options.output.path, expected_size=_GROWTH, replace=options.force) as file:
                one = prepare_document(request, actor, installation.handover, outside)
                file.publish(one.to_be_signed)
    if options.json:
        print_json(call.out, {"file": options.file.typed, **describe_prepared(one)})
    else:
        print_prepared(one, call.words, call.out)
    return 0


def _outside(options: argparse.Namespace) -> OutsideWish | None:
    """The certificate of a signer elsewhere, and everything of the files that stands above it."""
    if options.certificate is None:
        if options.chain:
            raise UsageError("CHAIN_WITHOUT_CERTIFICATE")
        return None
    own, *above = read_chain([options.certificate, *options.chain])
    return OutsideWish(own, tuple(above))


def read_chain(files: Sequence[TypedPath]) -> list[Certificate]:
    """The certificates of some files, in their order."""
    return [each for file in files for each in read_certificates(read_input(file, _CERTIFICATE_FILE))]


def _refuse_input(output: TypedPath, options: argparse.Namespace) -> None:
    inputs: list[Path] = [
        each.path for each in (options.file, options.certificate, options.metadata) if each is not None
    ]
    if output.path.exists() and any(each.exists() and output.path.samefile(each) for each in inputs):
        raise UsageError("OUTPUT_IS_INPUT", path=output.typed)
