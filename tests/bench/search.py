"""A million certificates on PostgreSQL, and one of them looked for by each thing that people know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from api.migrations.runner import upgrade
from certs.db import Database
from certs.inventory import State, fold
from certs.search import CertificateQuery, search
from tests.bench.measure import Row, interleaved
from tests.postgres import durable_cluster

_ALLOWED_SECONDS = 0.05
_FAMILIES = ["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Lý"]
_MIDDLES = ["Thị", "Văn", "Đức", "Minh", "Hữu", "Ngọc", "Thanh", "Quốc", "Xuân", "Hải", "Kim", "Anh"]
_GIVEN = [
    "An",
    "Bình",
    "Châu",
    "Dũng",
    "Giang",
    "Hà",
    "Hạnh",
    "Hùng",
    "Khánh",
    "Lan",
    "Linh",
    "Long",
    "Mai",
    "Nam",
    "Phong",
    "Phúc",
    "Quân",
    "Sơn",
    "Thảo",
    "Tuấn",
    "Vy",
    "Yến",
]
_PLACES = ["Hương Giang", "Phú An", "Đông Hòa", "Tây Sơn", "Bắc Lĩnh", "Nam Hà", "Thượng Xuân", "Hạ Long Mới"]
_OFFICES = ["Sở Y tế", "Sở Tài chính", "Sở Xây dựng", "Ủy ban nhân dân", "Chi cục Thuế", "Trung tâm Hành chính công"]
_START = datetime(2024, 1, 1, tzinfo=UTC)


def run(count: int = 1_000_000) -> list[Row]:
    """Fill a database and search it; nothing where PostgreSQL is not installed."""
    server = durable_cluster()
    if server is None:
        return []
    database = Database(server.new())
    try:
        upgrade(database.engine)
        _fill(database, count)
        return _measure(database, count)
    finally:
        database.close()


def _fill(database: Database, count: int) -> None:
    columns = (
        "serial, profile, subject, common_name, organization, search_text, organization_text, issuer, state, not_before, "
        "not_after, tbs, der, sha256, public_key_der, key_id, created_at"
    )
    with database.engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        cursor = driver.cursor()
        cursor.execute("SET statement_timeout = 0")
        with cursor.copy(f"COPY certificates ({columns}) FROM STDIN") as copy:
            for row in _rows(count):
                copy.write_row(row)
        with cursor.copy("COPY certificate_identifiers (serial, value) FROM STDIN") as copy:
            for number in range(count):
                copy.write_row((_serial(number), f"CCCD:{number * 7919 % 10**12:012}"))
        cursor.execute("ANALYZE")


def _name(number: int) -> str:
    return f"{_pick(_FAMILIES, number, 7)} {_pick(_MIDDLES, number, 11)} {_pick(_GIVEN, number, 13)}"


def _organization(number: int) -> str:
    return f"{_pick(_OFFICES, number, 17)} {_pick(_PLACES, number, 19)} {number // 2000}"


def _rows(count: int) -> Iterator[tuple[object, ...]]:
    for number in range(count):
        name, organization, serial = _name(number), _organization(number), _serial(number)
        subject = f"CN={name},UID=CCCD:{number * 7919 % 10**12:012},O={organization},C=VN"
        begun = _START + timedelta(seconds=60 * number)
        digest = f"{number * 2654435761 % 2**64:016x}"
        yield (
            serial, "officer", subject, name, organization, fold(f"{subject} {serial}"), fold(organization), "issuing",
            "revoked" if number % 50 == 0 else "active", begun, begun + timedelta(days=731), b"tbs" * 150, b"der" * 200,
            f"{digest}{number:048x}", b"key" * 30, f"{digest[:8]}{number:032x}", begun,
        )  # fmt: skip


def _measure(database: Database, count: int) -> list[Row]:
    number = count // 3
    now = _START + timedelta(minutes=count)
    middle = _START + timedelta(minutes=number)
    ended = middle + timedelta(days=731)
    digest = f"{number * 2654435761 % 2**64:016x}"
    queries = {
        "a whole name": CertificateQuery(text=fold(_name(number))),
        "a common word": CertificateQuery(text="nguyen"),
        "name and place": CertificateQuery(text=f"{_name(number)} {_pick(_PLACES, number, 19)}"),
        "organization": CertificateQuery(organization=_organization(number)),
        "identifier": CertificateQuery(identifier=f"{number * 7919 % 10**12:012}"),
        "serial": CertificateQuery(serial=_serial(number)[:12]),
        "fingerprint": CertificateQuery(sha256=f"{digest}{number:048x}"[:20]),
        "key": CertificateQuery(key_id=f"{digest[:8]}{number:032x}"),
        "date": CertificateQuery(issued_from=middle, issued_before=middle + timedelta(hours=1)),
        "end of term": CertificateQuery(ends_from=ended, ends_before=ended + timedelta(hours=1)),
        "state": CertificateQuery(state=State.REVOKED),
        "state and name": CertificateQuery(state=State.REVOKED, text="phan"),
    }  # fmt: skip
    with database.read() as session:
        for query in queries.values():
            assert search(session, now, query, limit=50), query
        times = interleaved([lambda each=each: search(session, now, each, limit=50) for each in queries.values()], 15)
    return [
        Row(f"search {count:,} by {name}, peer: 50 ms", round(taken * 1000, 1), 50.0, round(_ALLOWED_SECONDS / taken, 1), "ms", 15, 1.0)
        for name, taken in zip(queries, times, strict=True)
    ]  # fmt: skip


def _pick(words: list[str], number: int, salt: int) -> str:
    return words[(number + salt) * 2654435761 % 2**32 // salt % len(words)]


def _serial(number: int) -> str:
    return f"{number * 11400714819323198485 % 2**64:016x}{number:024x}"
