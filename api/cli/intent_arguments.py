"""The words with which `antin sign` and `antin prepare` say what a signature is for. Quick to import."""

from __future__ import annotations

import argparse

INTENTS = ("approve", "issue", "income", "appendix", "copy", "comment", "file")
_FORMS, _SOURCES = ("sao-y", "sao-luc", "trich-sao"), ("paper", "electronic")


def intent_arguments(parser: argparse.ArgumentParser) -> None:
    """The intent, and what some of them need to be told."""
    parser.add_argument(
        "--intent", choices=INTENTS, metavar="I", help=f"{', '.join(INTENTS)}; default: officer approve, seal issue"
    )
    parser.add_argument("--main", metavar="CODE", help="appendix: the issued document that it belongs to")
    parser.add_argument("--copy", dest="copy_form", choices=_FORMS, metavar="FORM", help=f"copy: {', '.join(_FORMS)}")
    parser.add_argument(
        "--from",
        dest="copy_source",
        choices=_SOURCES,
        metavar="KIND",
        help="copy: of paper, or of an electronic document",
    )
    parser.add_argument("--comment", metavar="TEXT", help="comment: what is remarked")
