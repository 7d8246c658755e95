"""Standing: how a token is doing, as the process that uses it sees it. It leaves what is done about it to ladder.py."""

from __future__ import annotations

from hsm.errors import HSMError, ModuleMissing, StoreClosed, TokenFailed, TokenMissing
from hsm.sessions import SessionPool
from hsm.spec import TokenStatus

# With these the token is not there at all; with any other error it is there and does not serve.
_AWAY = (ModuleMissing, TokenMissing, StoreClosed, TokenFailed)


def status_of(pool: SessionPool) -> TokenStatus:
    """The state of the pool's token, which is looked for now. Nothing is raised."""
    state, detail, limit = "ok", "", None
    try:
        opened = pool.open_token()
        opened.module.check_process()
        limit = opened.session_limit
        with pool.calls.running():
            opened.module.find_token(pool.login.token_label)
    except HSMError as error:
        state, detail = ("away" if isinstance(error, _AWAY) else "degraded"), error.code
    return TokenStatus(
        module=str(pool.login.module_path),
        token=pool.login.token_label,
        state=state,
        sessions_open=pool.sessions_open,
        session_limit=limit,
        pid=None,  # there is no key process: the token is used in this one
        detail=detail,
    )
