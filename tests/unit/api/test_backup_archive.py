"""The backup file: parts come back as they were, in constant memory, and what is not whole is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tracemalloc

import pyrage
import pytest

from api.backup.archive import Part, decrypt_parts, encrypt_parts, fits, is_safe, part_of
from api.backup.recovery_key import make_recovery_key, parse_recipients, read_identities
from api.backup.token_copy import token_parts
from api.errors import ComponentError, UsageError

KEY = pyrage.x25519.Identity.generate()


def written(*parts: Part) -> bytes:
    out = io.BytesIO()
    encrypt_parts(iter(parts), [KEY.to_public()], out)
    return out.getvalue()


def encrypted_tar(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar as somebody else makes one who knows the recipient."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            tar.addfile(info, io.BytesIO(content))
    return pyrage.encrypt(out.getvalue(), [KEY.to_public()])


class Kept(dict):
    """Every part that was read."""

    def take(self, name, length):
        self[name] = sink = io.BytesIO()
        sink.close = lambda: None
        return sink

    @property
    def content(self):
        return {name: sink.getvalue() for name, sink in self.items()}


def read(octets: bytes, key=KEY) -> dict[str, bytes]:
    kept = Kept()
    decrypt_parts(io.BytesIO(octets), "b", [key], kept.take)
    return kept.content


def test_parts_come_back_as_they_were_and_in_their_order():
    parts = {"backup.json": b"{}", "db/1-x.jsonl": b"x" * 512, "home/empty": b"", "home/a/b": b"y" * 100_001}
    back = read(written(*(part_of(name, content) for name, content in parts.items())))
    assert back == parts
    assert list(back) == list(parts)


def test_age_and_tar_open_it_without_us():
    octets = written(part_of("backup.json", b"{}"), part_of("home/antin.toml", "số".encode()))
    with tarfile.open(fileobj=io.BytesIO(pyrage.decrypt(octets, [KEY]))) as tar:
        assert tar.getnames() == ["backup.json", "home/antin.toml", "manifest.json"]
        manifest = json.load(tar.extractfile("manifest.json"))
    assert manifest["parts"]["backup.json"]["length"] == 2


def test_neither_writing_nor_reading_keeps_a_long_part_in_memory():
    size = 96 * 1024 * 1024

    class Nothing:
        def write(self, octets):
            return len(octets)

        def flush(self):
            pass

        def close(self):
            pass

    class Pipe(io.BytesIO):
        """Keeps the file, which is what has a place on disk."""

    tracemalloc.start()
    encrypt_parts(
        iter([Part("home/long", size, (bytes(1024 * 1024) for _ in range(96)))]), [KEY.to_public()], Nothing()
    )
    assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    tracemalloc.stop()
    file = Pipe()
    encrypt_parts(iter([Part("home/long", size, (bytes(1024 * 1024) for _ in range(96)))]), [KEY.to_public()], file)
    file.seek(0)
    tracemalloc.start()
    seen = decrypt_parts(file, "b", [KEY], lambda _name, _length: Nothing())
    assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    tracemalloc.stop()
    assert seen.octets == size


@pytest.mark.parametrize("at", [0, 10, 200, 40_000, 100_000, -1])
def test_every_cut_and_every_changed_octet_is_refused(at):
    octets = written(part_of("backup.json", b"{}"), part_of("home/x", bytes(200_000)))
    changed = bytearray(octets)
    changed[at] ^= 1
    for each in (bytes(changed), octets[:at], octets + b"x"):
        with pytest.raises(UsageError) as refused:
            read(each)
        assert refused.value.code in {"BACKUP_UNREADABLE", "RECOVERY_KEY_WRONG"}


def test_another_key_does_not_open_it():
    with pytest.raises(UsageError) as refused:
        read(written(part_of("backup.json", b"{}")), pyrage.x25519.Identity.generate())
    assert refused.value.code == "RECOVERY_KEY_WRONG"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "home/../../x", "home//x", "home/./x", "home/x\x00y", ""])
def test_no_name_leads_out_of_the_folder(name):
    assert not is_safe(name)
    assert not fits(name)


@pytest.mark.parametrize(
    "octets",
    [
        encrypted_tar(("home/../../x", b"x")),
        encrypted_tar(("/x", b"x")),
        encrypted_tar(("home/x", b""), kind=tarfile.SYMTYPE),
        encrypted_tar(("home/x", b""), kind=tarfile.DIRTYPE),
        encrypted_tar(("home/x", b"x")),  # no manifest
        encrypted_tar(("home/x", b"x"), ("manifest.json", b"{}")),
        encrypted_tar(("home/x", b"x"), ("manifest.json", b"no json")),
        encrypted_tar(("blob/" + "0" * 64, b"x")),
        pyrage.encrypt(b"no tar at all", [KEY.to_public()]),
        pyrage.encrypt(bytes(1024), [KEY.to_public()]),
        pyrage.encrypt(b"x" * 5000, [KEY.to_public()]),
        pyrage.encrypt(b"", [KEY.to_public()]),
    ],
)
def test_what_somebody_else_made_for_the_same_key_is_refused(octets):
    with pytest.raises(UsageError) as refused:
        read(octets)
    assert refused.value.code == "BACKUP_UNREADABLE"


def test_a_part_of_another_length_than_said_stops_the_writing():
    with pytest.raises(ComponentError) as refused:
        written(Part("home/x", 3, [b"xy"]))
    assert refused.value.code == "BACKUP_FILE_CHANGED"


def test_errors_of_reader_and_writer_come_through_as_they_are():
    def parts():
        yield part_of("a", b"x")
        raise ComponentError("BACKUP_TOKEN_BUSY", path="x")

    with pytest.raises(ComponentError, match="BACKUP_TOKEN_BUSY"):
        encrypt_parts(parts(), [KEY.to_public()], io.BytesIO())

    class Full(io.BytesIO):
        def write(self, _octets):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space") as full:
        encrypt_parts(iter([part_of("a", bytes(100_000))]), [KEY.to_public()], Full())
    assert full.value.errno == 28

    def take(_name, _length):
        return Full()

    with pytest.raises(OSError, match="No space"):
        decrypt_parts(io.BytesIO(written(part_of("a", b"x"))), "b", [KEY], take)

    def refuse(name, _length):
        raise UsageError("RESTORE_DATABASE_NOT_EMPTY", database=name)

    # The first error counts, whatever the library tries afterwards.
    with pytest.raises(UsageError, match="RESTORE_DATABASE_NOT_EMPTY"):
        decrypt_parts(io.BytesIO(written(part_of("a", bytes(10_000_000)))), "b", [KEY], refuse)


def test_a_recovery_key_is_readable_by_its_owner_and_by_age(tmp_path):
    recipient = make_recovery_key(tmp_path / "k")
    assert (tmp_path / "k").stat().st_mode & 0o077 == 0
    assert [str(each.to_public()) for each in read_identities(tmp_path / "k", "k")] == [recipient]
    assert [str(each) for each in parse_recipients([f" {recipient}\n"])] == [recipient]
    with pytest.raises(FileExistsError):
        make_recovery_key(tmp_path / "k")


def rounds(folder, between=lambda: None):
    found = {}
    for part in token_parts(folder):
        found[part.name] = b"".join(part.octets)
        between()
    return found


def test_a_token_that_stands_still_is_copied_once(tmp_path):
    (tmp_path / "slot").mkdir()
    (tmp_path / "slot" / "a.object").write_bytes(b"key")
    assert rounds(tmp_path) == {"token/1/slot/a.object": b"key", "token.json": b'{"round": 1}'}


def test_a_token_in_which_a_key_is_made_meanwhile_is_copied_again(tmp_path):
    (tmp_path / "a.object").write_bytes(b"key")
    waiting = ["c", "b"]

    def make_key():
        if waiting:
            (tmp_path / f"{waiting.pop()}.object").write_bytes(b"another")

    found = rounds(tmp_path, make_key)
    last = json.loads(found["token.json"])["round"]
    assert last > 1
    assert {name for name in found if name.startswith(f"token/{last}/")} == {
        f"token/{last}/{name}.object" for name in "abc"
    }


def test_the_command_line_does_not_load_the_library_for_help():
    loaded = "import sys; import api.cli.parser; api.cli.parser.build_parser(); sys.exit('pyrage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
