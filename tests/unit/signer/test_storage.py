"""signer/storage.py: a file is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from signer.errors import Unavailable, UsageWrong
from signer.storage import BlobStore, OutputFile, write_once


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_write_once_never_changes_what_is_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder" / "file"
    write_once(target, b"first")
    write_once(target, b"second")
    assert target.read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


def test_write_once_from_many_threads_leaves_one_whole_file(tmp_path: Path) -> None:
    contents = [bytes([at]) * 200_000 for at in range(8)]
    threads = [threading.Thread(target=write_once, args=(tmp_path / "file", content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() in contents
    assert names(tmp_path) == ["file"]


def test_a_blob_is_found_by_its_digest_and_never_given_out_altered(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    sha256 = store.put(b"revision")
    assert sha256 == hashlib.sha256(b"revision").hexdigest()
    assert store.put(b"revision") == sha256
    assert store.get(sha256) == b"revision"
    store.path_of(sha256).write_bytes(b"revisiom")
    with pytest.raises(Unavailable) as caught:
        store.get(sha256)
    assert caught.value.code == "BLOB_ALTERED"
    store.path_of(sha256).unlink()
    with pytest.raises(Unavailable) as caught:
        store.get(sha256)
    assert caught.value.code == "BLOB_MISSING"


def test_an_output_has_no_name_before_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.pdf"
    with OutputFile(target, expected_size=100_000, replace=False) as file:
        assert names(tmp_path) == []
        file.publish(b"whole")
    assert target.read_bytes() == b"whole"
    assert names(tmp_path) == ["out.pdf"]


def test_an_output_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), OutputFile(tmp_path / "out.pdf", expected_size=100, replace=False):
        _ = 1 / 0
    assert names(tmp_path) == []


def test_an_output_keeps_the_users_mask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with OutputFile(tmp_path / "out.pdf", expected_size=1, replace=False) as file:
            file.publish(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.pdf").stat().st_mode) == 0o640


def test_an_existing_output_is_refused_at_once_and_also_when_it_comes_in_between(tmp_path: Path) -> None:
    target = tmp_path / "out.pdf"
    with OutputFile(target, expected_size=10, replace=False) as file:
        target.write_bytes(b"somebody else's")
        with pytest.raises(UsageWrong) as caught:
            file.publish(b"ours")
    assert caught.value.code == "OUTPUT_EXISTS"
    with pytest.raises(UsageWrong):
        OutputFile(target, expected_size=10, replace=False)
    assert target.read_bytes() == b"somebody else's"
    assert names(tmp_path) == ["out.pdf"]


def test_replacing_puts_the_whole_new_file_in_the_old_ones_place(tmp_path: Path) -> None:
    target = tmp_path / "out.pdf"
    target.write_bytes(b"old")
    with OutputFile(target, expected_size=100_000, replace=True) as file:
        assert target.read_bytes() == b"old"
        file.publish(b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["out.pdf"]


def test_the_longest_vietnamese_name_that_a_file_system_takes_is_no_obstacle(tmp_path: Path) -> None:
    target = tmp_path / ("ề" * 83 + ".pdf")
    assert len(target.name.encode()) > 250
    for replace in (False, True):
        with OutputFile(target, expected_size=1, replace=replace) as file:
            file.publish(b"x")
    assert target.read_bytes() == b"x"


def test_a_folder_that_is_not_there_is_said_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for target in (tmp_path / "no" / "out.pdf", tmp_path / "file" / "out.pdf"):
        with pytest.raises(UsageWrong) as caught:
            OutputFile(target, expected_size=1, replace=False)
        assert caught.value.code == "OUTPUT_NOWHERE"


def test_a_folder_is_no_output_also_where_one_may_be_replaced(tmp_path: Path) -> None:
    for replace in (False, True):
        with pytest.raises(UsageWrong) as caught:
            OutputFile(tmp_path, expected_size=1, replace=replace)
        assert caught.value.code == "OUTPUT_IS_FOLDER"


# Each runs in a process of its own: with a limit on file size, and killed where it stands.
_LIMITED = """
import resource, sys
from pathlib import Path
from signer.errors import Unavailable
from signer.storage import OutputFile, write_once
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder = Path(sys.argv[1])
codes = []
for attempt in (
    lambda: write_once(folder / "blob", bytes(5000)),
    lambda: OutputFile(folder / "out.pdf", expected_size=5000, replace=False),
):
    try:
        attempt()
    except Unavailable as error:
        codes.append(error.code)
with OutputFile(folder / "out2.pdf", expected_size=10, replace=False) as file:
    try:
        file.publish(bytes(5000))
    except Unavailable as error:
        codes.append(error.code)
print(*codes)
"""
_KILLED = """
import os, signal, sys
from pathlib import Path
from signer.storage import OutputFile
with OutputFile(Path(sys.argv[1]) / "out.pdf", expected_size=5000, replace=False) as file:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_disk_that_is_full_is_named_and_nothing_half_written_stays(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["DISK_FULL"] * 3
    assert names(tmp_path) == []


def test_a_process_that_is_killed_leaves_nothing_of_its_output(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert names(tmp_path) == []
