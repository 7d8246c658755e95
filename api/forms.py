"""Multipart forms (RFC 7578): read strictly, files spooled to disk, never more kept than was asked for."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from api.errors import RequestError
from signer.password import NO_PASSWORD, Password, parse_password

_FIELD_OCTETS = 64 * 1024
# What is said of each of many files.
_BATCH_FIELD_OCTETS = 2 * 1024 * 1024
PASSWORD = "password"  # noqa: S105  the field's name, not what stands in it
CONTENT = "content"
_LONGEST_NAME = 255
# Characters that turn a name around, hide in it or end a line.
_FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass
class _Fields:
    """The plain fields of a form by name."""

    fields: dict[str, str] = field(repr=False)  # a password may be among them

    def password(self) -> Password:
        """What opens the file, if the form brings it; UsageWrong for what can be no password."""
        typed = self.fields.get(PASSWORD)
        return parse_password(typed.encode("utf-8")) if typed else NO_PASSWORD


@dataclass
class Form(_Fields):
    """What was sent: one file, and the plain fields by name."""

    name: str
    _file: UploadFile
    _beside: UploadFile | None = None

    @property
    def size(self) -> int:
        """Octets of the file."""
        return self._file.size or 0

    def content(self) -> bytes:
        """The file's bytes. Blocks: call it on a thread."""
        return _octets(self._file)

    def beside(self) -> bytes | None:
        """The bytes of the second file, which a signature in a file of its own belongs to; None where none was chosen."""
        if self._beside is None:
            return None
        octets = _octets(self._beside)
        # A browser sends a field that nobody has filled in as an empty file without a name.
        return octets if octets or self._beside.filename else None


@dataclass
class BatchForm(_Fields):
    """What was sent: many files, and the plain fields by name."""

    names: list[str]
    _files: list[UploadFile]

    def contents(self) -> list[bytes]:
        """The bytes of each file. Blocks: call it on a thread."""
        return [_octets(file) for file in self._files]


def _octets(file: UploadFile) -> bytes:
    file.file.seek(0)
    return file.file.read()


class _Parser(MultiPartParser):
    """Starlette's parser, which forgives what we do not: a body that ends early, text that is not UTF-8."""

    ended = False

    def on_headers_finished(self) -> None:
        part = self._current_part
        disposition = part.content_disposition or b""
        # A client that sends `file` without a filename still means a file.
        names_file = b'name="file"' in disposition or b'name="content"' in disposition
        if names_file and b"filename" not in disposition.lower():
            part.content_disposition = disposition + b'; filename=""'
        super().on_headers_finished()

    def on_part_end(self) -> None:
        if self._current_part.file is None:
            try:
                self._current_part.data.decode("utf-8")
            except UnicodeDecodeError:
                raise MultiPartException("a field is not UTF-8") from None
        super().on_part_end()

    def on_end(self) -> None:
        self.ended = True


@asynccontextmanager
async def read_form(request: Request, known: Collection[str] = ()) -> AsyncIterator[Form]:
    """The form of a request with one `file` and the known fields, each once; RequestError otherwise. The file is gone afterwards."""
    async with _parsed(request, max_files=1, max_fields=len(known) + 1, field_octets=_FIELD_OCTETS) as data:
        fields, files = _sorted(data, known)
        yield _one(fields, files)


@asynccontextmanager
async def read_verify_form(request: Request, known: Collection[str] = ()) -> AsyncIterator[Form]:
    """The same with a second file, `content`, where the first one is a signature or a time-stamp alone."""
    async with _parsed(request, max_files=2, max_fields=len(known) + 1, field_octets=_FIELD_OCTETS) as data:
        beside = [value for name, value in data.multi_items() if name == CONTENT and isinstance(value, UploadFile)]
        if len(beside) > 1:
            raise RequestError("FORM_FIELD_TWICE", field=CONTENT)
        others = FormData([(name, value) for name, value in data.multi_items() if value not in beside])
        fields, files = _sorted(others, known, (CONTENT,))
        if len(files) > 1:
            raise RequestError("FORM_MALFORMED")
        form = _one(fields, files)
        yield Form(form.fields, form.name, files[-1], beside[0] if beside else None)


@asynccontextmanager
async def read_batch_form(request: Request, known: Collection[str], most_files: int) -> AsyncIterator[BatchForm]:
    """The same with one `file` or many."""
    # One more than may come, so that we say it and not the parser.
    wanted = _parsed(request, max_files=most_files + 1, max_fields=len(known) + 1, field_octets=_BATCH_FIELD_OCTETS)
    async with wanted as data:
        fields, files = _sorted(data, known)
        if not files:
            raise RequestError("FORM_FILE_MISSING")
        if len(files) > most_files:
            raise RequestError("BATCH_TOO_LONG", limit=str(most_files))
        if any(_is_name_alone(file) for file in files):
            raise RequestError("FORM_FILE_IS_TEXT")
        yield BatchForm(fields, [clean_name(file.filename or "") for file in files], files)


@asynccontextmanager
async def _parsed(request: Request, *, max_files: int, max_fields: int, field_octets: int) -> AsyncIterator[FormData]:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise RequestError("MEDIA_TYPE_WRONG", wanted="multipart/form-data")
    parser = _Parser(
        request.headers, request.stream(), max_files=max_files, max_fields=max_fields, max_part_size=field_octets
    )
    parser._charset = "utf-8"  # noqa: SLF001  whatever the Content-Type claims, RFC 7578 5.1.2 text is UTF-8
    try:
        data = await parser.parse()
    except MultiPartException as error:
        raise RequestError("FORM_MALFORMED") from error
    except (FormParserError, ValueError, AssertionError) as error:
        raise RequestError("FORM_MALFORMED") from error
    try:
        if not parser.ended:
            raise RequestError("FORM_MALFORMED")
        yield data
    finally:
        await data.close()


def _sorted(
    data: FormData, known: Collection[str], other_files: Collection[str] = ()
) -> tuple[dict[str, str], list[UploadFile]]:
    valid = ", ".join(("file", *other_files, *known))
    fields: dict[str, str] = {}
    files: list[UploadFile] = []
    for name, value in data.multi_items():
        if isinstance(value, UploadFile):
            if name != "file":
                raise RequestError("FORM_FIELD_UNKNOWN", field=clean_name(name), valid=valid)
            files.append(value)
        elif name not in known:
            raise RequestError("FORM_FIELD_UNKNOWN", field=clean_name(name), valid=valid)
        elif name in fields:
            raise RequestError("FORM_FIELD_TWICE", field=name)
        else:
            fields[name] = value
    return fields, files


def _one(fields: dict[str, str], files: list[UploadFile]) -> Form:
    if not files:
        raise RequestError("FORM_FILE_MISSING")
    file = files[-1]
    if _is_name_alone(file):
        raise RequestError("FORM_FILE_IS_TEXT")
    return Form(fields, clean_name(file.filename or ""), file)


def _is_name_alone(file: UploadFile) -> bool:
    """Whether a line of text came where a file belongs: `curl -F file=letter.pdf` sends the name and forgets the file."""
    if file.filename or not 0 < (file.size or 0) <= _LONGEST_NAME:
        return False
    text = file.file.read()
    file.file.seek(0)
    return b"%PDF" not in text and text.lower().strip().endswith(b".pdf")


def clean_name(text: str) -> str:
    """A file's base name as it may be shown and kept: no folders, nothing invisible, NFC, bounded."""
    base = unicodedata.normalize("NFC", text).replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(each for each in base if unicodedata.category(each) not in _FORBIDDEN).strip()
    return shown[:_LONGEST_NAME] or "document.pdf"
