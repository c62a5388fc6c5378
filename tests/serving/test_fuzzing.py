"""Requests made from the OpenAPI document, sound and unsound ones: never a 500, always a documented answer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.serving.running import Running

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from schemathesis.checks import CheckFunction  # noqa: E402
from schemathesis.specs.openapi import checks as openapi_checks  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def api(live: Running) -> object:
    return schemathesis.openapi.from_url(f"{live.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")

# A text of marks alone and a language that the base does not have fit the document and are refused with 400.
# Nulls, numbers and switches as text are taken as they are meant, which no schema says: tests/serving/test_manners.py
# has what is taken and what is refused.
LEFT_OUT: list[CheckFunction] = [
    openapi_checks.positive_data_acceptance,
    openapi_checks.negative_data_rejection,
]


@schema.parametrize()
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_route_answers_as_its_document_says(case: schemathesis.Case) -> None:
    if isinstance(case.body, dict):
        # Random names are no voices: half of the sound requests are given one, so that they are spoken.
        for field in ("voice", "spk"):
            if isinstance(case.body.get(field), str) and len(case.body[field]) % 2 == 0:
                case.body[field] = "ada"
    case.call_and_validate(excluded_checks=LEFT_OUT, timeout=300)


def test_nothing_that_was_asked_was_a_bug(live: Running) -> None:
    """After all of the above: no traceback in the log, and the server speaks on."""
    assert not [record.getMessage() for record in live.lines if record.exc_info]
    assert live.say("ada", "hi").status == 200
