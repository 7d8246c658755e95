"""The words of `antin prepare`, `finish` and `prepared`. What they do stands in modules of these names. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared
from api.cli.intent_arguments import intent_arguments
from signer.levels import LEVELS
from signer.subfilters import SUBFILTERS

PLACEMENT_HELP = (
    "where the stamp goes: auto, none, required; margin or margin:PAGE, free room; anchor:TEXT, beside a text of the page, "
    "anchor:TEXT#N, beside the N-th; PAGE,X,Y, in points from the lower left (default: auto)"
)
_MOST_ROOM = 1024 * 1024


def prepared_arguments(
    add: Callable[..., argparse.ArgumentParser],
    shared: Shared,
    password: Callable[[argparse.ArgumentParser], None],
) -> None:
    """The three commands."""
    prepare = add("prepare", help="make a document ready for a signature that is made elsewhere or later")
    _prepare(prepare, shared)
    password(prepare)
    finish = add("finish", help="put the signature into a prepared document")
    finish.add_argument("id", metavar="ID")
    given = finish.add_mutually_exclusive_group()
    given.add_argument(
        "--signature", type=shared.path, metavar="FILE", help="the value over the octets that prepare gave, as it is"
    )
    given.add_argument("--cms", type=shared.path, metavar="FILE", help="a whole detached CMS in DER (.p7s)")
    finish.add_argument("-o", "--output", required=True, type=shared.path, metavar="OUT")
    finish.add_argument(
        "--trust",
        action="append",
        default=[],
        type=shared.path,
        metavar="PEM",
        help="judge the signer's certificate also by these roots and revocation lists",
    )
    finish.add_argument(
        "--activation", metavar="ID", help="the consent to sign with, instead of the one it was prepared with"
    )
    password(finish)
    finish.add_argument("--force", action="store_true", help="replace an existing output")
    shared.acts(finish)
    shared.json(finish)
    actions = add("prepared", help="documents that wait for their signature").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    listing = actions.add_parser("list", help="those that wait, newest first")
    listing.add_argument("--all", action="store_true", help="also those that have ended")
    shared.json(listing)
    show = actions.add_parser("show", help="one of them, and what is to be signed")
    show.add_argument("id", metavar="ID")
    show.add_argument("-o", "--output", type=shared.path, metavar="FILE", help="write the octets to be signed here")
    show.add_argument(
        "--content",
        type=shared.path,
        metavar="FILE",
        help="write what the signature covers here, for tools that make a CMS",
    )
    show.add_argument("--force", action="store_true", help="replace an existing output")
    shared.json(show)
    cancel = actions.add_parser("cancel", help="nobody will sign it: its number becomes a gap")
    cancel.add_argument("id", metavar="ID")
    shared.acts(cancel)
    shared.json(cancel)


def preview_arguments(
    add: Callable[..., argparse.ArgumentParser],
    shared: Shared,
    password: Callable[[argparse.ArgumentParser], None],
) -> None:
    """`antin preview`, which is told what `antin sign` is told about a look."""
    preview = add("preview", help="draw a page as it will look when it is signed; signs nothing")
    preview.add_argument("files", nargs="+", metavar="FILE", type=shared.path)
    preview.add_argument("--as", dest="credential", required=True, metavar="CREDENTIAL")
    preview.add_argument(
        "-o", "--output", type=shared.path, metavar="OUT", help="a PNG for one input, a folder for several"
    )
    intent_arguments(preview)
    preview.add_argument(
        "--metadata", type=shared.path, metavar="FILE.json", help="what the register keeps (ND30, Appendix VI)"
    )
    preview.add_argument("--placement", default="auto", metavar="PLACE", help=PLACEMENT_HELP)
    preview.add_argument("--field", metavar="NAME", help="sign in this field instead of one that Antin chooses")
    preview.add_argument(
        "--page", type=shared.number(-1_000_000, 1_000_000), metavar="N", help="default: the page with the stamp"
    )
    preview.add_argument("--dpi", type=shared.number(50, 300), default=110, metavar="N", help="how fine (110)")
    preview.add_argument("--force", action="store_true", help="replace an existing output")
    password(preview)
    shared.acts(preview)
    shared.json(preview)


def _prepare(prepare: argparse.ArgumentParser, shared: Shared) -> None:
    prepare.add_argument("file", metavar="FILE", type=shared.path)
    who = prepare.add_mutually_exclusive_group(required=True)
    who.add_argument("--as", dest="credential", metavar="CREDENTIAL", help="for this credential")
    who.add_argument("--certificate", type=shared.path, metavar="CERT", help="for a certificate whose key is elsewhere")
    prepare.add_argument(
        "--chain",
        action="append",
        default=[],
        type=shared.path,
        metavar="PEM",
        help="who stands above that certificate",
    )
    prepare.add_argument(
        "-o", "--output", type=shared.path, metavar="OUT", help="write the octets to be signed here (DER)"
    )
    intent_arguments(prepare)
    prepare.add_argument("--level", choices=LEVELS, help="default: the setting sign.level")
    prepare.add_argument(
        "--metadata", type=shared.path, metavar="FILE.json", help="what the register keeps (ND30, Appendix VI)"
    )
    prepare.add_argument("--placement", default="auto", metavar="PLACE", help=PLACEMENT_HELP)
    prepare.add_argument(
        "--activation", metavar="ID", help="the consent to sign with later, where the credential asks for one"
    )
    prepare.add_argument("--field", metavar="NAME", help="sign in this field instead of one that Antin chooses")
    prepare.add_argument("--subfilter", choices=SUBFILTERS, help="default: the setting sign.subfilter")
    prepare.add_argument(
        "--room",
        type=shared.number(1, _MOST_ROOM),
        metavar="N",
        help="octets for the CMS, where more is needed than usual",
    )
    prepare.add_argument("--force", action="store_true", help="replace an existing output")
    shared.acts(prepare)
    shared.json(prepare)
