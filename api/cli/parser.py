"""The words of the command line: which commands, arguments and choices exist. What they do stands in a module each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from api.cli.approvals_arguments import approvals_arguments
from api.cli.backup_arguments import add_backup
from api.cli.cert_arguments import Shared, add_life, add_past
from api.cli.consent_arguments import add_consent
from api.cli.credential_arguments import credential_arguments
from api.cli.document_arguments import add_document
from api.cli.image_arguments import image_arguments
from api.cli.intent_arguments import intent_arguments
from api.cli.issuing_arguments import issue_arguments, registration_arguments
from api.cli.office_arguments import office_arguments
from api.cli.person_arguments import person_arguments
from api.cli.prepared_arguments import PLACEMENT_HELP, prepared_arguments, preview_arguments
from api.cli.print_arguments import print_arguments
from api.cli.trust_arguments import add_authority_import, add_official, add_trust
from api.cli.upgrade_arguments import upgrade_arguments
from api.cli.usage import Parser
from api.words import LANGUAGES, Words
from signer.levels import LEVELS
from signer.subfilters import SUBFILTERS

SCOPES = ("sign", "print", "verify", "ra", "ca", "audit")
ROLES = ("admin", "registration-officer", "auditor")
# RFC 5280 5.3.1; removeFromCRL is not a reason a person gives.
REASONS = (
    "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
    "certificateHold", "privilegeWithdrawn", "aACompromise",
)  # fmt: skip


@dataclass(frozen=True)
class TypedPath:
    """A path as a person typed it, which messages show, and what it means from the folder the command was called in."""

    typed: str
    path: Path


def typed_path(text: str) -> TypedPath:
    """The absolute path behind what was typed; links are left as they are."""
    return TypedPath(text, Path(text).absolute())


Sub = Callable[..., argparse.ArgumentParser]


def build_parser(words: Words | None = None) -> Parser:
    """The whole command line, in somebody's language. `command` in the result names the module of api.cli that carries it out."""
    parser = Parser(
        words=words,
        prog="antin",
        description="Digital signatures and PKI for public agencies.",
        epilog="State lives in ANTIN_HOME (default ./var). Exit: 0 done, 1 the answer is no, 2 usage or unreadable input, "
        "3 indeterminate, 4 not signed, 5 a component is unavailable, 6 waits for an approval.",
    )
    parser.add_argument("--version", action="version", version=f"antin {version('antin')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add: Sub = commands.add_parser
    shared = Shared(_json, _acts, typed_path, _number)
    _init(add)
    _sign(add)
    _verify(add)
    preview_arguments(add, shared, _password)
    prepared_arguments(add, shared, _password)
    credential_arguments(add, shared)
    office_arguments(add, shared)
    image_arguments(add, shared)
    upgrade_arguments(add, typed_path, _password, _acts, _json)
    check = add("check", help="look a file through before it is signed: what in it is not as it looks")
    check.add_argument("files", nargs="+", metavar="FILE", type=typed_path)
    _password(check)
    _json(check)
    _cert(add)
    _ca(add)
    add_trust(add, Shared(_json, _acts, typed_path, _number))
    add_consent(add, Shared(_json, _acts, typed_path, _number))
    _hsm(add)
    _document(add)
    print_arguments(add, shared)
    _doctor(add)
    _serve(add)
    _token(add)
    _audit(add)
    person_arguments(add, shared, ROLES)
    approvals_arguments(add, shared)
    registration_arguments(add, typed_path, _number, _acts, _json)
    add_backup(add, typed_path, _acts)
    demo = add("demo", help="sign and verify real documents in a home made with init --demo")
    _acts(demo)
    demo.set_defaults(command="demo")
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable output, the same in every language")


def _password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-file", type=typed_path, metavar="FILE", help="what opens an encrypted PDF, as the file's only line"
    )


def _acts(parser: argparse.ArgumentParser) -> None:
    """For every command that changes something."""
    parser.add_argument("--actor", metavar="NAME", help="act as this person instead of as who owns the home")
    parser.add_argument(
        "--actor-token-file", type=typed_path, metavar="FILE", help="the person's token; else ANTIN_ACTOR_TOKEN_FILE"
    )


def _init(add: Sub) -> None:
    init = add("init", help="make a home: token, database, authorities")
    init.add_argument("--demo", action="store_true", help="also an agency with the credentials officer and seal")
    init.add_argument("--agency", metavar="NAME", help="the agency's full name (up to 64 characters)")
    init.add_argument(
        "--training",
        action="store_true",
        help="for practice alone, and for ever: a chain of its own, a watermark on every page",
    )
    init.add_argument("--public-url", metavar="URL", help="where the outside reaches this installation")


