import fcntl
import json
import os
import random
import socket
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm import errors
from hsm.channel import INLINE_LIMIT, limit_times, peer_of, receive, receive_short, send
from hsm.errors import HSMError, KeyProcessFailed, MessageRefused, TokenAway
from hsm.handles import SIGNING_DIGESTS, Scheme
from hsm.wire import (
    BODY_LIMIT,
    DIGESTS,
    SCHEMES,
    Op,
    done,
    failed,
    number_of,
    octets_of,
    parse_answer,
    parse_body,
    parse_request,
    parse_sign_request,
    parse_signatures,
    request,
    sign_request,
    signatures,
    split_sign_request,
    text_of,
)

ALL_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@pytest.fixture
def pair():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (left, right):
        limit_times(end, sending=2.0, receiving=2.0)
    yield left, right
    left.close()
    right.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_schemes_and_digests_of_the_wire_are_those_that_keys_sign_with():
    assert set(SCHEMES) == {scheme.value for scheme in Scheme}
    assert set(DIGESTS) == {digest.name for digest in SIGNING_DIGESTS}


@given(st.binary(max_size=600), st.lists(st.binary(max_size=300), max_size=40), st.sampled_from(SCHEMES))
def test_a_request_to_sign_arrives_as_it_was_made(key, messages, scheme):
    message = b"".join(sign_request(key, messages, scheme, "sha384"))
    assert parse_request(message) is Op.SIGN
    read = parse_sign_request(message)
    assert (read.public_key_der, read.messages, read.scheme, read.digest) == (key, messages, scheme, "sha384")


@given(st.binary(max_size=600), st.lists(st.binary(max_size=300), max_size=3), st.sampled_from(SCHEMES))
def test_a_request_for_one_message_is_split_and_no_other(key, messages, scheme):
    parts = split_sign_request(b"".join(sign_request(key, messages, scheme, "sha384")))
    none = b"".join(sign_request(key, [], scheme, "sha384"))
    assert parts == ((none, messages[0]) if len(messages) == 1 else (b"", b""))


@given(st.integers(2, 19), st.integers(0, 255))
def test_a_request_with_one_octet_changed_is_split_as_it_is_read_or_not_at_all(place, octet):
    message = bytearray(b"".join(sign_request(b"key", [b"hello"], "ecdsa", "sha256")))
    message[place] = octet
    none, one = split_sign_request(bytes(message))
    if none:
        try:
            whole = parse_sign_request(bytes(message))
        except MessageRefused:
            with pytest.raises(MessageRefused):
                parse_sign_request(none)
        else:
            assert whole == parse_sign_request(none)._replace(messages=[one])


@given(st.lists(st.binary(max_size=600), max_size=40))
def test_signatures_arrive_as_they_were_made(made):
    answer = b"".join(signatures(made))
    assert parse_signatures(parse_answer(answer)) == made


def test_every_truncation_and_every_addition_to_a_request_to_sign_is_refused():
    message = b"".join(sign_request(b"key", [b"one", b"", b"three"], "ecdsa", "sha256"))
    for length in range(2, len(message)):
        with pytest.raises(MessageRefused):
            parse_sign_request(message[:length])
    with pytest.raises(MessageRefused):
        parse_sign_request(message + b"\0")


@pytest.mark.parametrize("made", [[b"one"], [b"one", b"two"]])
def test_every_truncation_of_signatures_and_every_addition_to_them_is_refused(made):
    answer = b"".join(signatures(made))
    for length in range(2, len(answer)):
        with pytest.raises(MessageRefused):
            parse_signatures(answer[:length])
    with pytest.raises(MessageRefused):
        parse_signatures(answer + b"\0")


def test_a_short_answer_is_received_and_what_comes_as_a_memory_file_instead_is_refused(pair):
    here, there = pair
    send(here, signatures([b"one"]))
    assert parse_signatures(parse_answer(receive_short(there))) == [b"one"]
    before = len(list(Path("/proc/self/fd").iterdir()))
    send(here, signatures([bytes(0xFFFF)] * 2))
    with pytest.raises(MessageRefused):
        receive_short(there)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    here.close()
    assert receive_short(there) == b""


