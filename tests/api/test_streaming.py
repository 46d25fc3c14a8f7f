"""A detail that is streamed holds a connection: few at once, and not for a reader that takes nothing."""

import asyncio
from collections.abc import Generator
from threading import BoundedSemaphore

import pytest
from starlette.types import Message

from gateway.web.streaming import STREAMS, Streamed

SCOPE = {"type": "http", "path": "/detail", "asgi": {"spec_version": "2.4"}}


async def nothing() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


class Reader:
    """Takes what it is sent, or from the second piece on nothing."""

    def __init__(self, *, stalls: bool) -> None:
        self.stalls = stalls
        self.got: list[Message] = []
        self.stalled = asyncio.Event()

    async def send(self, message: Message) -> None:
        if self.stalls and len(self.got) > 1:
            self.stalled.set()
            await asyncio.Event().wait()
        self.got.append(message)

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])


def pieces(closed: list[str]) -> Generator[str, None, None]:
    try:
        for number in range(10):
            yield f"{number}\n"
    finally:
        closed.append("closed")


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_a_reader_that_takes_nothing_is_given_up_and_frees_its_place(version: str) -> None:
    async def story() -> None:
        gate, closed = BoundedSemaphore(1), list[str]()
        slow, early, late = (Reader(stalls=stalls) for stalls in (True, False, False))
        scope = {**SCOPE, "asgi": {"spec_version": version}}
        first = Streamed(pieces(closed), gate, media_type="text/plain", seconds=0.3)
        running = asyncio.create_task(first(scope, nothing, slow.send))
        await asyncio.wait_for(slow.stalled.wait(), 5)
        await Streamed(pieces(closed), gate, media_type="text/plain")(scope, nothing, early.send)
        assert early.status == 503
        assert dict(early.got[0]["headers"])[b"retry-after"]
        await asyncio.wait_for(running, 5)
        await Streamed(pieces(closed), gate, media_type="text/plain")(scope, nothing, late.send)
        assert late.status == 200
        assert b"".join(it.get("body", b"") for it in late.got).count(b"\n") == 10
        assert len(closed) == 2, "what the first one read from is closed too"

    asyncio.run(story())


def test_few_are_streamed_at_once() -> None:
    assert STREAMS < 15 - 10, "ten requests and their streams leave the pool connections for the rest"
