"""A world for each test that asks for one."""

from __future__ import annotations

import pytest

from tests.world import build_world


@pytest.fixture
def world(tmp_path):
    world = build_world(tmp_path)
    yield world
    world.close()
