"""Answers that are read from the database while they are sent: few at once, and none waits long for a reader.

The law: each holds a connection and a snapshot. A reader that is slow, or gone without a word, never keeps ingest from
its connection, nor SQLite's log from its file.
"""

import asyncio
import logging
from collections.abc import Generator
from contextlib import suppress
from threading import BoundedSemaphore

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway.web.problems import RETRY_SECONDS, problem

log = logging.getLogger(__name__)
STREAMS = 4
"""Answers that are streamed at once: few beside the connections that the database's pool hands out (15)."""
STALLED_SECONDS = 30.0
"""How long a reader may take nothing at all."""


class Streamed(StreamingResponse):
    """An answer that is made as it is read; 503 where `STREAMS` others are."""

    def __init__(
        self,
        pieces: Generator[str, None, None],
        gate: BoundedSemaphore,
        *,
        media_type: str,
        seconds: float = STALLED_SECONDS,
    ) -> None:
        super().__init__(pieces, media_type=media_type)
        self._gate = gate
        self._pieces = pieces
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._gate.acquire(blocking=False):
            told = f"{STREAMS} details are streamed at once already; ask again when one is done, or take format=csv"
            await problem(503, "busy", told, headers={"Retry-After": str(RETRY_SECONDS)})(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            async with asyncio.timeout(self._seconds):
                await send(message)

        try:
            await super().__call__(scope, receive, sent)
        except (TimeoutError, ClientDisconnect):
            log.info("%s: its reader took nothing for %g s, or is gone", scope["path"], self._seconds)
        finally:
            self._gate.release()
            with suppress(ValueError):  # it is at work still: its own end closes it
                await run_in_threadpool(self._pieces.close)
