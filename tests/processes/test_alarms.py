"""What is repeated goes on after a failure, which the log tells: in a sentence where it is the database's."""

import logging

import pytest

from gateway.scheduler import Alarms, phase
from storage.errors import DatabaseUnreachable
from tests.brokers import eventually

AWAY = DatabaseUnreachable("the database cannot be used (it is away); check METERGATE_DATABASE_URL")


@pytest.mark.parametrize("failure,traced", [(AWAY, False), (ZeroDivisionError("by zero"), True)])
def test_a_call_that_fails_is_made_again(failure: Exception, caplog: pytest.LogCaptureFixture, *, traced: bool) -> None:
    calls = []

    def look() -> None:
        calls.append(1)
        raise failure

    alarms = Alarms()
    alarms.every(0.02, "handover", look)
    alarms.start()
    eventually(lambda: len(calls) > 1, "it is called again")
    alarms.stop()
    said = [record for record in caplog.records if record.name == "gateway.scheduler"]
    assert len(said) == len(calls)
    assert all(record.levelno >= logging.WARNING and "handover failed" in record.getMessage() for record in said)
    assert all((record.exc_info is not None) == traced for record in said)
    assert traced or "it is away" in said[0].getMessage()


@pytest.mark.parametrize("count", [2, 5, 10])
def test_calls_of_one_interval_have_moments_apart(count: int) -> None:
    moments = sorted(phase(nth) for nth in range(count))
    gaps = [later - earlier for earlier, later in zip(moments, [*moments[1:], moments[0] + 1], strict=True)]
    assert min(gaps) > 1 / (2 * count)
