"""Serves the application over HTTP in a thread: it listens or says in one sentence why not, and stops in bounded time.

TLS is a reverse proxy's: by default only this machine is listened to.
"""

import asyncio
import errno
import logging
import socket
import threading
import time
from typing import Self

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

log = logging.getLogger(__name__)
START_SECONDS = 10.0
STOP_SECONDS = 5
"""How long requests that are worked on may take when the process stops; then their connections are cut."""
KEEP_ALIVE_SECONDS = 15
THREADS = 10
"""Requests that are worked on at once: fewer than the connections that the database's pool hands out (15)."""
BACKLOG = 128
"""Connections that may wait to be accepted."""
CONCURRENCY = 200
"""Connections at once; more are answered with 503."""
HEADER_BYTES = 32_768
"""Most bytes of the head of one request."""


class ListenError(OSError):
    """Nothing can be served at the address of METERGATE_HTTP_LISTEN."""


class WebServer:
    """One application at one address (`host:port`, port 0 for any that is free); a `with` block starts and stops it."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._host, self._port = parsed(address)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,  # a proxy on this machine says whether the browser came by TLS
                forwarded_allow_ips="127.0.0.1,::1",
                backlog=BACKLOG,
                limit_concurrency=CONCURRENCY,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
                h11_max_incomplete_event_size=HEADER_BYTES,
            )
        )
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        assert self._socket is not None  # noqa: S101 - asked for outside the `with` block
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def __enter__(self) -> Self:
        self._socket = _bound(self._host, self._port)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.__exit__()
                raise ListenError("the HTTP server did not start; the log says why")
            self._thread.join(0.01)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 1)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(1)
        if self._socket is not None:
            self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._served())

    async def _served(self) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        await self._server.serve(sockets=None if self._socket is None else [self._socket])


def parsed(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8600` or `[::1]:8600`. Raises ValueError."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - of TCP
        raise ValueError(f"METERGATE_HTTP_LISTEN is {address!r}; write host:port, as 127.0.0.1:8600, or leave it empty")
    return host, int(port)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(address)
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened to ({error.strerror or error})"
        raise ListenError(
            f"the address {host}:{port} {why}; set METERGATE_HTTP_LISTEN to another one, or to nothing to serve no HTTP"
        ) from None
    return made
