"""What the token process does for a request: one message in, one answer out, every failure an answer too.

It keeps no state of connections. Whether a failure ends the process is decided here and told to `on_fatal`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from cryptography.hazmat.primitives import hashes

from hsm.errors import (
    HSMError,
    KeyDestroyed,
    KeyNotFound,
    KeyProcessFailed,
    KeyPurposeWrong,
    MessageRefused,
    PinLocked,
    PinWrong,
    SessionUnavailable,
    TokenAway,
    TokenMissing,
)
from hsm.handles import Scheme
from hsm.keyd.refs import ref_as_json
from hsm.pkcs11_store import Pkcs11Store
from hsm.rv import is_fatal
from hsm.spec import KeySpec, Purpose
from hsm.wire import (
    FIRST_ONLY,
    SIGN,
    SIGN_AHEAD,
    Op,
    done,
    failed,
    number_of,
    octets,
    octets_of,
    parse_body,
    parse_request,
    parse_sign_request,
    refused,
    signatures,
    split_sign_request,
    text_of,
)

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    each.name: each for each in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}
_SCHEMES = {scheme.value: scheme for scheme in Scheme}
_LONGEST_BENCH = 60.0
# A replacement takes about this long; the keeper says more when it takes longer.
_RETRY_AFTER = "1"
_MOST_SEEN = 20_000
_WRITING_SECONDS = 0.05
_LOOKED_AT = 3  # a search of a full token takes long

Told = TypeVar("Told")
# Sends the first of two answers. What is the matter with the connection shows when the last one is sent.
GiveFirst = Callable[[Sequence[bytes]], None]


class _Vanished(TokenMissing):
    """The token answers as an empty one."""


class Requests:
    """Answers requests from a store. Called from many threads."""

    def __init__(
        self,
        store: Pkcs11Store,
        on_fatal: Callable[[HSMError], None],
        on_defect: Callable[[Exception], None],
        *,
        is_first: bool = True,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._is_first = is_first
        self._pause = pause
        self._on_fatal = on_fatal
        self._on_defect = on_defect
        self.fatal: HSMError | None = None
        # Keys that were here once. SoftHSM whose folder was taken away says only that it finds no key.
        self._seen: dict[bytes, None] = {}

    def answer(self, message: bytes, give_first: GiveFirst | None = None) -> Sequence[bytes]:
        """The answer to a request; of two, the last. MessageRefused, for which a connection is closed, is raised."""
        try:
            if self.fatal is not None:
                return failed(going(self.fatal))
            if message[:2] == SIGN:
                return self._sign(message)
            if message[:2] == SIGN_AHEAD:
                return self._sign_ahead(message, give_first or _give_nobody)
            op = parse_request(message)
            body = parse_body(message)
            told = self._deed(op, body)
            if op is Op.GET:
                self._note(octets_of(body, "key"))
            elif op is Op.LIST and not told["refs"]:
                self._check_not_emptied()
            return done(told)
        except MessageRefused:
            raise
        except KeyError:
            raise refused("not for the token process") from None
        except HSMError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 a defect costs one answer, not the process
            self._on_defect(error)
            return failed(KeyProcessFailed("defect in the key process", reason=type(error).__name__))

    def answer_together(self, messages: Sequence[bytes]) -> list[Sequence[bytes] | MessageRefused]:
        """The answers to requests to sign of different clients, which cost less together when they are for one key.

        Each is told what it would be told alone.
        """
        answers: list[Sequence[bytes] | MessageRefused | None] = [None] * len(messages)
        groups: dict[bytes, list[tuple[int, bytes]]] = {}
        for place, message in enumerate(messages):
            head, whole = split_sign_request(message)
            groups.setdefault(head, []).append((place, whole))
        for head, wanted in groups.items():
            if head and len(wanted) > 1 and self.fatal is None:
                for place, answer in self._sign_apart(head, wanted):
                    answers[place] = answer
        return [answer or self._answer_or_refuse(messages[place]) for place, answer in enumerate(answers)]

    def _sign_apart(self, head: bytes, wanted: list[tuple[int, bytes]]) -> Iterator[tuple[int, Sequence[bytes]]]:
        try:
            asked = parse_sign_request(head)
            der, messages = asked.public_key_der, [message for _, message in wanted]
            told = self._store.sign_apart(der, messages, _SCHEMES[asked.scheme], _DIGESTS[asked.digest])
        except Exception:  # noqa: BLE001 nothing was signed: what was in the way is told to each alone
            return
        self._note(der)
        nothing_free: HSMError | None = None
        for (place, _), each in zip(wanted, told, strict=True):
            if isinstance(each, bytes):
                yield place, signatures([each])
            elif isinstance(each, SessionUnavailable) or nothing_free is not None:
                nothing_free = nothing_free or each  # they have waited together
                assert nothing_free is not None
                yield place, failed(nothing_free)
            elif each is not None and not isinstance(each, KeyNotFound | KeyPurposeWrong):
                yield place, self._failed(each)

    def canary(self) -> None:
        """Sign the canary. Its key is one that is here: a process that nobody has asked yet knows by it when the token has gone."""
        der = self._store.canary()
        if der is not None:
            self._note(der)

    def check_token(self) -> None:
        """See whether the token is still there, as the next signature would; on_fatal hears when it is not."""
        try:
            self._look_for_seen()
            self.canary()
        except HSMError as error:
            self._failed(error)

    def _look_for_seen(self) -> None:
        for der in tuple(self._seen)[-_LOOKED_AT:]:
            with contextlib.suppress(KeyDestroyed):  # its tombstone is there
                self._deed(Op.CHECK, {"key": octets(der)})

    def _answer_or_refuse(self, message: bytes) -> Sequence[bytes] | MessageRefused:
        try:
            return self.answer(message)
        except MessageRefused as error:
            return error

    def _failed(self, error: HSMError) -> Sequence[bytes]:
        if not is_final(error):
            return failed(error)
        self.fatal = error
        self._on_fatal(error)
        return failed(going(error))

    def _sign(self, message: bytes) -> Sequence[bytes]:
        asked = parse_sign_request(message)
        der = asked.public_key_der
        how = _SCHEMES[asked.scheme], _DIGESTS[asked.digest]
        try:
            made = self._store.sign_many(der, asked.messages, *how)
        except KeyNotFound as error:
            made = self._again(error, der, lambda: self._store.sign_many(der, asked.messages, *how))
        if der not in self._seen:
            self._note(der)
        return signatures(made)

    def _sign_ahead(self, message: bytes, give_first: GiveFirst) -> Sequence[bytes]:
        asked = parse_sign_request(message)
        if len(asked.messages) != 1:
            raise refused("not one message")
        der, whole = asked.public_key_der, asked.messages[0]
        how = _SCHEMES[asked.scheme], _DIGESTS[asked.digest]
        try:
            made = self._store.sign_ahead(der, whole, *how)
        except KeyNotFound as error:
            made = self._again(error, der, lambda: self._store.sign_ahead(der, whole, *how))
        if der not in self._seen:
            self._note(der)
        # The other side goes on while this one verifies.
        give_first(signatures([made.signature]))
        made.confirm()
        return done()

    def _deed(self, op: Op, body: dict[str, Any]) -> dict[str, Any]:
        if op in FIRST_ONLY and not self._is_first:
            raise refused("not for this token process")
        try:
            return _DEEDS[op](self._store, body)
        except KeyNotFound as error:
            return self._again(error, octets_of(body, "key"), lambda: _DEEDS[op](self._store, body))

    def _again(self, error: KeyNotFound, der: bytes, act: Callable[[], Told]) -> Told:
        """What becomes of an act that did not find a key: of one which was here, the token is gone only when it is not found twice.

        While another token process writes the tombstone, SoftHSM shows for a moment neither key nor tombstone here. A key that was
        never here may be on a token that has gone, too: what was here tells.
        """
        if type(error) is not KeyNotFound:
            raise error
        if der not in self._seen:
            self._look_for_seen()
            raise error
        self._pause(_WRITING_SECONDS)
        try:
            return act()
        except KeyNotFound as again:
            if type(again) is KeyNotFound:
                raise self._vanished() from again
            raise

    def _note(self, der: bytes) -> None:
        if len(self._seen) < _MOST_SEEN:
            self._seen[der] = None

    def _check_not_emptied(self) -> None:
        """Every key that was here has gone, and none has left a tombstone: it is the token that has gone."""
        if self._seen and not self._store.list_destroyed():
            raise self._vanished()

    def _vanished(self) -> TokenMissing:
        # Not the token's own words, so is_final asks for the class. A new process finds the token or says why not; if
        # only the key has gone, it has never seen it, and says that.
        status = self._store.status()
        return _Vanished("a key that was here has gone", token=status.token, module=status.module)


def _give_nobody(_answer: Sequence[bytes]) -> None:
    """For requests that have one answer only."""


def is_final(error: HSMError) -> bool:
    """Whether this process should make room for another, or, after a refused PIN, for none."""
    return isinstance(error, PinWrong | PinLocked | _Vanished) or is_fatal(error)


def going(error: HSMError) -> HSMError:
    """What clients are told by a process that is on its way out."""
    if isinstance(error, PinWrong | PinLocked):
        return error
    reason = error.rv or error.code
    return TokenAway(
        f"the key process is being replaced: {error}", rv=error.rv, retry_after=_RETRY_AFTER, reason=reason
    )


def _hello(_store: Pkcs11Store, _body: dict[str, Any]) -> dict[str, Any]:
    return {}


def _get(store: Pkcs11Store, body: dict[str, Any]) -> dict[str, Any]:
    store.get(octets_of(body, "key"))
    return {}


def _generate(store: Pkcs11Store, body: dict[str, Any]) -> dict[str, Any]:
    ref = store.generate(_named(KeySpec, body, "spec"), text_of(body, "label"), _named(Purpose, body, "purpose"))
    return {"ref": ref_as_json(ref)}


def _list(store: Pkcs11Store, _body: dict[str, Any]) -> dict[str, Any]:
    return {"refs": [ref_as_json(ref) for ref in store.list_keys()]}


def _list_destroyed(store: Pkcs11Store, _body: dict[str, Any]) -> dict[str, Any]:
    return {"refs": [ref_as_json(ref) for ref in store.list_destroyed()]}


def _check(store: Pkcs11Store, body: dict[str, Any]) -> dict[str, Any]:
    store.check_protected(octets_of(body, "key"))
    return {}


def _assign(store: Pkcs11Store, body: dict[str, Any]) -> dict[str, Any]:
    store.assign_purpose(octets_of(body, "key"), _named(Purpose, body, "purpose"))
    return {}


def _destroy(store: Pkcs11Store, body: dict[str, Any]) -> dict[str, Any]:
    store.destroy(octets_of(body, "key"))
    return {}


def _status(store: Pkcs11Store, _body: dict[str, Any]) -> dict[str, Any]:
    status = store.status()
    return {"state": status.state, "sessions_open": status.sessions_open, "detail": status.detail}


def _bench(store: Pkcs11Store, body: dict[str, Any]) -> dict[str, Any]:
    sessions = int(number_of(body, "sessions", 1, 1024))
    seconds = float(number_of(body, "seconds", 0.01, _LONGEST_BENCH))
    return {"rate": store.bench(_named(KeySpec, body, "spec"), sessions, seconds)}


def _named(kind: Callable[[str], Any], body: dict[str, Any], name: str) -> Any:
    try:
        return kind(text_of(body, name))
    except ValueError:
        raise refused(f"unknown {name}") from None


_DEEDS: dict[Op, Callable[[Pkcs11Store, dict[str, Any]], dict[str, Any]]] = {
    Op.HELLO: _hello,
    Op.GET: _get,
    Op.GENERATE: _generate,
    Op.LIST: _list,
    Op.LIST_DESTROYED: _list_destroyed,
    Op.CHECK: _check,
    Op.ASSIGN: _assign,
    Op.DESTROY: _destroy,
    Op.STATUS: _status,
    Op.BENCH: _bench,
}
