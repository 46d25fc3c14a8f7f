"""What every answer of the console carries, and what every form must.

The law: no page runs a script or shows a style that is not a file of ours, none can be framed, and a form that does
not know its session's secret changes nothing.
"""

import hmac
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
STATIC_CACHE = "public, max-age=31536000, immutable"
"""A stylesheet's address has the digest of its content: it never changes."""
FORM_SECRET = "secret"  # noqa: S105 - the name of a field
"""The hidden field of every form."""


class Guarded:
    """The application, each answer of which carries the headers above."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, guarded)


def knows(given: Any, secret: str) -> bool:
    """Whether a form knows the secret; the time it takes says nothing about it."""
    return isinstance(given, str) and bool(secret) and hmac.compare_digest(given.encode(), secret.encode())


def local_path(wanted: str, default: str = "/") -> str:
    """A path of this site to go on to, and the default for anything that could lead elsewhere."""
    safe = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if safe else default
