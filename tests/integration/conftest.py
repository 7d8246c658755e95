"""Fixtures of the journeys: a user at the command line with a home of his own; a running service; a judge process and pictures for signing in process."""

from __future__ import annotations

from tests.installation import founded, paper, user  # noqa: F401  fixtures by name
from tests.integration.http_service import pdf, service  # noqa: F401  fixtures by name
from tests.key_process import key_home  # noqa: F401  fixtures by name
from tests.signing_world import judge, pictures  # noqa: F401  fixtures by name
