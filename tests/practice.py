"""A home for training as tests use it: made once a run, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.installation import User, copy_home, once


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demonstration home for training, only to be copied."""

    def found(folder: Path) -> None:
        user = User(folder / "home", folder)
        user.antin("init", "--demo", "--training")
        (folder / "root.pem").write_text(user.antin("ca", "show", "root", "--pem"))

    return once(tmp_path_factory, "training", found)


@pytest.fixture
def pupil(trained: Path, paper: Path, tmp_path: Path) -> User:
    """Who practises: a home for training, and in the folder a paper and the chain's root."""
    home, folder = copy_home(trained / "home", tmp_path / "training"), tmp_path / "practice"
    folder.mkdir()
    shutil.copy(trained / "root.pem", folder / "root.pem")
    shutil.copy(paper, folder / "paper.pdf")
    return User(home, folder)
