"""`antin finish`: put the signature into a prepared document, and go on as after any signature."""

from __future__ import annotations

import argparse

from api.cli.call import Call
from api.cli.context import acting, print_json, read_input, read_password, refuse_existing
from api.cli.outputs import refuse_unmarked
from api.cli.sign_report import print_signed, signed_json
from api.cli.trusted import read_trusted
from api.wiring import open_installation
from signer.given import Given
from signer.handing_over import finish_document
from signer.prepared import get_prepared
from signer.storage import OutputFile

_SIGNATURE_FILE = 1024 * 1024
_CMS_FILE = 4 * 1024 * 1024
# Time-stamps and a store of proofs.
_GROWTH = 512 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Write the signed file; the prepared document waits on where something is wrong."""
    with open_installation(call.environment, judge=call.judge) as installation:
        actor = acting(call, installation)
        anchors, crls = read_trusted(options.trust)
        given = Given(
            signature=read_input(options.signature, _SIGNATURE_FILE) if options.signature else None,
            cms=read_input(options.cms, _CMS_FILE) if options.cms else None,
            anchors=anchors,
            crls=crls,
            password=read_password(options.password_file),
            activation=options.activation,
        )
        with installation.database.read() as session:
            one = get_prepared(session, options.id)
        if installation.training:
            refuse_unmarked(options.output)
        refuse_existing(options.output.path, options.output.typed, force=options.force)
        size = one.blob_size + _GROWTH + sum(map(len, crls))
        with OutputFile(options.output.path, expected_size=size, replace=options.force) as file:
            document = finish_document(one.id, given, actor, installation.handover)
            file.publish(document.file)
    if options.json:
        print_json(call.out, {"id": one.id, **signed_json(one.name, options.output.typed, document)})
    else:
        print_signed(one.name, options.output.typed, document, call)
    return 0
