"""signer/storage.py with files that stay on disk: copied once, stored under their digest, handed out, and nothing of it by half."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from signer import unnamed_file
from signer.errors import InputUnreadable, Unavailable, UsageWrong
from signer.long_file import LONG, LongFile
from signer.octets import whole
from signer.storage import BlobStore, OutputFile
from signer.unnamed_file import UnnamedFile

ORIGINAL = os.urandom(LONG + 5)
TAIL = b"%revision of mine"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def input_file(tmp_path: Path) -> Path:
    path = tmp_path / "in.pdf"
    path.write_bytes(ORIGINAL)
    return path


def taken(store: BlobStore, path: Path) -> LongFile:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return store.take_in(descriptor, path.stat().st_size, room=1000)
    finally:
        os.close(descriptor)


def test_what_is_taken_in_has_no_name_before_it_is_stored_and_is_not_copied_again(
    tmp_path: Path, input_file: Path
) -> None:
    store = BlobStore(tmp_path / "blobs")
    file = taken(store, input_file)
    assert names(tmp_path / "blobs") == []
    inode = os.fstat(file.source.fileno()).st_ino
    sha256 = store.put(file + TAIL)
    assert sha256 == hashlib.sha256(ORIGINAL + TAIL).hexdigest()
    assert names(tmp_path / "blobs") == [sha256]
    assert store.path_of(sha256).read_bytes() == store.get(sha256) == ORIGINAL + TAIL
    assert store.path_of(sha256).stat().st_ino == inode
    # It is read on, and another revision of it is another blob.
    assert whole(file) == ORIGINAL
    other = store.put(file + b"%another")
    assert (store.get(other), store.get(sha256)) == (ORIGINAL + b"%another", ORIGINAL + TAIL)
    assert store.put(file + TAIL) == sha256


def test_what_is_not_stored_leaves_nothing(tmp_path: Path, input_file: Path) -> None:
    file = taken(BlobStore(tmp_path / "blobs"), input_file)
    del file
    assert names(tmp_path / "blobs") == []


def test_nobody_changes_what_was_taken_in(tmp_path: Path, input_file: Path) -> None:
    file = taken(BlobStore(tmp_path / "blobs"), input_file)
    with input_file.open("r+b") as other:
        other.write(b"other octets")
    assert whole(file) == ORIGINAL
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(file.source.fileno(), b"x", 0)


def test_a_file_that_is_being_written_is_refused(tmp_path: Path, input_file: Path) -> None:
    descriptor = os.open(input_file, os.O_RDONLY)
    with pytest.raises(InputUnreadable) as caught:
        BlobStore(tmp_path / "blobs").take_in(descriptor, len(ORIGINAL) + 1, room=0)
    os.close(descriptor)
    assert caught.value.code == "INPUT_CHANGES"
    assert names(tmp_path / "blobs") == []


def test_a_long_blob_is_opened_where_it_is_unless_it_was_altered(tmp_path: Path, input_file: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    sha256, small = store.put(taken(store, input_file) + TAIL), store.put(b"small")
    opened = store.open(sha256)
    assert isinstance(opened, LongFile)
    assert whole(opened) == ORIGINAL + TAIL
    assert store.open(small) == b"small"
    # What is opened belongs to the store: the next revision is a copy.
    longer = store.put(opened + b"%more")
    assert (len(store.open(longer)), len(store.open(sha256))) == (len(opened) + 5, len(opened))
    with store.path_of(sha256).open("r+b") as file:
        file.write(b"!")
    for altered, code in ((sha256, "BLOB_ALTERED"), ("00" * 32, "BLOB_MISSING")):
        with pytest.raises(Unavailable) as caught:
            store.open(altered)
        assert caught.value.code == code


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("replace", [True, False])
def test_an_output_is_a_copy_that_its_owner_may_change(
    tmp_path: Path, input_file: Path, *, begun: bool, replace: bool
) -> None:
    store, target = BlobStore(tmp_path / "blobs"), tmp_path / "out.pdf"
    if replace:
        target.write_bytes(b"old")
    file = taken(store, input_file)
    with OutputFile(target, expected_size=len(file) + 1000, replace=replace) as output:
        if begun:
            output.begin(file)
        sha256 = store.put(file + TAIL)
        output.publish(file + TAIL)
    assert target.read_bytes() == ORIGINAL + TAIL
    with target.open("r+b") as edited:
        edited.write(b"notes of mine")
    assert store.get(sha256) == ORIGINAL + TAIL
    assert names(tmp_path) == sorted([sha256, "in.pdf", "out.pdf"])


def test_an_output_that_was_begun_with_another_file_holds_what_is_published(tmp_path: Path, input_file: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    (tmp_path / "longer").write_bytes(ORIGINAL * 2)
    with OutputFile(tmp_path / "out.pdf", expected_size=1, replace=False) as output:
        output.begin(taken(store, tmp_path / "longer"))
        output.publish(taken(store, input_file) + TAIL)
    assert (tmp_path / "out.pdf").read_bytes() == ORIGINAL + TAIL
    with OutputFile(tmp_path / "out2.pdf", expected_size=1, replace=False) as output:
        output.begin(taken(store, input_file))
        output.publish(b"short after all")
    assert (tmp_path / "out2.pdf").read_bytes() == b"short after all"


def test_an_output_that_is_given_up_while_it_is_copied_leaves_nothing(tmp_path: Path, input_file: Path) -> None:
    file = taken(BlobStore(tmp_path / "blobs"), input_file)
    with OutputFile(tmp_path / "out.pdf", expected_size=1, replace=False) as output:
        output.begin(file)
    assert names(tmp_path) == ["in.pdf"]


def test_without_nameless_files_and_copies_by_the_kernel_it_comes_to_the_same(
    tmp_path: Path, input_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on file systems that know neither; the kernel's calls are what is taken away."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not here")

    real_open = os.open

    def open_with_name(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(os, "open", open_with_name)
    store = BlobStore(tmp_path / "blobs")
    file = taken(store, input_file)
    assert len(names(tmp_path / "blobs")) == 1
    with OutputFile(tmp_path / "out.pdf", expected_size=1, replace=False) as output:
        output.begin(file)
        sha256 = store.put(file + TAIL)
        output.publish(file + TAIL)
    del file
    assert (tmp_path / "out.pdf").read_bytes() == store.get(sha256) == ORIGINAL + TAIL
    unused = taken(store, input_file)
    del unused
    # A thread may still be syncing it: the last who holds it takes it away.
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(10)
    assert names(tmp_path) == sorted([sha256, "in.pdf", "out.pdf"])


def test_what_a_full_disk_stops_leaves_nothing(tmp_path: Path, input_file: Path) -> None:
    """In a process of its own, which may write no file longer than the input."""
    code = f"""
