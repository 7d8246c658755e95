"""Where the register lies: the setting's URL, or the home's SQLite file."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from api.home import Home
from api.setting_rules import refuse_value
from api.settings import Settings


def database_url(home: Home, settings: Settings) -> URL:
    """The setting, or the home's SQLite file; TableValueWrong for a URL that nothing here can open."""
    if not settings.database.url:
        return URL.create("sqlite", database=str(home.database_file))
    try:
        url = make_url(settings.database.url)
        url.get_dialect().import_dbapi()
    except (ArgumentError, ImportError, ValueError):
        # The URL itself may hold a password, and is not repeated.
        refuse_value("database.url", "the URL of a database whose driver is installed", "another")
    return url
