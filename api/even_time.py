"""Even time: hit and miss answer at the end of a step of time, so that the time tells nothing about what exists."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

_STEP_SECONDS = 0.25


@contextlib.asynccontextmanager
async def even_time() -> AsyncIterator[None]:
    """Whatever happens within, ends at the end of a step."""
    clock = asyncio.get_running_loop()
    begun = clock.time()
    try:
        yield
    finally:
        spent = clock.time() - begun
        await asyncio.sleep(math.ceil(spent / _STEP_SECONDS) * _STEP_SECONDS - spent)
