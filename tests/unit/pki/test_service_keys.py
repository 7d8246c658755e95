"""A service is made once, finished when it was interrupted, renewed when it is due, and never renewed out of a revocation."""

from __future__ import annotations

import pytest

from certs.inventory import State
from hsm.errors import SigningFailed
from hsm.spec import KeySpec
from pki.audit import list_acts
from pki.errors import ServiceExists, ServiceNameRefused, ServiceNotReady
from pki.service_keys import ServiceDesk, ServiceKind, ServiceState, is_service_ready, list_services
from tests.unit.pki.services import make_service


@pytest.fixture
def desk(world):
    return ServiceDesk(world.database, world.keys, world.clock)


def ready(world, name="ocsp"):
    with world.database.read() as session:
        return is_service_ready(session, name, world.clock.now())


def acts(world, name="ocsp"):
    with world.database.read() as session:
        return [act.action for act in list_acts(session, subject_id=name)]


def test_a_service_is_made_once(world, desk):
    assert not ready(world)
    first = make_service(world, ServiceKind.OCSP)
    assert (first.state, first.authority, first.kind) == (ServiceState.ACTIVE, "issuing", ServiceKind.OCSP)
    assert make_service(world, ServiceKind.OCSP) == first
    assert ready(world)
    assert acts(world) == ["service.create", "service.activate"]
    (service,) = desk.usable(ServiceKind.OCSP)
    assert service.certificate == world.record(first.serial).certificate()
    assert service.chain == (world.issuing.certificate,)


def test_a_run_that_died_at_the_issuers_key_is_finished_by_the_next(world):
    key = world.issuing.key
    sign = key._sign_call

    def die(*_):
        raise SigningFailed("the token is gone")

    key._sign_call = die
    with pytest.raises(SigningFailed):
        make_service(world, ServiceKind.TSA)
    with world.database.read() as session:
        (pending,) = list_services(session)
    assert (pending.state, pending.serial) == (ServiceState.PENDING, None)
    key._sign_call = sign
    finished = make_service(world, ServiceKind.TSA)
    assert (finished.public_key_der, finished.state) == (pending.public_key_der, ServiceState.ACTIVE)
    assert [ref.label for ref in world.keys.list_keys()].count("service-tsa") == 1


def test_a_certificate_is_renewed_for_the_same_key_after_two_thirds_of_its_life(world, desk):
    first = make_service(world, ServiceKind.OCSP)
    world.clock.advance(days=59)
    assert make_service(world, ServiceKind.OCSP) == first
    world.clock.advance(days=2)
    assert not ready(world)
    renewed = make_service(world, ServiceKind.OCSP)
    assert renewed.serial != first.serial
    assert renewed.public_key_der == first.public_key_der
    assert acts(world)[-1] == "service.renew"
    assert world.record(first.serial).state is State.ACTIVE
    assert desk.usable(ServiceKind.OCSP)[0].certificate == world.record(renewed.serial).certificate()


def test_a_certificate_that_already_lasts_as_long_as_its_issuer_is_not_renewed_again_and_again(world):
    world.clock.advance(days=3653 - 60)
    first = make_service(world, ServiceKind.OCSP)
    assert world.record(first.serial).not_after == world.issuing.certificate.not_valid_after_utc
    world.clock.advance(days=50)
    assert make_service(world, ServiceKind.OCSP) == first


def test_a_revoked_service_is_not_certified_anew_and_no_longer_handed_out(world, desk):
    first = make_service(world, ServiceKind.TSA)
    desk.usable(ServiceKind.TSA)
    world.revoke(first.serial)
    world.clock.advance(seconds=61)
    assert make_service(world, ServiceKind.TSA) == first
    with pytest.raises(ServiceNotReady) as refused:
        desk.usable(ServiceKind.TSA)
    assert refused.value.facts == {"kind": "tsa"}


def test_an_ended_certificate_signs_nothing_though_it_was_read_before(world, desk):
    make_service(world, ServiceKind.OCSP)
    desk.usable(ServiceKind.OCSP)
    world.clock.advance(days=91)
    with pytest.raises(ServiceNotReady):
        desk.usable(ServiceKind.OCSP)


def test_a_second_key_of_a_kind_stands_behind_the_first(world, desk):
    make_service(world, ServiceKind.TSA)
    world.clock.advance(seconds=1)
    make_service(world, ServiceKind.TSA, "a-newer-tsa", KeySpec.P_384)
    assert [service.name for service in desk.usable(ServiceKind.TSA)] == ["tsa", "a-newer-tsa"]


def test_a_name_is_one_service_and_well_formed(world):
    make_service(world, ServiceKind.TSA)
    with pytest.raises(ServiceExists) as refused:
        make_service(world, ServiceKind.OCSP, "tsa")
    assert refused.value.facts == {"service": "tsa", "kind": "tsa", "authority": "issuing"}
    with pytest.raises(ServiceNameRefused):
        make_service(world, ServiceKind.OCSP, "Tsa")
    assert {ref.label for ref in world.keys.list_keys()} == {"ca-root", "ca-issuing", "service-tsa"}
