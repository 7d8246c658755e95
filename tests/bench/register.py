"""A register of a million documents on PostgreSQL and on SQLite, searched by each thing that people know of a document, page by page."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.migrations.runner import upgrade
from certs.db import Database
from signer.codes import code_of
from signer.register_search import DocumentQuery, parse_query, search_documents
from signer.search_words import search_words
from tests.bench.measure import Row, interleaved
from tests.postgres import durable_cluster

_ALLOWED_SECONDS = 0.05
# SQLite is for a single office: what people wait for without noticing.
_ALLOWED_NEAR = 0.25
_PAGE = 101
_START = datetime(2019, 1, 1, 1, tzinfo=UTC)
_KINDS = ["Quyết định", "Công văn", "Thông báo", "Báo cáo", "Tờ trình", "Kế hoạch", "Giấy mời", "Chỉ thị"]
_DEEDS = [
    "về việc tuyển dụng viên chức", "về việc phê duyệt dự toán", "về việc bổ nhiệm cán bộ", "về việc cấp giấy phép xây dựng",
    "về việc thu hồi đất", "về việc tổ chức hội nghị", "về việc phòng chống thiên tai", "về việc điều chỉnh quy hoạch",
    "về việc tiếp nhận hồ sơ", "về việc khen thưởng tập thể",
]  # fmt: skip
_PLACES = ["Hương Giang", "Phú An", "Đông Hòa", "Tây Sơn", "Bắc Lĩnh", "Nam Hà", "Thượng Xuân", "Hạ Long Mới"]
_OFFICES = ["Sở Y tế", "Sở Tài chính", "Sở Xây dựng", "Ủy ban nhân dân", "Chi cục Thuế", "Trung tâm Hành chính công"]
_NAMES = [
    "Nguyễn Thị Hạnh",
    "Trần Văn Bình",
    "Lê Đức Long",
    "Phạm Minh Châu",
    "Hoàng Xuân Sơn",
    "Vũ Ngọc Lan",
    "Đặng Kim Yến",
]
_DOCUMENT_COLUMNS = (
    "id", "code", "status", "agency", "name", "subject", "number", "number_year", "notation", "details", "created_at",
    "issued_at", "dated_at", "search_text", "agency_text",
)  # fmt: skip
_ACT_COLUMNS = (
    "document_id", "state", "intent", "level", "field", "certificate_serial", "digest_algorithm", "digest", "input_sha256",
    "output_sha256", "output_size", "actor", "claimed_time", "finished_at",
)  # fmt: skip


def run(count: int = 1_000_000) -> list[Row]:
    """Fill both databases and search them; PostgreSQL only where it is installed."""
    rows: list[Row] = []
    server = durable_cluster()
    if server is not None:
        rows += _on(Database(server.new()), count, "PostgreSQL", _ALLOWED_SECONDS)
        server.stop()
    with tempfile.TemporaryDirectory(prefix="antin-bench-") as folder:
        rows += _on(Database(f"sqlite:///{Path(folder) / 'antin.db'}"), count, "SQLite", _ALLOWED_NEAR)
    return rows


def _on(database: Database, count: int, where: str, allowed: float) -> list[Row]:
    try:
        upgrade(database.engine)
        fill(database, count)
        return _measure(database, count, where, allowed)
    finally:
        database.close()


def fill(database: Database, count: int) -> None:
    """So many documents, each with one signature."""
    if database.is_far:
        _copy(database, count)
    else:
        _insert(database, count)


def _copy(database: Database, count: int) -> None:
    with database.engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        # Made at once they cost a fifth of what they cost row by row.
        trigrams = cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'documents' AND indexname LIKE '%_trigrams'"
        ).fetchall()
        for name, _ in trigrams:
            cursor.execute(f"DROP INDEX {name}")
        for table, columns, rows in _tables(count):
            with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        for _, definition in trigrams:
            cursor.execute(definition)
        cursor.execute("ANALYZE")


def _insert(database: Database, count: int) -> None:
    with sqlite3.connect(str(database.url.database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        # The index of words made at once costs a fifth, too.
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for table, columns, rows in _tables(count):
            marks = ", ".join("?" * len(columns))
            written = (tuple(_written(value) for value in row) for row in rows)
            connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", written)
        for _, definition in triggers:
            connection.execute(definition)
        connection.execute("INSERT INTO documents_words (documents_words) VALUES ('rebuild')")
        connection.execute("ANALYZE")
    connection.close()


def _written(value: object) -> object:
    return value.isoformat(" ", "microseconds")[:-6] if isinstance(value, datetime) else value


def _tables(count: int) -> Iterator[tuple[str, tuple[str, ...], Iterator[tuple[object, ...]]]]:
    yield "documents", _DOCUMENT_COLUMNS, (_document(number) for number in range(1, count + 1))
    yield "signing_acts", _ACT_COLUMNS, (_act(number) for number in range(1, count + 1))


def _document(number: int) -> tuple[object, ...]:
    created = _START + timedelta(minutes=4 * number)
    issued = created + timedelta(hours=2) if number % 3 else None
    subject = f"{_pick(_KINDS, number, 7)} {_pick(_DEEDS, number, 11)} tại {_pick(_PLACES, number, 13)}, {_pick(_NAMES, number, 17)}"
    agency = _agency(number)
    details = {"Subject": subject, "OrganName": agency, "CodeNotation": "QĐ-UBND", "Reference": _reference(number)}
    words = search_words(agency, f"van-ban-{number}.pdf", details)
    written = '{"Subject": "%s", "OrganName": "%s", "CodeNotation": "QĐ-UBND"}' % (subject, agency)  # noqa: UP031  braces
    return (
        number, code_of(number), "recalled" if number % 5000 == 0 else "in-force", agency, f"van-ban-{number}.pdf", subject,
        number % 4000 + 1 if issued else None, created.year if issued else None, "QĐ-UBND", written, created, issued,
        issued or created, words["search_text"], words["agency_text"],
    )  # fmt: skip


def _act(number: int) -> tuple[object, ...]:
    made = _START + timedelta(minutes=4 * number)
    digest = _digest(number)
    return (
        number, "done", "approve", "B-B", "Signature1", f"{number % 50:032x}", "sha256", digest, _digest(-number), digest,
        30_000, "clerk", made, made,
    )  # fmt: skip


def _measure(database: Database, count: int, where: str, allowed: float) -> list[Row]:
    number = count // 3
    day = (_START + timedelta(minutes=4 * number)).date().isoformat()
    agency = _agency(number)
    asked: dict[str, dict[str, str]] = {
        "nothing: the newest": {},
        "number": {"number": "1234"},
        "number and notation": {"number": "1234/QĐ-UBND"},
        "a day": {"date_from": day, "date_to": day},
        "agency": {"agency": agency},
        "agency without marks, since a day": {"agency": "so y te huong giang", "date_from": day},
        "code": {"code": code_of(number)},
        "hash": {"hash": _digest(number)[:16]},
        "a common word": {"text": "quyết định"},
        "a common word without marks": {"text": "tuyen dung"},
        "a word of one document": {"text": _reference(number)},
        "a word of none": {"text": "khongcotrongso"},
        "words and a name": {"text": "thu hồi đất phú an lê đức long"},
        "words that never meet": {"text": "tuyen dung thien tai"},
        "a short word": {"text": "y"},
        "a word of an old day": {"text": "bo nhiem", "date_to": "2019-06-30"},
        "status": {"status": "recalled"},
        "status and words": {"status": "recalled", "text": "tuyen dung"},
    }  # fmt: skip
    queries: dict[str, tuple[DocumentQuery, str | None]] = {
        name: (parse_query(typed), None) for name, typed in asked.items()
    }
    queries["the thousandth page"] = (
        parse_query({"text": "quyet dinh"}),
        code_of(count - 100_000 if count > 200_000 else count // 2),
    )
    queries["the next page of a day"] = (
        parse_query({"date_from": "2019-02-01", "date_to": "2024-02-01"}),
        code_of(number),
    )
    with database.read() as session:
        for name, (query, after) in queries.items():
            found = search_documents(session, query, _PAGE, after)
            assert bool(found) is (name not in ("a word of none", "words that never meet")), name
        calls = [
            lambda query=query, after=after: search_documents(session, query, _PAGE, after)
            for query, after in queries.values()
        ]
        times = interleaved(calls, 9)
    return [
        Row(f"register of {count:,} on {where} by {name}, peer: {allowed * 1000:.0f} ms", round(taken * 1000, 1), allowed * 1000, round(allowed / taken, 1), "ms", 9, 1.0)
        for name, taken in zip(queries, times, strict=True)
    ]  # fmt: skip


def _agency(number: int) -> str:
    return f"{_pick(_OFFICES, number, 19)} {_pick(_PLACES, number, 23)}"


def _reference(number: int) -> str:
    return f"hs{number * 2654435761 % 2**40:010x}"


def _digest(number: int) -> str:
    return f"{number * 11400714819323198485 % 2**64:016x}{number % 2**64:048x}"


def _pick(words: list[str], number: int, salt: int) -> str:
    return words[(number + salt) * 2654435761 % 2**32 // salt % len(words)]
