"""The pages of citizens and agencies."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
