"""A long file is, octet for octet, what it would be in memory; and its octets are hashed once."""

from __future__ import annotations

import hashlib
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from signer.long_file import LongFile, Source
from signer.octets import (
    beginning_of,
    digest_around,
    digest_of_ranges,
    hasher_over,
    pieces_of,
    sha256_of,
    stream_of,
    whole,
)

SIZE = 3 * 1024 * 1024 + 17
TAIL = b"a tail with a /Word in it"


def source_of(path: Path, octets: bytes) -> Source:
    path.write_bytes(octets)
    return Source(os.open(path, os.O_RDONLY), len(octets))


@pytest.fixture
def octets() -> bytes:
    held = bytearray(random.Random(1).randbytes(SIZE))
    # Where one search ends and the next begins, at the very end of what is on disk, and across it.
    for at in (0, 1024 * 1024 - 3, 2 * 1024 * 1024 - 8, SIZE - 3):
        held[at : at + 5] = b"/Word"
    return bytes(held[:SIZE])


@pytest.fixture
def file(tmp_path: Path, octets: bytes) -> LongFile:
    return LongFile(source_of(tmp_path / "file", octets)) + b"rd" + TAIL


def test_it_reads_as_the_same_octets_do_in_memory(file: LongFile, octets: bytes) -> None:
    same = octets + b"rd" + TAIL
    assert len(file) == len(same)
    assert whole(file) == same
    chance = random.Random(2)
    places = [*range(-3, 4), SIZE - 1, SIZE, SIZE + 1, len(same) - 1, len(same), len(same) + 5]
    places += [chance.randrange(len(same)) for _ in range(20)]
    for start in places:
        for end in (start - 1, start, start + 1, start + 70, SIZE + 4):
            assert file[start:end] == same[start:end], (start, end)
    assert [file[at] for at in (0, SIZE - 1, SIZE, -1)] == [same[at] for at in (0, SIZE - 1, SIZE, -1)]
    with pytest.raises(IndexError):
        file[len(same)]
    assert b"".join(map(bytes, pieces_of(file, 5, SIZE + 9))) == same[5 : SIZE + 9]


@pytest.mark.parametrize("word", [b"/Word", b"/Wo", b"absent", b"tail", b"\x00"])
def test_a_search_finds_what_it_finds_in_memory(file: LongFile, octets: bytes, word: bytes) -> None:
    same = octets + b"rd" + TAIL
    assert (word in file) is (word in same)
    at = same.find(word)
    found = file.find(word)
    for _ in range(8):
        assert found == at
        if at < 0:
            break
        at, found = same.find(word, at + 1), file.find(word, found + 1)
    for start, end in (
        (0, len(same)),
        (7, SIZE),
        (1024 * 1024 - 3, 1024 * 1024 + 2),
        (1024 * 1024 - 3, 1024 * 1024 + 1),
    ):
        assert file.find(word, start, end) == same.find(word, start, end)
        assert file.rfind(word, start, end) == same.rfind(word, start, end)


def test_digests_are_those_of_the_whole_whatever_was_asked_before(file: LongFile, octets: bytes) -> None:
    same = octets + b"rd" + TAIL
    for algorithm in ("sha256", "sha384", "sha256"):
        for hole in ((SIZE + 2, SIZE + 5), (SIZE - 9, SIZE + 1), (3, 9), (2 * 1024 * 1024, SIZE)):
            expected = hashlib.new(algorithm, same[: hole[0]] + same[hole[1] :]).digest()
            assert digest_around(file, hole, algorithm) == digest_around(same, hole, algorithm) == expected
        assert hasher_over(file, algorithm).digest() == hashlib.new(algorithm, same).digest()
    for end in (1, 5000, SIZE, SIZE + 1, len(same)):
        assert sha256_of(file, end) == sha256_of(same, end) == hashlib.sha256(same[:end]).hexdigest()
        assert whole(beginning_of(file, end)) == same[:end]
    assert digest_of_ranges(file, (5, 10, 20, 7), "sha256") == hashlib.sha256(same[5:15] + same[20:27]).digest()


def test_what_was_hashed_is_not_read_again(tmp_path: Path, octets: bytes) -> None:
    file = LongFile(source_of(tmp_path / "file", octets))
    expected = sha256_of(file)
    # Octets that nobody may change do change here, to see that they are not looked at.
    (tmp_path / "file").write_bytes(bytes(SIZE))
    assert sha256_of(file) == expected
    assert digest_around(file + TAIL, (SIZE + 2, SIZE + 4), "sha256") == (
        hashlib.sha256(octets + TAIL[:2] + TAIL[4:]).digest()
    )


def test_hashing_ahead_comes_to_the_same(tmp_path: Path, octets: bytes) -> None:
    source = source_of(tmp_path / "file", octets)
    for end in (1000, 1024 * 1024, 2_000_000, SIZE):
        source.hash_ahead(end)
    file = LongFile(source)
    assert [sha256_of(file, end) for end in (SIZE, 500, 1_500_000)] == [
        hashlib.sha256(octets[:end]).hexdigest() for end in (SIZE, 500, 1_500_000)
    ]


def test_a_file_that_was_cut_off_says_so(tmp_path: Path, octets: bytes) -> None:
    file = LongFile(source_of(tmp_path / "file", octets))
    os.truncate(tmp_path / "file", 1000)
    for deed in (lambda: file[2000:2001], lambda: sha256_of(file), lambda: file.find(b"absent")):
        with pytest.raises(OSError, match="shorter"):
            deed()


def test_a_stream_of_it_is_read_and_sought_like_any_other(file: LongFile, octets: bytes) -> None:
    same = octets + b"rd" + TAIL
    stream = stream_of(file)
    assert stream.read(7) == same[:7]
    assert (stream.seek(-9, os.SEEK_END), stream.read(100), stream.read(1)) == (len(same) - 9, same[-9:], b"")
    assert (stream.seek(SIZE - 2), stream.read(6), stream.tell()) == (SIZE - 2, same[SIZE - 2 : SIZE + 4], SIZE + 4)
    with pytest.raises(OSError, match="Invalid"):
        stream.seek(-1)


def test_it_takes_no_memory_of_its_length(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as made:
        made.truncate(100_000_000)
    tracemalloc.start()
    file = LongFile(Source(os.open(tmp_path / "file", os.O_RDONLY), 100_000_000)) + TAIL
    assert b"absent" not in file
    digest_around(file, (100_000_001, 100_000_003), "sha256")
    sha256_of(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_closed_one_leaves_no_descriptor(tmp_path: Path) -> None:
    source = source_of(tmp_path / "file", b"x" * 10)
    descriptor = source.fileno()
    file = LongFile(source)
    del source
    assert file[:1] == b"x"
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
