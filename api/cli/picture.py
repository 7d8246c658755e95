"""`--image PNG` of the commands that make a credential: the picture is registered for it, when somebody else has agreed."""

from __future__ import annotations

from api.cli.context import read_input
from api.cli.parser import TypedPath
from api.wiring import Installation
from pki.audit import Actor
from signer.appearance.image_rules import Purpose
from signer.image_registry import SIGNATURE_MM, NewImage, add_image

# Read whole, so that a picture that is too large is told from one that is none.
LARGEST_FILE = 8 * 1024 * 1024


def usual_width(purpose: Purpose, installation: Installation) -> float:
    """How large on paper, where nobody says: the agency's seal as the settings have it, a signature as most are."""
    return installation.settings.sign.seal_diameter_mm if purpose == "seal" else SIGNATURE_MM


def registered_picture(
    typed: TypedPath | None, purpose: Purpose, owner: str, installation: Installation, actor: Actor
) -> str | None:
    """The digest of the registered picture; None where none is named. ApprovalNeeded until somebody else has agreed to it."""
    if typed is None:
        return None
    png = read_input(typed, LARGEST_FILE)
    new = NewImage(png, typed.typed, purpose, owner, usual_width(purpose, installation))
    return add_image(new, actor, installation.image_registry).sha256
