"""Answers of the last minute: given again only while they are what would be said now."""

from __future__ import annotations
