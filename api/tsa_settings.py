"""The settings of time-stamping: our own authority, and whose stamps are used instead of or after it."""

from __future__ import annotations

from dataclasses import dataclass

from api.setting_rules import OBJECT_IDENTIFIER, at_least, is_web_address, refuse_value
from certs.oids import AUDIT_CHECKPOINT_POLICY

# The word for our own authority in the list of servers.
OWN = "own"


@dataclass(frozen=True)
class TsaServer:
    """One time-stamping authority: `own`, or an address with a file of the certificates that its signer must lead to.

    `timeout_seconds` is for the whole exchange; at most `parallel` requests are open at once in one process. `anchors` is a path,
    meant from the home.
    """

    url: str
    anchors: str = ""
    timeout_seconds: float = 10.0
    parallel: int = 4

    def __post_init__(self) -> None:
        if self.url != OWN and not is_web_address(self.url):
            refuse_value("tsa.servers url", f"{OWN}, https://… or http://… without a name or password", "another")
        if self.url != OWN and not self.anchors:
            refuse_value(
                "tsa.servers anchors", "a file with the certificates that this server's signer leads to", "none"
            )
        if not 0.1 <= self.timeout_seconds <= 120:
            refuse_value("tsa.servers timeout_seconds", "between 0.1 and 120", self.timeout_seconds)
        at_least("tsa.servers parallel", self.parallel, 1)


@dataclass(frozen=True)
class TsaSettings:
    """How time-stamps are made. `accuracy_seconds` is a promise: how far this machine's clock may be off.

    `servers` are asked in their order for the stamps of documents; an empty list means our own authority alone.

    The default policy is an identifier that anybody may make from a UUID (ITU-T X.667). It promises nothing; an operator
    who follows a policy of his own, or the best-practices policy of EN 319 421 (0.4.0.2023.1.1), sets that one.
    """

    policy: str = "2.25.195083350197969538904333480239290237894"
    accuracy_seconds: int = 1
    servers: tuple[TsaServer, ...] = ()

    def __post_init__(self) -> None:
        if not OBJECT_IDENTIFIER.fullmatch(self.policy):
            refuse_value("tsa.policy", "an object identifier like 1.3.6.1.4.1.99999.1", self.policy)
        if self.policy == AUDIT_CHECKPOINT_POLICY:
            # Anybody may ask for a token under this policy; those over audit checkpoints are ours alone.
            refuse_value("tsa.policy", "a policy that is not that of audit checkpoints", self.policy)
        at_least("tsa.accuracy_seconds", self.accuracy_seconds, 1)
        named = [each.url for each in self.servers]
        if len(set(named)) != len(named):
            refuse_value("tsa.servers", "each server once", ", ".join(named))
