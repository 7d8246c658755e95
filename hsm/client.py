"""ClientStore: the KeyStore whose token is held by the key process, on the other side of a Unix socket.

What may be asked twice is asked once more after a connection broke: what is signed is fixed. Making, destroying and
naming a key is not repeated. The key process has verified each signature before it sends it, so this side does not
again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes

from hsm.ahead import SignedAhead
from hsm.connections import Broken, Connection, Connections, NotSent, no_answer, not_running
from hsm.errors import (
    HSMError,
    KeyNotFound,
    KeyProcessFailed,
    MessageRefused,
    PinLocked,
    PinWrong,
    StoreClosed,
    TokenAway,
)
from hsm.handles import SIGNING_DIGESTS, Scheme, check_scheme, sign_only_key, verify_signature
from hsm.keyd.asking import read_state
from hsm.keyd.refs import ref_from_json
from hsm.keyd.state import KeyState
from hsm.messages import Message
from hsm.spec import KeyRef, KeySpec, PrivateKey, PublicKey, Purpose, TokenStatus, key_id_of, load_public_key
from hsm.wire import (
    FIRST_ONLY,
    MESSAGES_LIMIT,
    Op,
    octets,
    parse_body,
    parse_signatures,
    refused,
    request,
    sign_request,
)

__all__ = ["ClientStore", "KeyState", "read_state"]

# Making a key, or walking through 10,000, takes a token its time; when it hangs, the keeper ends it.
_LONG_SECONDS = 120.0


class ClientStore:
    """Keys of the token whose key process has its sockets in `run_folder`. Nothing is connected before the first use.

    `starter` starts an ephemeral key process (KeyProcess.start) and is called when there is none; without one, TokenAway
    is raised then. No answer to a signature is waited for longer than `wait_seconds` and a moment.
    """

    def __init__(
        self, run_folder: Path, *, wait_seconds: float = 10.0, starter: Callable[[], None] | None = None
    ) -> None:
        self._connections = Connections(run_folder, wait_seconds, starter)
        self._run_folder = run_folder
        self._closed = False

    def generate(self, spec: KeySpec, label: str, purpose: Purpose) -> KeyRef:
        body = {"spec": spec.value, "label": label, "purpose": purpose.value}
        answer = self._do(Op.GENERATE, body, repeatable=False)
        return ref_from_json(answer["ref"])

    def get(self, public_key_der: bytes) -> PrivateKey:
        der = bytes(public_key_der)
        self._do(Op.GET, {"key": octets(der)})
        try:
            public_key = load_public_key(der)
        except ValueError as error:
            raise KeyNotFound("not a key", key_id=key_id_of(der).hex()) from error

        def sign(message: Message, scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
            return self._sign(der, (message,), scheme, digest)[0]

        def sign_meanwhile(
            message: Message, scheme: Scheme, digest: hashes.HashAlgorithm, meanwhile: Callable[[], None]
        ) -> bytes:
            return self._sign(der, (message,), scheme, digest, meanwhile)[0]

        ahead = partial(self._sign_ahead, public_key, der)
        return sign_only_key(public_key, sign, _verified_before, sign_meanwhile, ahead)

    def sign_many(
        self, public_key_der: bytes, messages: Sequence[bytes], scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> list[bytes]:
        der = bytes(public_key_der)
        wholes = [bytes(message) for message in messages]
        if not isinstance(digest, SIGNING_DIGESTS):
            check_scheme(load_public_key(der), scheme, digest)  # raises
        signatures = self._sign(der, wholes[:MESSAGES_LIMIT], scheme, digest)
        for start in range(MESSAGES_LIMIT, len(wholes), MESSAGES_LIMIT):
            signatures += self._sign(der, wholes[start : start + MESSAGES_LIMIT], scheme, digest)
        return signatures

    def list_keys(self) -> list[KeyRef]:
        return [ref_from_json(ref) for ref in self._do(Op.LIST, {}, seconds=_LONG_SECONDS)["refs"]]

    def list_destroyed(self) -> list[KeyRef]:
        return [ref_from_json(ref) for ref in self._do(Op.LIST_DESTROYED, {}, seconds=_LONG_SECONDS)["refs"]]

    def assign_purpose(self, public_key_der: bytes, purpose: Purpose) -> None:
        body = {"key": octets(bytes(public_key_der)), "purpose": purpose.value}
        self._do(Op.ASSIGN, body, repeatable=False)

    def check_protected(self, public_key_der: bytes) -> None:
        self._do(Op.CHECK, {"key": octets(bytes(public_key_der))})

    def destroy(self, public_key_der: bytes) -> None:
        self._do(Op.DESTROY, {"key": octets(bytes(public_key_der))}, repeatable=False)

    def bench(self, spec: KeySpec, sessions: int, seconds: float) -> float:
        """Signatures a second in the token process, with keys that vanish afterwards."""
        body = {"spec": spec.value, "sessions": sessions, "seconds": seconds}
        return float(self._do(Op.BENCH, body, seconds=_LONG_SECONDS + seconds)["rate"])

    def status(self) -> TokenStatus:
        """How the token is doing, as its keeper says. Where a starter is given and none runs, one is started to say."""
        if self._closed:
            return _away(StoreClosed.code)
        try:
            state = self.settled_state()
        except HSMError as error:
            return _away(error.code)
        if state is None:
            return _away(TokenAway.code)
        return TokenStatus(
            module=state.module,
            token=state.token,
            state=state.state,
            sessions_open=state.sessions.open,
            session_limit=state.sessions.limit,
            pid=state.pid,
            detail=state.reason,
        )

    def state(self) -> KeyState | None:
        """All that the keeper says; None when there is none. Starts nothing."""
        return read_state(self._run_folder)

    def settled_state(self) -> KeyState | None:
        """The same once the keeper has tried the token. Where a starter is given and none runs, one is started to say;
        KeyProcessFailed or PinMissing when that cannot be done.
        """
        state = self._connections.settled_state()
        if state is not None and self._connections.can_start:
            # An ephemeral keeper ends with its last client, or when it has refused one: let it have had one.
            with suppress(HSMError):
                self._connections.give_back(self._connections.take())
        return state

    def close(self) -> None:
        self._closed = True
        self._connections.close()

    def _sign(
        self,
        der: bytes,
        messages: Sequence[Message],
        scheme: Scheme,
        digest: hashes.HashAlgorithm,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[bytes]:
        asked = sign_request(der, messages, scheme, digest.name)
        answer = self._ask(asked, is_short=len(messages) == 1, meanwhile=meanwhile)
        signatures = parse_signatures(answer)
        if len(signatures) != len(messages):
            raise refused("another number of signatures")
        return signatures

    def _do(
        self, op: Op, body: dict[str, Any], *, repeatable: bool = True, seconds: float | None = None
    ) -> dict[str, Any]:
        if not repeatable:
            seconds = _LONG_SECONDS
        return parse_body(self._ask(request(op, body), repeatable=repeatable, seconds=seconds))

    def _sign_ahead(
        self, public_key: PublicKey, der: bytes, message: Message, scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> SignedAhead:
        asked = sign_request(der, (message,), scheme, digest.name, Op.SIGN_AHEAD)
        answer, connection = self._ask_and_keep(asked, is_short=True)
        try:
            made = parse_signatures(answer)
            if len(made) != 1:
                raise refused("another number of signatures")
        except HSMError:
            connection.close()
            raise

        def confirm() -> None:
            try:
                self._hear_verified(connection)
            except (Broken, TokenAway):
                # The token process has ended in between. Whoever sees that it is right, sees it.
                verify_signature(public_key, made[0], message, scheme, digest)

        return SignedAhead(made[0], confirm, connection.close)

    def _hear_verified(self, connection: Connection) -> None:
        try:
            connection.hear(is_short=True)
        except BaseException:
            connection.close()
            raise
        self._connections.give_back(connection)

    def _ask(
        self,
        pieces: Sequence[Message],
        *,
        repeatable: bool = True,
        seconds: float | None = None,
        is_short: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> bytes:
        answer, connection = self._ask_and_keep(
            pieces, repeatable=repeatable, seconds=seconds, is_short=is_short, meanwhile=meanwhile
        )
        self._connections.give_back(connection)
        return answer

    def _ask_and_keep(
        self,
        pieces: Sequence[Message],
        *,
        repeatable: bool = True,
        seconds: float | None = None,
        is_short: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> tuple[bytes, Connection]:
        """The answer, and the connection that it came on, which is the caller's now."""
        connections = self._connections
        repeated = False
        first = pieces[0][1] in FIRST_ONLY
        while True:
            connection = connections.take(first=first)
            try:
                now, meanwhile = meanwhile, None  # once, however often it is asked
                answer = connection.ask(pieces, seconds or connections.wait_seconds, is_short=is_short, meanwhile=now)
            except NotSent:
                # Never asked, so this is no repetition: the process had gone, or told this connection to go.
                connection.close()
                connections.forget_idle(connection.lane)
            except Broken as broken:
                connection.close()
                connections.forget_idle(connection.lane)
                if not repeatable:
                    raise _unknown_outcome("the connection broke") from broken
                if repeated:
                    raise not_running() from broken
                repeated = True
            except (TokenAway, PinWrong, PinLocked) as away:
                connection.close()
                is_silence = away.facts == no_answer().facts
                if not repeatable and is_silence:
                    raise _unknown_outcome("no answer came") from away
                # This token process is on its way out; another may serve, and what is signed was fixed before.
                if repeated or first or is_silence or not connections.has_others:
                    raise
                connections.forget_idle(connection.lane)
                repeated = True
            except MessageRefused:
                connection.close()  # the other side has closed it, or what it says cannot be followed any more
                raise
            except HSMError:
                connections.give_back(connection)
                raise
            except BaseException:
                connection.close()  # an answer to this question must not be taken for one to the next
                raise
            else:
                return answer, connection


def _verified_before(*_: object) -> None:
    """The token process has verified it with the same public key; a second time would cost as much as the signature."""


def _unknown_outcome(told: str) -> KeyProcessFailed:
    return KeyProcessFailed(f"{told}: it may or may not have happened", reason=told)


def _away(detail: str) -> TokenStatus:
    return TokenStatus("", "", "away", sessions_open=0, session_limit=None, pid=None, detail=detail)