def test_what_was_cut_because_it_is_longer_than_a_short_answer_is_refused(pair):
    here, there = pair
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * INLINE_LIMIT)
    here.send(b"".join(signatures([bytes(0xFFFF)])))
    with pytest.raises(MessageRefused):
        parse_signatures(receive_short(there))


def test_lengths_that_lie_are_refused():
    head = struct.pack("!BBBBH", 1, Op.SIGN, 2, 0, 3) + b"key"
    for rest in (
        struct.pack("!HI", 1, 0xFFFFFFFF),
        struct.pack("!H", 0xFFFF),
        struct.pack("!HI", 1, 5) + b"four",
        struct.pack("!HI", 2, 4) + b"four",
        struct.pack("!HI", 0, 4),
    ):
        with pytest.raises(MessageRefused):
            parse_sign_request(head + rest)
    for scheme, digest in ((3, 0), (0, 3), (255, 255)):
        with pytest.raises(MessageRefused):
            parse_sign_request(struct.pack("!BBBBHH", 1, Op.SIGN, scheme, digest, 0, 0))


@given(st.binary(max_size=200))
def test_octets_of_any_kind_are_read_or_refused(message):
    for parse in (parse_request, parse_sign_request, parse_signatures, parse_body, parse_answer):
        with suppress(MessageRefused, KeyProcessFailed):
            parse(message)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"1", b"\xff", b"[" * 60_000, b'{"a":' * 20_000, b"null"], ids=lambda body: repr(body[:5])
)
def test_a_body_that_is_no_json_object_is_refused(body):
    with pytest.raises(MessageRefused):
        parse_body(b"\1\1" + body)


def test_fields_of_a_body_are_of_their_kind_or_refused():
    body = {"text": "t", "octets": "AQI=", "number": 3, "truth": True, "large": 1e99}
    assert (text_of(body, "text"), octets_of(body, "octets"), number_of(body, "number", 1, 3)) == ("t", b"\1\2", 3)
    for read in (
        lambda: text_of(body, "number"),
        lambda: text_of(body, "absent"),
        lambda: octets_of(body, "number"),
        lambda: octets_of({"octets": "A"}, "octets"),
        lambda: octets_of({"octets": "ấ"}, "octets"),
        lambda: number_of(body, "truth", 0, 9),
        lambda: number_of(body, "large", 0, 9),
        lambda: number_of({"nan": float("nan")}, "nan", 0, 9),
    ):
        with pytest.raises(MessageRefused):
            read()


def test_errors_cross_the_wire_with_code_facts_and_return_value():
    for kind in (each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, HSMError)):
        told = kind("what happened", rv="CKR_DEVICE_ERROR", token="antin", reason="x")
        with pytest.raises(HSMError) as rebuilt:
            parse_answer(b"".join(failed(told)))
        if kind in (HSMError, errors.StoreClosed):  # neither is ever an answer
            assert type(rebuilt.value) is KeyProcessFailed
            continue
        assert type(rebuilt.value) is kind
        assert (str(rebuilt.value), rebuilt.value.rv) == ("what happened", "CKR_DEVICE_ERROR")
        assert rebuilt.value.facts == {"token": "antin", "reason": "x"}


def test_a_code_nobody_knows_is_a_failure_of_the_key_process():
    answer = b"\1\1" + json.dumps({"code": "HSM_OF_TOMORROW", "message": "m", "rv": None, "facts": {}}).encode()
    with pytest.raises(KeyProcessFailed) as failure:
        parse_answer(answer)
    assert failure.value.facts == {"reason": "HSM_OF_TOMORROW"}


def test_a_version_or_request_nobody_knows_is_refused():
    for message in (b"", b"\1", b"\2\1", b"\1\x63", b"\0\0"):
        with pytest.raises(MessageRefused):
            parse_request(message)


