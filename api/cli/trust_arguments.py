"""The words of `antin trust`, and of `antin cert csr` and `import`: what comes from authorities outside. The rest is parser.py's."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from api.cli.cert_arguments import Shared

TREES = ("government", "public", "internal", "foreign")
ROLES = ("officer", "seal")
KEYS = ("p-256", "p-384", "rsa-2048", "rsa-3072")


def add_trust(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """`antin trust`."""
    actions = add("trust", help="whom this home believes besides itself").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    new = actions.add_parser("add", help="believe an authority, by its fingerprint from another source")
    new.add_argument("file", metavar="FILE", type=shared.path, help="its certificate, PEM or DER")
    new.add_argument("--tree", required=True, choices=TREES, metavar="T", help=", ".join(TREES))
    new.add_argument(
        "--fingerprint", metavar="SHA256", help="what the authority itself has told you; without it a terminal is asked"
    )
    listing = actions.add_parser("list", help="anchors, authorities below them, revocation lists")
    gone = actions.add_parser("remove", help="believe an anchor no more")
    gone.add_argument("which", metavar="FINGERPRINT", help="at least its first 8 digits")
    crl = actions.add_parser("crl", help="take in a revocation list of an authority outside")
    crl.add_argument("file", metavar="FILE", type=shared.path, help="the list, DER or PEM")
    crl.add_argument(
        "--issuer",
        type=shared.path,
        metavar="FILE",
        help="the authority's certificates, where it is not known here yet",
    )
    out = actions.add_parser("export", help="hand out the anchors of this home, its own roots too, as a signed file")
    out.add_argument("-o", "--output", type=shared.path, required=True, metavar="STORE", help="write it here")
    out.add_argument(
        "--days",
        type=shared.number(1, 3650),
        default=400,
        metavar="N",
        help="how long it may be taken in (default: 400)",
    )
    out.add_argument("--force", action="store_true", help="replace an existing output")
    taken = actions.add_parser(
        "import", help="believe the anchors of another home, by the fingerprint of who signed the file"
    )
    taken.add_argument("file", metavar="STORE", type=shared.path)
    taken.add_argument(
        "--fingerprint",
        metavar="SHA256",
        help="of the signer's certificate, from another source; without it a terminal is asked",
    )
    for command in (new, listing, gone, crl, out, taken):
        if command is not listing:
            shared.acts(command)
        shared.json(command)


def add_authority_import(actions: Any, shared: Shared) -> None:
    """`antin ca import`."""
    taken = actions.add_parser("import", help="take in an authority that exists already, with its key in the token")
    taken.add_argument("file", metavar="FILE", type=shared.path, help="its certificate, PEM or DER")
    taken.add_argument(
        "--name", required=True, metavar="NAME", help="what it is called here: 1 to 32 of a-z, 0-9 and -"
    )
    taken.add_argument(
        "--crl", type=shared.path, metavar="FILE", help="its last complete revocation list, which goes on from here"
    )
    taken.add_argument("--never-revoked", action="store_true", help="instead of --crl: it has never revoked anything")
    shared.acts(taken)
    shared.json(taken)


def add_official(actions: Any, shared: Shared) -> None:
    """The commands that ask an authority outside for a certificate, and take in what it has issued."""
    csr = actions.add_parser("csr", help="a request for a key in the token, for an authority outside to certify")
    csr.add_argument("credential", metavar="CREDENTIAL", help="one that is there, or the name of a new one")
    csr.add_argument("--role", choices=ROLES, metavar="R", help="of a new one: " + ", ".join(ROLES))
    csr.add_argument("--subject", metavar="DN", help="default: that of its present certificate")
    csr.add_argument(
        "--key", choices=KEYS, metavar="K", help=", ".join(KEYS) + "; default: the setting keys.credential"
    )
    csr.add_argument("--image", type=shared.path, metavar="PNG", help="of a new one: the picture of its stamp")
    csr.add_argument("-o", "--output", type=shared.path, metavar="FILE", help="write the PEM here")
    csr.add_argument("--force", action="store_true", help="replace an existing output")
    taken = actions.add_parser(
        "import", help="take in a certificate that an authority outside has issued for a key here"
    )
    taken.add_argument("file", metavar="FILE", type=shared.path, help="PEM, DER or PKCS #7; may bring its chain along")
    taken.add_argument(
        "--chain", action="append", default=[], type=shared.path, metavar="FILE", help="certificates above it"
    )
    for command in (csr, taken):
        shared.acts(command)
        shared.json(command)
