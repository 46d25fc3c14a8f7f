"""An application that is made when it is first asked for: while nobody looks, it takes no memory, and no time to start.

The law: it is made once, in a thread of the pool, so that who comes meanwhile waits for it and nobody else does.
"""

import gc
import threading
from collections.abc import Callable

import anyio.to_thread
from starlette.types import ASGIApp, Receive, Scope, Send


class Later:
    """The application that `make` makes; where it fails the request is answered with 500, and the log says why."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await anyio.to_thread.run_sync(self._made) if self._app is None else self._app
        await app(scope, receive, send)

    def _made(self) -> ASGIApp:
        with self._lock:
            if self._app is None:
                self._app = self._make()
                gc.collect()
                gc.freeze()  # it stays for good, as all that was there at the start
            return self._app
