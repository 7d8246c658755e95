"""`make picture`: draws the README's picture of a signed page from a fresh demo."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_DOTS_PER_INCH = 60


def main(target: Path) -> None:
    """Found a demo home, run the demo, render the letter."""
    antin = str(Path(sys.executable).with_name("antin"))
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ANTIN_HOME": str(Path(folder) / "home")}
        for command in (["init", "--demo"], ["demo"]):
            subprocess.run([antin, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
        letter = Path(folder) / "home" / "out" / "cong-van.pdf"
        picture = [
            "pdftoppm",
            "-singlefile",
            "-png",
            "-r",
            str(_DOTS_PER_INCH),
            str(letter),
            str(target.with_suffix("")),
        ]
        subprocess.run(picture, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
