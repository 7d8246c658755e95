"""The key process as the outside sees it: Retry-After, sentences, metrics, and how the speed of a token is set out."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.cli.failures import describe
from api.errors import RequestError
from api.metrics import Metrics
from api.problems import describe_problem, problem, retry_seconds
from api.signing_speed import measure
from api.words import Words
from hsm.errors import KeyPurposeWrong, MechanismUnavailable, SessionUnavailable, TokenAway
from hsm.keyd.state import KeyState, Sessions
from hsm.spec import KeySpec, TokenStatus
from pki.roles import owner
from signer.errors import Unavailable


def away(seconds: str, **facts: str) -> TokenAway:
    return TokenAway("away", **{"retry_after": seconds, "reason": "CKR_DEVICE_REMOVED"} | facts)


@pytest.mark.parametrize(("told", "said"), [("7", 7), ("0", 1), ("999999", 3600), ("soon", 5), ("-1", 5), ("", 5)])
def test_who_needs_a_key_is_told_when_it_is_expected_back(told: str, said: int) -> None:
    status, code, facts = describe_problem(away(told))
    assert (status, code) == (503, "KEYS_UNAVAILABLE")
    assert problem(status, code, facts).headers["retry-after"] == str(said)
    assert b"CKR" not in bytes(problem(status, code, facts).body), "why is for the log"


def test_what_could_not_be_done_for_want_of_a_key_says_the_same_time() -> None:
    error = Unavailable("TIMESTAMP_UNAVAILABLE", reason="SYSTEM_FAILURE")
    error.__cause__ = away("9")
    status, code, facts = describe_problem(error)
    assert (status, code) == (503, "TIMESTAMP_UNAVAILABLE")
    assert problem(status, code, facts).headers["retry-after"] == "9"


def test_other_outages_have_the_usual_time_and_refusals_none() -> None:
    assert retry_seconds(SessionUnavailable("busy", limit="8")) == 5
    assert problem(*describe_problem(KeyPurposeWrong("no", key_id="", purpose="", content=""))).headers["retry-after"]
    assert "retry-after" not in problem(*describe_problem(RequestError("NOT_FOUND"))).headers


@pytest.mark.parametrize("language", ["en", "vi", "ko"])
def test_a_cause_that_a_person_can_mend_is_said_instead_of_the_outage(language: str) -> None:
    exit_code, code, facts = describe(away("1", reason="HSM_PIN_MISSING", pin_file="/etc/pin"))
    assert (exit_code, code) == (5, "HSM_PIN_MISSING")
    assert "/etc/pin" in Words(language).say(code, facts)
    exit_code, code, facts = describe(away("4"))
    assert (exit_code, code) == (5, "HSM_TOKEN_AWAY")
    said = Words(language).say(code, facts)
    assert "4" in said
    assert "CKR_DEVICE_REMOVED" in said


def samples(told: KeyState | None) -> dict[tuple[str, str], float]:
    text = Metrics().text(told)[0].decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("antin_hsm_")
    }


def test_metrics_show_state_breaker_sessions_and_what_happened() -> None:
    told = KeyState(
        "degraded",
        "pin",
        "CKR_PIN_INCORRECT",
        None,
        1,
        "m",
        "t",
        Sessions(3, 16),
        {"pin.refused": 1, "process.died": 4},
    )
    found = samples(told)
    assert found["antin_hsm_state", "degraded"] == 1
    assert found["antin_hsm_state", "ok"] == found["antin_hsm_state", "away"] == 0
    assert found["antin_hsm_breaker", "pin"] == 1
    assert found["antin_hsm_breaker", "closed"] == 0
    assert found["antin_hsm_events_total", "process.died"] == 4
    assert (found["antin_hsm_sessions_open", ""], found["antin_hsm_sessions_limit", ""]) == (3, 16)


def test_metrics_without_a_key_process_say_that_it_is_away() -> None:
    found = samples(None)
    assert found["antin_hsm_state", "away"] == found["antin_hsm_breaker", "open"] == 1
    assert ("antin_hsm_sessions_open", "") not in found


class Measured:
    """A token that has no RSA and signs the faster the more sessions it has."""

    def __init__(self, session_limit: int | None) -> None:
        self._limit = session_limit

    def bench(self, spec: KeySpec, sessions: int, seconds: float) -> float:
        if spec.is_rsa:
            raise MechanismUnavailable("no", mechanism="CKM_RSA_PKCS_KEY_PAIR_GEN")
        return 100.0 * sessions / seconds

    def status(self) -> TokenStatus:
        return TokenStatus("m", "t", "ok", 1, self._limit, None)


@pytest.mark.parametrize(
    ("limit", "setting", "counts"),
    [(None, 8, [1, 2, 4, 8]), (None, 6, [1, 2, 4, 6]), (3, 8, [1, 2, 3]), (16, 1, [1])],
)
def test_speed_is_measured_up_to_what_setting_and_token_allow(
    limit: int | None, setting: int, counts: list[int]
) -> None:
    speeds = measure(Measured(limit), 0.01, setting, owner("measurer"))
    assert [(each.algorithm, each.sessions) for each in speeds] == [
        (spec, count) for spec in ("p-256", "p-384") for count in counts
    ]
    for each in speeds:
        assert each.per_second == 10_000.0 * each.sessions
        assert each.openssl_per_second > 0
        assert each.ratio == pytest.approx(each.per_second / each.openssl_per_second, rel=0.05, abs=0.001)
