"""schemathesis against the running service: whatever it makes up, the answers are those that the OpenAPI document promises."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.openapi import build_openapi
from tests.integration.http_service import Service

pytestmark = pytest.mark.walk

OPERATIONS = [(path, method) for path, methods in build_openapi()["paths"].items() for method in methods]
# Documents, credentials and codes that exist, and files that are PDF, cannot be described by a schema: 404, 409, 415 and
# 422 are right answers to requests that keep to it.
_NOT_HELD = [positive_data_acceptance]
# These protocols refuse in an answer of their own, under 200.
_PROTOCOLS = ("/ocsp", "/ocsp/{request}", "/tsa")


schemathesis.serializer.alias(["application/ocsp-request", "application/timestamp-query"], "application/octet-stream")


@pytest.fixture(scope="module")
def promised(service: Service) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_one_that_was_promised(
    service: Service, promised: schemathesis.BaseSchema, path: str, method: str, mode: GenerationMode
) -> None:
    operation = promised[path][method.upper()]
    not_held = [*_NOT_HELD, negative_data_rejection] if path in _PROTOCOLS else _NOT_HELD
    headers = (
        {"Authorization": f"Bearer {service.token}"}
        if operation.definition.raw.get("security") == [{"token": []}]
        else {}
    )

    @hypothesis.settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def hold(case: Case) -> None:
        # A form has no part for null or an empty list, and only text for a number: nothing is wrong with what is sent.
        if isinstance(case.body, dict):
            harmless = (type(None), bool, int, float) if case.media_type == "multipart/form-data" else (type(None),)
            hypothesis.assume(not any(each == [] or isinstance(each, harmless) for each in case.body.values()))
        case.call_and_validate(headers=headers, excluded_checks=not_held, timeout=30)

    try:
        hold()
    except hypothesis.errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing in the request that could be wrong


def test_no_answer_was_a_defect(service: Service) -> None:
    assert [line for line in service.log_lines() if line.get("status") == 500] == []
