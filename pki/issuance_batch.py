"""Issuance of many certificates at once: two commits and few questions to the key for all; a result for each."""

from __future__ import annotations

from collections.abc import Sequence

from certs.errors import CertsError, DatabaseUnavailable
from certs.inventory import CertificateRecord
from pki.audit import Actor
from pki.errors import IssuerNotGood, PkiError
from pki.issuance import (
    IssuanceRequest,
    IssuingDeps,
    check_issuer,
    decide_contents,
    demand_issuance,
    key_name,
    permission_to_issue,
)
from pki.issuing_cycle import Cycle, Order, issue_orders
from pki.roles import Permission, require


def issue_many(
    requests: Sequence[IssuanceRequest], actor: Actor, deps: IssuingDeps
) -> list[CertificateRecord | Exception]:
    """Issue a certificate for each request: its record, or the error that speaks against it and stops none of the others.

    What is wrong with the installation (database, token, linter, issuer) is raised. If that comes after the intents were stored,
    they remain: `antin doctor` names them and `antin doctor --mend` revokes them. A hundred at a time are enough: what more of
    them share is little, and what a death leaves is more.
    """
    require(actor, Permission.ISSUE)
    check_issuer(deps.issuer, deps.database, deps.clock)
    results: dict[int, CertificateRecord | Exception] = {}
    orders: list[Order] = []
    places: list[int] = []
    for place, request in enumerate(requests):
        try:
            order = _order(request, actor, deps)
        except (DatabaseUnavailable, IssuerNotGood):
            raise
        except (CertsError, PkiError) as error:
            results[place] = error
        else:
            orders.append(order)
            places.append(place)
    issuer_key = deps.issuer.key.public_key()
    cycle = Cycle(deps.database, deps.clock, deps.twins, issuer_key, deps.issuer.sign_all)
    results.update(zip(places, issue_orders(orders, actor, cycle), strict=True))
    return [results[place] for place in range(len(requests))]


def _order(request: IssuanceRequest, actor: Actor, deps: IssuingDeps) -> Order:
    require(actor, permission_to_issue(deps.catalogue.get(request.profile)))
    draft = decide_contents(request, deps)
    return Order(draft, demand_issuance(request, key_name(request.public_key_der), actor, deps))
