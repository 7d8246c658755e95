"""Fixtures of the journeys: a user at the command line with a home of his own."""

from __future__ import annotations

from tests.installation import founded, paper, user  # noqa: F401  fixtures by name
