"""What an installation is by its root: whether it only serves to practise, and whose it is. And what its prints say by that."""

from __future__ import annotations

from pathlib import Path

from api.settings import POLICY, Settings
from certs.catalogue import Catalogue, read_catalogue
from certs.clock import Clock
from certs.db import Database
from certs.inventory import get_certificate
from certs.names import parse_subject
from certs.training import is_training
from pki.authorities import list_authorities
from signer.appearance.font_files import FontFiles
from signer.appearance.font_shelf import FontShelf
from signer.printing import PrintDeps
from signer.signing_parts import CodeWish
from signer.storage import BlobStore


def is_for_training(database: Database) -> bool:
    """Its root says so, which nobody can change afterwards; no setting does."""
    with database.read() as session:
        roots = [each for each in list_authorities(session) if each.parent is None]
        ders = [get_certificate(session, each.serial).der for each in roots if each.serial is not None]
    return any(der is not None and is_training(der) for der in ders)


def catalogue_of(settings: Settings, *, training: bool) -> Catalogue:
    """The profiles that certificates of an installation are issued by."""
    return read_catalogue(policy=settings.certificates.policy, training=training)


def code_wish(settings: Settings) -> CodeWish:
    """Whether codes are drawn on documents, and where they are checked."""
    return CodeWish(None if settings.sign.code == POLICY else settings.sign.code, settings.http.public_url)


def font_shelf(settings: Settings, cache: Path) -> FontShelf:
    """What is drawn with."""
    sign = settings.sign
    others = FontFiles(Path(sign.korean_font), [Path(each) for each in sign.font_folders])
    return FontShelf(Path(sign.font).parent, cache, others)


def print_deps(settings: Settings, database: Database, clock: Clock, blobs: BlobStore, fonts: FontShelf) -> PrintDeps:
    """What print renditions are made with; the owner is whom the first root names, unless the settings say another."""
    wanted = settings.print
    with database.read() as session:
        root = next(each for each in list_authorities(session) if each.parent is None)
    owner = wanted.owner or parse_subject(root.subject).organization or ""
    return PrintDeps(
        database, clock, blobs, fonts.font, settings.http.public_url, wanted.system, owner, wanted.place
    )  # fmt: skip
