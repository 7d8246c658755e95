"""The words of the command line: which commands, arguments and choices exist. What they do stands in a module each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
INTENTS = ("approve", "issue")
SCOPES = ("sign", "verify", "ra", "ca", "audit")
# RFC 5280 5.3.1; removeFromCRL is not a reason a person gives.
REASONS = (
    "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
    "certificateHold", "privilegeWithdrawn", "aACompromise",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """argparse with one line on wrong usage, as every other error has."""

    def error(self, message: str) -> NoReturn:
        line = "".join(character if character.isprintable() else "?" for character in message)
        self.exit(2, f"antin: {line}. See: {self.prog} --help\n")


@dataclass(frozen=True)
class TypedPath:
    """A path as a person typed it, which messages show, and what it means from the folder the command was called in."""

    typed: str
    path: Path


def typed_path(text: str) -> TypedPath:
    """The absolute path behind what was typed; links are left as they are."""
    return TypedPath(text, Path(text).absolute())


Sub = Callable[..., argparse.ArgumentParser]


def build_parser() -> Parser:
    """The whole command line. `command` in the result names the module of api.cli that carries it out."""
    parser = Parser(
        prog="antin",
        description="Digital signatures and PKI for public agencies.",
        epilog="State lives in ANTIN_HOME (default ./var). Exit: 0 done, 1 the answer is no, 2 usage or unreadable input, "
        "3 indeterminate, 4 not signed, 5 a component is unavailable, 6 waits for an approval.",
    )
    parser.add_argument("--version", action="version", version=f"antin {version('antin')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    add: Sub = commands.add_parser
    _init(add)
    _sign(add)
    _verify(add)
    _cert(add)
    _ca(add)
    _hsm(add)
    _document(add)
    _doctor(add)
    _serve(add)
    _token(add)
    demo = add("demo", help="sign and verify real documents in a home made with init --demo")
    demo.set_defaults(command="demo")
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable output, the same in every language")


def _init(add: Sub) -> None:
    init = add("init", help="make a home: token, database, authorities")
    init.add_argument("--demo", action="store_true", help="also an agency with the credentials officer and seal")
    init.add_argument("--agency", metavar="NAME", help="the agency's full name (up to 64 characters)")
    init.add_argument("--public-url", metavar="URL", help="where the outside reaches this installation")


def _sign(add: Sub) -> None:
    sign = add("sign", help="stamp and sign PDF files")
    sign.add_argument("files", nargs="+", metavar="FILE", type=typed_path)
    sign.add_argument("--as", dest="credential", required=True, metavar="CREDENTIAL")
    sign.add_argument(
        "-o", "--output", type=typed_path, metavar="OUT", help="a file for one input, a folder for several"
    )
    sign.add_argument("--intent", choices=INTENTS, help="default: officer approve, seal issue")
    sign.add_argument("--level", choices=LEVELS, help="default: the setting sign.level")
    sign.add_argument(
        "--metadata", type=typed_path, metavar="FILE.json", help="what the register keeps (ND30, Appendix VI)"
    )
    sign.add_argument("--placement", default="auto", metavar="auto|none|required|PAGE,X,Y", help="where the stamp goes")
    sign.add_argument("--field", metavar="NAME", help="sign in this field instead of one that Antin chooses")
    sign.add_argument("--force", action="store_true", help="replace an existing output")
    _json(sign)


def _verify(add: Sub) -> None:
    verify = add("verify", help="judge signed files")
    verify.add_argument("files", nargs="+", metavar="FILE", type=typed_path)
    verify.add_argument("--at", metavar="RFC3339", help="judge for this moment instead of now")
    verify.add_argument(
        "--trust",
        action="append",
        default=[],
        type=typed_path,
        metavar="PEM",
        help="trust these certificates in this call",
    )
    verify.add_argument("--offline", action="store_true", help="never use the network")
    _json(verify)


def _cert(add: Sub) -> None:
    actions = add("cert", help="certificates").add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=Parser
    )
    listing = actions.add_parser("list", help="the inventory")
    listing.add_argument("--state", choices=("intent", "active", "suspended", "revoked", "expired"))
    listing.add_argument("--profile", metavar="P")
    _json(listing)
    show = actions.add_parser("show", help="one certificate")
    show.add_argument("which", metavar="SERIAL|CREDENTIAL")
    show.add_argument("--pem", action="store_true", help="the certificate in PEM")
    _json(show)
    issue = actions.add_parser("issue", help="issue a certificate; without --csr a key is made in the token")
    issue.add_argument("--profile", required=True, metavar="P")
    issue.add_argument("--subject", required=True, metavar="DN", help='for example "CN=…,O=…,C=VN"')
    issue.add_argument(
        "--csr", type=typed_path, metavar="FILE", help="take the public key from this request, and nothing else"
    )
    issue.add_argument("--credential", metavar="NAME", help="name of the credential made with the new key")
    issue.add_argument("--image", type=typed_path, metavar="PNG", help="the credential's signature or seal picture")
    issue.add_argument(
        "-o", "--output", type=typed_path, metavar="FILE", help="write the PEM here instead of to standard output"
    )
    issue.add_argument("--force", action="store_true", help="replace an existing output")
    _json(issue)
    revoke = actions.add_parser("revoke", help="revoke or suspend a certificate")
    revoke.add_argument("which", metavar="SERIAL|CREDENTIAL")
    revoke.add_argument("--reason", required=True, choices=REASONS, metavar="R", help=", ".join(REASONS))
    revoke.add_argument("--since", metavar="TIME", help="when the key is believed to have been compromised")
    _json(revoke)


def _ca(add: Sub) -> None:
    actions = add("ca", help="certificate authorities").add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=Parser
    )
    _json(actions.add_parser("list", help="own authorities, parents first"))
    show = actions.add_parser("show", help="one authority")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--pem", action="store_true", help="the authority's certificate in PEM")
    _json(show)
    publish = actions.add_parser("publish", help="write the CRLs that are due")
    publish.add_argument("--all", action="store_true", help="also those that are not due")
    _json(publish)
    partition = actions.add_parser("partition", help="spread new certificates over N lists; N can only be raised")
    partition.add_argument("name", metavar="NAME")
    partition.add_argument("count", type=_number(1, 1024), metavar="N")
    _json(partition)
    crl = actions.add_parser("crl", help="a revocation list of now or of any time before")
    crl.add_argument("name", metavar="NAME")
    moment = crl.add_mutually_exclusive_group()
    moment.add_argument("--at", metavar="TIME", help="the list that was the newest then (RFC 3339)")
    moment.add_argument("--number", type=_number(1, 10**18), metavar="N", help="the list of this number")
    crl.add_argument("--shard", type=_number(1, 1024), metavar="K", help="partition K instead of the full list")
    crl.add_argument("--delta", action="store_true", help="the delta instead of the complete list")
    crl.add_argument("-o", "--output", type=typed_path, metavar="FILE", help="write the list here, in DER")
    crl.add_argument("--force", action="store_true", help="replace an existing output")
    _json(crl)


def _hsm(add: Sub) -> None:
    actions = add("hsm", help="the key token").add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=Parser
    )
    _json(actions.add_parser("status", help="is the token there, how many sessions, what happened to it"))
    _json(actions.add_parser("keys", help="every key of the token: what it is for, who uses it, is it protected"))
    bench = actions.add_parser(
        "bench", help="signatures a second, beside OpenSSL in memory; leaves nothing in the token"
    )
    bench.add_argument(
        "--seconds", type=_span(0.1, 60), default=1.0, metavar="S", help="how long each line is measured (default: 1)"
    )
    _json(bench)


def _document(add: Sub) -> None:
    actions = add("document", help="the register of signed documents").add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=Parser
    )
    _json(actions.add_parser("list", help="newest first"))
    show = actions.add_parser("show", help="one document, by its code")
    show.add_argument("code", metavar="CODE")
    show.add_argument("-o", "--output", type=typed_path, metavar="FILE", help="also write its newest signed file here")
    show.add_argument("--force", action="store_true", help="replace an existing output")
    _json(show)
    recall = actions.add_parser("recall", help="take a document out of force; its signatures stay as good as they were")
    recall.add_argument("code", metavar="CODE")
    recall.add_argument("--reason", required=True, metavar="TEXT", help="why; everybody may read it")
    _json(recall)


def _doctor(add: Sub) -> None:
    doctor = add("doctor", help="what is wrong here, and how to mend it")
    doctor.add_argument(
        "--mend",
        action="store_true",
        help="first close signing acts and numbers that a death left open, and give keys the purpose they are used for",
    )
    _json(doctor)


def _serve(add: Sub) -> None:
    serve = add("serve", help="the HTTP service of this home")
    serve.add_argument("--host", default="127.0.0.1", metavar="H", help="default: 127.0.0.1")
    serve.add_argument(
        "--port", type=_number(0, 65535), default=8080, metavar="P", help="default: 8080; 0 takes a free one"
    )
    serve.add_argument(
        "--workers", type=_number(1, 64), metavar="N", help="web processes; default: the setting web.workers"
    )


def _number(least: int, most: int) -> Callable[[str], int]:
    """A whole number within limits; argparse says the rest."""

    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number


def _span(least: float, most: float) -> Callable[[str], float]:
    """Seconds within limits."""

    def seconds(text: str) -> float:
        value = float(text)
        if not least <= value <= most:  # false for "not a number" too
            raise argparse.ArgumentTypeError(f"{text} is not between {least:g} and {most:g}")
        return value

    return seconds


def _token(add: Sub) -> None:
    actions = add("token", help="bearer tokens for the HTTP service").add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=Parser
    )
    issue = actions.add_parser("issue", help="make a token; it is printed alone, once")
    issue.add_argument("--scope", nargs="+", action="append", required=True, metavar="S", help=", ".join(SCOPES))
    issue.add_argument("--days", type=int, default=90, metavar="N", help="how long it is good (default: 90)")
    issue.add_argument("--name", metavar="NAME", help="what the register and the audit trail call it")
    _json(issue)
    _json(actions.add_parser("list", help="all tokens, without the tokens themselves"))
    revoke = actions.add_parser("revoke", help="take a token out of force, at once")
    revoke.add_argument("name", metavar="NAME")
    _json(revoke)