def _sign(add: Sub) -> None:
    sign = add("sign", help="stamp and sign PDF files")
    sign.add_argument(
        "files",
        nargs="+",
        metavar="FILE|FOLDER",
        type=typed_path,
        help="of a folder all PDF files, also in folders in it",
    )
    sign.add_argument("--as", dest="credential", required=True, metavar="CREDENTIAL")
    sign.add_argument(
        "-o", "--output", type=typed_path, metavar="OUT", help="a file for one input, a folder for several"
    )
    intent_arguments(sign)
    sign.add_argument("--level", choices=LEVELS, help="default: the setting sign.level")
    sign.add_argument(
        "--metadata", type=typed_path, metavar="FILE.json", help="what the register keeps (ND30, Appendix VI)"
    )
    sign.add_argument("--placement", default="auto", metavar="PLACE", help=PLACEMENT_HELP)
    sign.add_argument("--activation", metavar="ID", help="the consent to sign with, where the credential asks for one")
    sign.add_argument("--field", metavar="NAME", help="sign in this field instead of one that Antin chooses")
    sign.add_argument("--subfilter", choices=SUBFILTERS, help="default: the setting sign.subfilter")
    present = sign.add_mutually_exclusive_group()
    present.add_argument("--force", action="store_true", help="replace an existing output")
    present.add_argument(
        "--resume", action="store_true", help="go on where it was broken off: nothing is signed a second time"
    )
    sign.add_argument(
        "--certify",
        metavar="1|2|3",
        help="certify: others may change nothing (1), fill in and sign (2), annotate too (3)",
    )
    sign.add_argument(
        "--lock",
        metavar="FIELD,…|all|'all-but FIELD,…'",
        help="form fields that nobody may change after this signature",
    )
    _password(sign)
    _acts(sign)
    _json(sign)


def _verify(add: Sub) -> None:
    verify = add("verify", help="judge signed files")
    verify.add_argument("files", nargs="*", metavar="FILE", type=typed_path)
    verify.add_argument(
        "--sha256",
        action="append",
        default=[],
        metavar="HASH",
        help="a file of the register by its SHA-256, without the file",
    )
    verify.add_argument(
        "--code", action="append", default=[], metavar="CODE", help="the newest file of a document by its code"
    )
    verify.add_argument("--at", metavar="RFC3339", help="answer for this past moment, by what was known then")
    verify.add_argument(
        "--policy", metavar="NAME", help="judge by this policy: vn-2025, eidas, basic or the home's own"
    )
    verify.add_argument(
        "--facts", type=typed_path, metavar="OUT", help="write what was found, before any judgement, as JSON"
    )
    verify.add_argument("--receipt", type=typed_path, metavar="OUT.pdf", help="write the verdict as a signed PDF")
    verify.add_argument("--lang", choices=LANGUAGES, help="the receipt's language; else ANTIN_LANG, else en")
    verify.add_argument("--from-facts", type=typed_path, metavar="FILE", help="judge such facts instead of a file")
    verify.add_argument(
        "--trust",
        "--anchor",
        action="append",
        default=[],
        type=typed_path,
        metavar="PEM",
        help="trust these certificates in this call",
    )
    verify.add_argument(
        "--content",
        type=typed_path,
        metavar="FILE",
        help="what a signature (.p7s) or time-stamp (.tsr) in a file of its own belongs to",
    )
    verify.add_argument("--offline", action="store_true", help="never use the network")
    verify.add_argument(
        "--extract-revision", type=typed_path, metavar="OUT", help="write what was signed, as it was then, to a file"
    )
    verify.add_argument("--field", metavar="NAME", help="whose signed revision; without it that of the last signature")
    verify.add_argument("--force", action="store_true", help="write over an existing file")
    _password(verify)
    _json(verify)


def _cert(add: Sub) -> None:
    actions = add("cert", help="certificates").add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the inventory")
    listing.add_argument("--state", choices=("intent", "active", "suspended", "revoked", "expired"))
    listing.add_argument("--profile", metavar="P")
    _search(listing)
    _json(listing)
    show = actions.add_parser("show", help="one certificate")
    show.add_argument("which", metavar="SERIAL|CREDENTIAL")
    show.add_argument("--pem", action="store_true", help="the certificate in PEM")
    shared = Shared(_json, _acts, typed_path, _number)
    add_past(show, shared)
    _json(show)
    issue_arguments(actions.add_parser, typed_path, _number, _acts, _json)
    revoke = actions.add_parser("revoke", help="revoke or suspend a certificate")
    revoke.add_argument("which", metavar="SERIAL|CREDENTIAL")
    revoke.add_argument("--reason", required=True, choices=REASONS, metavar="R", help=", ".join(REASONS))
    revoke.add_argument("--since", metavar="TIME", help="when the key is believed to have been compromised")
    _acts(revoke)
    _json(revoke)
    add_life(actions, shared)
    add_official(actions, shared)


