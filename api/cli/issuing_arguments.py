"""The words of `antin cert issue` and `antin registration`. What every command shares comes from parser.py, which calls this."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Add = Callable[..., argparse.ArgumentParser]
Path = Callable[[str], Any]
Number = Callable[[int, int], Callable[[str], int]]
End = Callable[[argparse.ArgumentParser], None]

STATES = ("open", "confirmed", "issuing", "issued", "refused", "withdrawn")
_LARGEST_ID = 2**63 - 1
_LONGEST_DAYS = 36_500
_ISSUE = """\
Issue one certificate, or those of a list.

  antin cert issue --profile officer --subject "CN=Trần Thị B,O=Sở X,C=VN"
      the key is made in the token; prints the PEM, makes a credential to sign with
  antin cert issue --profile system --subject DN --csr request.pem -o cert.pem
      for a key somewhere else: the request gives its public key, and nothing else
  antin cert issue … --evidence "hồ sơ 12/2026"
      also stores a registration: all that the profile asks for was checked by you
  antin cert issue --registration 7 -o cert.pem
      by a registration that was confirmed (antin registration add, confirm)
  antin cert issue --batch list.jsonl -o folder
      one object a line: {"profile": …, "subject": …, "csr": FILE,
      "san": […], "days": N, "evidence": …} or {"registration": N}. Run again after
      an interruption, it goes on: a key that has its certificate gets no second one
"""


def issue_arguments(add: Add, path: Path, number: Number, *ends: End) -> None:
    """`antin cert issue`."""
    issue = add(
        "issue",
        help="issue a certificate; without --csr a key is made in the token",
        description=_ISSUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="antin cert issue (--profile P --subject DN | --registration ID | --batch FILE) [OPTIONS]",
    )
    what = issue.add_argument_group("what")
    what.add_argument("--profile", metavar="P", help="the kind of certificate")
    what.add_argument("--subject", metavar="DN", help='for example "CN=…,O=…,C=VN"; these three are enough')
    what.add_argument(
        "--san", action="append", default=[], metavar="NAME", help="a DNS name or e-mail address; may be repeated"
    )
    what.add_argument("--days", type=number(1, _LONGEST_DAYS), metavar="N", help="shorter than the profile's term")
    what.add_argument(
        "--csr", type=path, metavar="FILE", help="take the public key from this request, and nothing else"
    )
    what.add_argument(
        "--authority",
        metavar="NAME",
        default="issuing",
        help="who issues it, for example one that was taken in (issuing)",
    )
    by = issue.add_argument_group("on what ground")
    by.add_argument("--evidence", metavar="REF", help="where the papers are that you have checked, like a file number")
    by.add_argument("--registration", type=number(1, _LARGEST_ID), metavar="ID", help="a confirmed registration")
    by.add_argument("--batch", type=path, metavar="FILE", help="many, a JSON object a line; -o is a folder then")
    own = issue.add_argument_group("a key in the token")
    own.add_argument("--credential", metavar="NAME", help="name of the credential made with the new key")
    own.add_argument("--image", type=path, metavar="PNG", help="the credential's signature or seal picture")
    out = issue.add_argument_group("result")
    out.add_argument(
        "-o", "--output", type=path, metavar="FILE", help="write the PEM here instead of to standard output"
    )
    out.add_argument("--force", action="store_true", help="replace an existing output")
    for end in ends:
        end(issue)


def registration_arguments(add: Add, path: Path, number: Number, acts: End, as_json: End) -> None:
    """`antin registration`."""
    group = add("registration", help="what is asked for a certificate, and who confirmed it by which evidence")
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("add", help="write down what is asked; without --csr the key is made in the token later")
    new.add_argument("--profile", required=True, metavar="P")
    new.add_argument("--subject", required=True, metavar="DN", help='for example "CN=…,O=…,C=VN"')
    new.add_argument(
        "--san", action="append", default=[], metavar="NAME", help="a DNS name or e-mail address; may be repeated"
    )
    new.add_argument("--days", type=number(1, _LONGEST_DAYS), metavar="N", help="shorter than the profile's term")
    new.add_argument("--csr", type=path, metavar="FILE", help="the public key is this request's")
    new.add_argument("--evidence", metavar="REF", help="where the papers are, like a file number")
    listing = actions.add_parser("list", help="newest first")
    listing.add_argument("--state", action="append", default=[], choices=STATES, metavar="S", help=", ".join(STATES))
    listing.add_argument("--limit", type=number(1, 100_000), default=1000, metavar="N", help="the newest N (1000)")
    show = actions.add_parser("show", help="one registration")
    yes = actions.add_parser("confirm", help="every field was checked against the evidence; it can be issued now, once")
    yes.add_argument("--evidence", metavar="REF", help="where the papers are, like a file number")
    no = actions.add_parser("refuse", help="say no; who asked takes his own back so")
    no.add_argument("--reason", required=True, metavar="TEXT", help="why; it is kept")
    for each in (show, yes, no):
        each.add_argument("id", type=number(1, _LARGEST_ID), metavar="ID")
    for each in (new, yes, no):
        acts(each)
    for each in (new, listing, show, yes, no):
        as_json(each)
