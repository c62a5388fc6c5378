"""Requests made from the OpenAPI document, and many that no document allows: never a 500, a hang or a traceback."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.serving.fuzzed import KINDS, attack
from tests.serving.fuzzing import _end, bugs, fuzz, target
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


def test_requests_that_nobody_should_send(tmp_path: Path, pico_export: Path) -> None:
    """A few of what `python -m benchmarks.fuzz` sends a hundred thousand of."""
    with target(tmp_path, pico_export) as live:
        found = fuzz(live, 7, range(1200))
        assert not found.faults
        assert not bugs(live)
        assert live.say("ada").status == 200
    assert set(found.kinds) == set(KINDS)
    # It reached what speaks, not only what refuses.
    assert found.statuses["200"] > 40
    assert found.statuses["101"] > 40
    assert found.statuses["400"] > 400


def test_a_request_comes_back_by_its_number() -> None:
    assert [attack(3, number) for number in range(60)] == [attack(3, number) for number in range(60)]
    assert attack(3, 1) != attack(4, 1)


def test_what_a_server_says_wrongly_is_seen(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("timbre.serving.speaking_routes.asked_for", fails)
    monkeypatch.setattr("timbre.serving.stream_session.asked", fails)
    before = len(live.lines)
    found = fuzz(live, 1, range(40))
    del live.lines[before:]
    assert [fault for fault in found.faults if "500" in fault]


def test_a_client_that_breaks_is_no_run_without_faults(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(sent: object, port: int) -> tuple[str, str]:
        raise OSError("the client broke")

    monkeypatch.setattr("tests.serving.fuzzing._judged", broken)
    with pytest.raises(OSError, match="the client broke"):
        fuzz(live, 1, range(8), 2)


def test_a_server_that_hangs_up_first_breaks_no_client() -> None:
    class Gone:
        def shutdown(self, how: int) -> None:
            raise OSError(self.number, "")

        number = errno.ENOTCONN

    gone = Gone()
    _end(gone)  # type: ignore[arg-type]
    gone.number = errno.EBADF
    with pytest.raises(OSError):
        _end(gone)  # type: ignore[arg-type]