def _search(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("--issuer", metavar="AUTHORITY", help="who issued it")
    listing.add_argument("--find", metavar="WORDS", help="words of the subject, with Vietnamese marks or without")
    listing.add_argument("--organization", metavar="WORDS", help="words of the organization")
    listing.add_argument(
        "--identifier", metavar="NUMBER", help="a number of the holder: MST:…, CCCD:…, or the number alone"
    )
    listing.add_argument("--serial", type=_hexadecimal, metavar="HEX", help="serial number, or its beginning")
    listing.add_argument("--fingerprint", type=_hexadecimal, metavar="HEX", help="SHA-256, or its beginning")
    listing.add_argument("--key", type=_hexadecimal, metavar="HEX", help="key id, or its beginning")
    listing.add_argument("--valid-at", metavar="TIME", help="in its term at that time")
    listing.add_argument("--issued-from", metavar="TIME")
    listing.add_argument("--issued-before", metavar="TIME")
    listing.add_argument("--ends-from", metavar="TIME", help="whose term ends then or later")
    listing.add_argument("--ends-before", metavar="TIME")
    listing.add_argument("--limit", type=_number(1, 100_000), default=1000, metavar="N", help="the newest N (1000)")


def _hexadecimal(typed: str) -> str:
    """As people copy it: with colons or spaces, in capitals."""
    plain = typed.replace(":", "").replace(" ", "").lower()
    if not plain or set(plain) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{typed!r} is not hexadecimal")
    return plain


def _ca(add: Sub) -> None:
    actions = add("ca", help="certificate authorities").add_subparsers(dest="action", metavar="ACTION", required=True)
    _json(actions.add_parser("list", help="own authorities, parents first"))
    show = actions.add_parser("show", help="one authority")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--pem", action="store_true", help="the authority's certificate in PEM")
    _json(show)
    publish = actions.add_parser("publish", help="write the CRLs that are due")
    publish.add_argument("--all", action="store_true", help="also those that are not due")
    _acts(publish)
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
    add_authority_import(actions, Shared(_json, _acts, typed_path, _number))


def _hsm(add: Sub) -> None:
    actions = add("hsm", help="the key token").add_subparsers(dest="action", metavar="ACTION", required=True)
    _json(actions.add_parser("status", help="is the token there, how many sessions, what happened to it"))
    _json(actions.add_parser("keys", help="every key of the token: what it is for, who uses it, is it protected"))
    bench = actions.add_parser(
        "bench", help="signatures a second, beside OpenSSL in memory; leaves nothing in the token"
    )
    bench.add_argument(
        "--seconds", type=_span(0.1, 60), default=1.0, metavar="S", help="how long each line is measured (default: 1)"
    )
    _acts(bench)
    _json(bench)


def _document(add: Sub) -> None:
    actions = add("document", help="the register of signed documents").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    add_document(actions.add_parser, Shared(_json, _acts, typed_path, _number))


def _doctor(add: Sub) -> None:
    doctor = add("doctor", help="what is wrong here, and how to mend it")
    doctor.add_argument(
        "--mend",
        action="store_true",
        help="first close signing acts and numbers that a death left open, and give keys the purpose they are used for",
    )
    _acts(doctor)
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
        dest="action", metavar="ACTION", required=True
    )
    issue = actions.add_parser("issue", help="make a token; it is printed alone, once")
    issue.add_argument(
        "--scope", nargs="+", action="append", metavar="S", help=", ".join(SCOPES) + "; with --person all, unless said"
    )
    issue.add_argument("--person", metavar="NAME", help="this person's: it does what his roles allow, in his name")
    issue.add_argument("--days", type=int, default=90, metavar="N", help="how long it is good (default: 90)")
    issue.add_argument("--name", metavar="NAME", help="what the register and the audit trail call it")
    _acts(issue)
    _json(issue)
    _json(actions.add_parser("list", help="all tokens, without the tokens themselves"))
    revoke = actions.add_parser("revoke", help="take a token out of force, at once")
    revoke.add_argument("name", metavar="NAME")
    _acts(revoke)
    _json(revoke)


def _audit(add: Sub) -> None:
    actions = add("audit", help="the audit trail: is it whole, and as a signed file").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    verify = actions.add_parser("verify", help="walk every chain and name each place where it is broken")
    of = verify.add_mutually_exclusive_group()
    of.add_argument("--checkpoint", type=typed_path, metavar="FILE", help="also compare with this earlier export")
    of.add_argument("--export", type=typed_path, metavar="FILE", help="check this exported file instead, by itself")
    verify.add_argument(
        "--trust",
        action="append",
        default=[],
        type=typed_path,
        metavar="PEM",
        help="who stands behind the signature of an export (default: the root of this home)",
    )
    _json(verify)
    export = actions.add_parser("export", help="the trail as lines of JSON, signed in the last of them")
    export.add_argument("-o", "--output", type=typed_path, metavar="FILE", help="default: standard output")
    export.add_argument("--from", dest="since", metavar="TIME", help="from the first act at this time or later")
    export.add_argument("--to", dest="until", metavar="TIME", help="to the last act at this time or earlier")
    export.add_argument("--force", action="store_true", help="replace an existing output")