def test_a_small_message_is_one_datagram_and_a_large_one_a_sealed_memory_file(pair):
    left, right = pair
    before = open_descriptors()
    for size in (1, INLINE_LIMIT - 100, INLINE_LIMIT + 1, 5_000_000):
        body = random.Random(size).randbytes(size)
        send(left, [b"\1\2", body])
        assert receive(right) == b"\1\2" + body
    assert open_descriptors() == before


def test_more_than_the_limit_is_not_even_sent(pair):
    with pytest.raises(MessageRefused):
        send(pair[0], [bytes(BODY_LIMIT), b"\0"])


def memory_file(content: bytes, seals: int) -> int:
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    if seals:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def send_descriptors(connection: socket.socket, message: bytes, *descriptors: int) -> None:
    rights = struct.pack(f"{len(descriptors)}i", *descriptors)
    connection.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def elsewhere(length: int) -> bytes:
    return struct.pack("!BBQ", 1, 0xFF, length)


@pytest.mark.parametrize(
    ("seals", "length"),
    [
        (0, 4),
        (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW, 4),
        (fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW, 4),
        (fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK, 4),
        (ALL_SEALS, 3),
        (ALL_SEALS, 5),
        (ALL_SEALS, BODY_LIMIT + 1),
        (ALL_SEALS, 2**63),
    ],
)
def test_a_body_that_could_change_or_is_not_what_was_said_is_refused_and_closed(pair, seals, length):
    left, right = pair
    descriptor = memory_file(b"body", seals)
    before = open_descriptors()
    send_descriptors(left, elsewhere(length), descriptor)
    with pytest.raises(MessageRefused):
        receive(right)
    assert open_descriptors() == before
    os.close(descriptor)


def test_a_pipe_a_file_and_a_device_are_no_bodies(pair, tmp_path):
    left, right = pair
    (tmp_path / "file").write_bytes(b"body")
    reading, writing = os.pipe()
    opened = [reading, writing, os.open(tmp_path / "file", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)]
    for descriptor in opened:
        send_descriptors(left, elsewhere(4), descriptor)
        with pytest.raises(MessageRefused):
            receive(right)
        os.close(descriptor)


def test_descriptors_that_were_not_expected_are_closed(pair):
    left, right = pair
    descriptor = memory_file(b"body", ALL_SEALS)
    before = open_descriptors()
    for message, count in ((b"\1\1{}", 1), (elsewhere(4), 2), (elsewhere(4), 30), (elsewhere(4)[:5], 1)):
        send_descriptors(left, message, *[descriptor] * count)
        with pytest.raises(MessageRefused):
            receive(right)
        assert open_descriptors() == before
    left.send(elsewhere(4))  # and none where one was
    with pytest.raises(MessageRefused):
        receive(right)
    os.close(descriptor)


def test_a_datagram_longer_than_any_of_ours_is_refused(pair):
    left, right = pair
    left.send(b"\1\1" + bytes(INLINE_LIMIT))
    with pytest.raises(MessageRefused):
        receive(right)


def test_a_closed_connection_says_nothing(pair):
    left, right = pair
    left.close()
    assert receive(right) == b""


def test_waiting_has_an_end(pair):
    limit_times(pair[0], receiving=0.05)
    with pytest.raises(BlockingIOError):
        receive(pair[0])


def test_the_kernel_tells_who_is_at_the_other_end(pair):
    assert peer_of(pair[0]) == (os.getpid(), os.geteuid())


def test_a_body_without_anything_is_an_empty_object():
    assert parse_body(b"".join(request(Op.LIST))) == {}
    assert parse_body(parse_answer(b"".join(done()))) == {}


def test_away_keeps_its_seconds():
    with pytest.raises(TokenAway) as away:
        parse_answer(b"".join(failed(TokenAway("away", retry_after="7", reason="CKR_DEVICE_REMOVED"))))
    assert away.value.facts == {"retry_after": "7", "reason": "CKR_DEVICE_REMOVED"}
