"""The gateway's peak memory while it takes in a backlog of a million messages: `python -m benchmarks backlog`."""

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus

import httpx

from benchmarks import ingest, stage
from benchmarks.figures import Figure, measure
from benchmarks.memory import peak_mebibytes
from benchmarks.stage import START, Watch, broker, gateway, listening, message, wait

CASE = "backlog"
AT_ONCE = 10_000
"""Messages that are made and published together."""
MEGABYTES = 2**20 / 10**6


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """The peak of each round, on both databases."""
    count = 1_000_000 if scale == "full" else 10_000
    for kind in ("sqlite", "postgresql") if scale == "full" else ("sqlite",):
        yield measure(
            CASE, f"peak memory of the gateway, {count:,} messages waiting in the broker, {kind}",
            [peak(kind, count) * MEGABYTES for _ in range(rounds if scale == "full" else 1)],
            unit="MB", must=120, reach=80,
        )  # fmt: skip
        yield measure(
            CASE, f"the same, once somebody has asked for a page, {kind}",
            [peak(kind, count // 10, asked=True) * MEGABYTES for _ in range(rounds if scale == "full" else 1)],
            unit="MB", detail=f"{count // 10:,} messages",
        )  # fmt: skip


def peak(kind: str, count: int, *, asked: bool = False) -> float:
    """Mebibytes at the most, of the process that finds so many messages in its session and stores them.

    What serves HTTP is made when it is first `asked` for something.
    """
    with stage.store(kind) as store, broker() as running:
        stage.make_fleet(store.create("empty"), ingest.OBJECTS)
        url = ingest.fresh(store, "round")
        with gateway(url, running) as process:
            listening(process)
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            ingest.publish(running, [message(number, ingest.OBJECTS, _at(number)) for number in numbers])
        watch = Watch(url)
        try:
            with gateway(url, running) as process:
                if asked:
                    page = httpx.get(listening(process), trust_env=False, follow_redirects=True)
                    assert page.status_code == HTTPStatus.OK, page
                wait(lambda: watch.committed(_at(count - 1)), "the last message is committed")
                return peak_mebibytes(process.pid)
        finally:
            watch.close()


def _at(number: int) -> datetime:
    return START + ingest.SPACING * number