import os, resource, sys
from pathlib import Path
from signer.errors import Unavailable
from signer.storage import BlobStore, OutputFile
folder, size = Path(sys.argv[1]), {len(ORIGINAL)}
descriptor = os.open(folder / "in.pdf", os.O_RDONLY)
store = BlobStore(folder / "blobs")
held = store.take_in(descriptor, size, room=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
for attempt in (
    lambda: store.take_in(descriptor, size, room=1),
    lambda: OutputFile(folder / "out.pdf", expected_size=size + 1, replace=False),
    lambda: store.put(held + b"more"),
):
    try:
        attempt()
    except Unavailable as error:
        print(error.code)
with OutputFile(folder / "out.pdf", expected_size=size, replace=False) as output:
    output.begin(held)
    try:
        output.publish(held + b"more")
    except Unavailable as error:
        print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["DISK_FULL"] * 4, done.stderr
    assert names(tmp_path) == ["in.pdf"]


def test_a_name_that_somebody_took_meanwhile_is_not_taken_away(tmp_path: Path, input_file: Path) -> None:
    file = taken(BlobStore(tmp_path / "blobs"), input_file)
    with OutputFile(tmp_path / "out.pdf", expected_size=1, replace=False) as output:
        (tmp_path / "out.pdf").write_bytes(b"somebody else's")
        with pytest.raises(UsageWrong) as caught:
            output.publish(file + TAIL)
    assert caught.value.code == "OUTPUT_EXISTS"
    assert (tmp_path / "out.pdf").read_bytes() == b"somebody else's"


def test_blocks_that_are_shared_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system shares blocks, nothing is copied; here it is told that it does, for a file that is there already."""
    (tmp_path / "in").write_bytes(b"octets")
    descriptor = os.open(tmp_path / "in", os.O_RDONLY)

    def share(target: int, _request: int, source: int) -> int:
        os.pwrite(target, os.pread(source, 100, 0), 0)
        return 0

    monkeypatch.setattr(unnamed_file.fcntl, "ioctl", share)
    monkeypatch.setattr(os, "copy_file_range", None)
    came: list[int] = []
    file = UnnamedFile(tmp_path)
    file.copy_from(descriptor, 6, 10, came.append)
    file.write_at(6, b"-tail")
    file.link_as(tmp_path / "out")
    with pytest.raises(OSError, match="shorter"):
        file.copy_from(descriptor, 100, 0)
    file.discard()
    os.close(descriptor)
    assert ((tmp_path / "out").read_bytes(), came) == (b"octets-tail", [6])
