"""Times as devices write them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.sources.times import Ambiguous, Fold, Format, reader
from storage.types import from_micros, to_micros

ARRIVAL = to_micros(datetime(2022, 10, 30, 1, 30, tzinfo=UTC))


def read(
    form: Format, value: Any, zone: str | None = None, fold: Fold = "arrival", arrival: int = ARRIVAL
) -> str | None:
    found = reader(form, zone, fold)(value, arrival)
    return None if found is None else from_micros(found).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    "form,value,wanted",
    [
        ("rfc3339", "2022-04-14T10:00:00.123456789Z", "2022-04-14T10:00:00.123456Z"),
        ("rfc3339", "2022-04-14T10:00:00+0200", "2022-04-14T08:00:00Z"),
        ("rfc3339", "2022-04-14 10:00Z", "2022-04-14T10:00:00Z"),
        ("rfc3339", "2022-04-14T10:00:00", None),
        ("rfc3339", 1649930400, None),
        ("unix_s", 1649930400, "2022-04-14T10:00:00Z"),
        ("unix_s", "1649930400.25", "2022-04-14T10:00:00.250000Z"),
        ("unix_s", "1e99", None),
        ("unix_ms", 1649930400123, "2022-04-14T10:00:00.123000Z"),
        ("unix_us", 1649930400123456, "2022-04-14T10:00:00.123456Z"),
        ("unix_ms", True, None),
        ("unix_ms", 10**16, None),
        ("local", "2022-04-14T10:00:00", "2022-04-14T08:00:00Z"),
        ("local", "2022-03-27T02:30:00", "2022-03-27T01:30:00Z"),
        ("local", "2022-04-14T10:00:00Z", None),
        ("local", "2022-02-30T10:00:00", None),
        ("dsmr", "220414100000S", "2022-04-14T08:00:00Z"),
        ("dsmr", "221030023000S", "2022-10-30T00:30:00Z"),
        ("dsmr", "221030023000W", "2022-10-30T01:30:00Z"),
        ("dsmr", "221330023000W", None),
    ],
)
def test_a_time_is_read_exactly_or_not_at_all(form: Format, value: Any, wanted: str | None) -> None:
    assert read(form, value, "Europe/Paris" if form == "local" else None) == wanted


def test_an_hour_that_stands_twice_is_decided_by_the_arrival_or_by_a_rule() -> None:
    twice = "2022-10-30T02:30:00"
    earlier, later = "2022-10-30T00:30:00Z", "2022-10-30T01:30:00Z"
    assert read("local", twice, "Europe/Paris") == later
    assert read("local", twice, "Europe/Paris", arrival=ARRIVAL - 3_600_000_000) == earlier
    assert read("local", twice, "Europe/Paris", "earlier") == earlier
    assert read("local", twice, "Europe/Paris", "later") == later
    with pytest.raises(Ambiguous):
        read("local", twice, "Europe/Paris", "refuse")
