"""README.md, run as it stands: the console blocks go through a shell, in order, in a home like that of `make demo`."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import ANTIN, FoundedHome, User
from tests.integration.http_service import Service, running

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```console\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
# What a test cannot do: fetch packages, found a home that is there already, start the service that it started itself.
ELSEWHERE = ("make demo", "make serve", "pip install pyhanko-cli", "export PATH=")
MARK = "---- next command ----"


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines of output that the page shows below it."""
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            if not command.startswith(ELSEWHERE):
                yield command, shown


@pytest.fixture(scope="module")
def reader(founded: FoundedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Somebody in the folder of the source, whose home is `var` in it, with the service running in another terminal."""
    for tool in ("curl", "openssl", "pdfsig"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (apt-get install curl openssl poppler-utils)")
    folder = tmp_path_factory.mktemp("readme")
    founded.copy_to(folder / "var")
    user = User(folder / "var", folder)
    user.antin("demo")
    with running(user) as service:
        yield service


@pytest.fixture(scope="module")
def said(reader: Service) -> list[str]:
    """What each command prints. One shell runs them all, as a reader's would."""
    script = f"\necho '{MARK}'\n".join(command for command, _ in commands())
    surroundings = reader.user.surroundings()
    surroundings["PATH"] = f"{ANTIN.parent}:{surroundings['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8080", reader.url)],
        cwd=reader.user.folder,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split(MARK)


def test_every_command_of_the_page_works_and_prints_what_the_page_shows(said: list[str]) -> None:
    shown = [(command, lines) for command, lines in commands() if lines]
    outputs = dict(zip((command for command, _ in commands()), said, strict=True))
    assert len(shown) > 5
    for command, lines in shown:
        for line in lines:
            pattern = ".*".join(re.escape(each.strip()) for each in line.split("…"))
            assert re.search(pattern, outputs[command]), (command, line, outputs[command])


def test_the_way_over_http_ends_with_the_document_taken_back(said: list[str]) -> None:
    outputs = dict(zip((command for command, _ in commands()), said, strict=True))
    (sealed,) = [text for command, text in outputs.items() if "approved.pdf -F credential=seal" in command]
    assert '"issued":true' in sealed
    (verdict,) = [text for command, text in outputs.items() if "file=@issued.pdf" in command]
    assert '"conclusion":"valid"' in verdict
    (recalled,) = [text for command, text in outputs.items() if "/recall" in command]
    assert '"status":"recalled"' in recalled


def test_what_other_software_says_is_what_the_page_says(said: list[str]) -> None:
    outputs = dict(zip((command for command, _ in commands()), said, strict=True))
    assert outputs["pdfsig letter-2.pdf"].count("Signature is Valid") == 2
    assert "Certificate issuer is unknown" in outputs["pdfsig letter-2.pdf"].replace("Issuer", "issuer")
    (pyhanko,) = [text for command, text in outputs.items() if command.startswith("pyhanko ")]
    assert pyhanko.count(":INTACT:TRUSTED") == 2
