"""The ASGI application: the API under `/api/v1`, and the console at `/`.

The law: no rule lives here; nothing is open but health; a request is one transaction in a thread of a bounded pool.
"""

import re
from collections.abc import Callable
from importlib.metadata import version

from fastapi import Depends, FastAPI, Response
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

import console
from config.clock import Clock
from config.settings import Settings
from console.security import Guarded
from gateway.api import health
from gateway.api.bookkeeping import bookkeeping
from gateway.api.catalogue import catalogue
from gateway.api.closes import closes
from gateway.api.contracts import contracts
from gateway.api.invoices import invoices
from gateway.api.metrics import metrics
from gateway.api.objects import objects
from gateway.api.quarantine import quarantine
from gateway.api.readings import readings
from gateway.api.usage import usage
from gateway.api.webhooks import webhooks
from gateway.web import problems
from gateway.web.for_console import services
from gateway.web.security import principal
from gateway.web.service import Service
from gateway.web.specification import text_of
from storage.database import Database

PATH_LIMIT = 1000
"""Characters of an address: the longest names, twice."""
ROUTERS = (
    *(
        health.router,
        objects,
        usage,
        catalogue,
        contracts,
        closes,
        invoices,
        bookkeeping,
        quarantine,
        readings,
        metrics,
    ),
    webhooks,
)


def application(
    database: Database, clock: Clock, settings: Settings, wake: Callable[[], None] = lambda: None
) -> ASGIApp:
    """The API and the console over one database; `wake` is called after a commit that wrote to the outbox."""
    service = Service(database=database, clock=clock, settings=settings, wake=wake)
    served = api(service)
    mounted = Mount("/api/v1", app=served)
    # A name may be asked for with a line feed in it, and the API has to say that there is none.
    mounted.path_regex = re.compile(mounted.path_regex.pattern, re.DOTALL)
    routes: list[BaseRoute] = [mounted, Route("/metrics", _Metrics(served))]
    house = console.House(database=database, clock=clock, settings=settings, services=services(service), wake=wake)
    routes.append(Mount("/", app=console.application(house)))
    return Guarded(Door(Starlette(routes=routes)))


class Door:
    """The application behind a look at the address: no text of a database holds NUL, and no name of ours is so long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and (
            len(scope["path"]) > PATH_LIMIT or "\0" in scope["path"] or b"%00" in scope["query_string"]
        ):
            app = problems.problem(400, "malformed", f"an address has at most {PATH_LIMIT} characters, and none is NUL")
        await app(scope, receive, send)


def api(service: Service | None) -> FastAPI:
    """The API alone; its paths are relative to `/api/v1`. Without parts it can only be described."""
    app = FastAPI(
        title="Metergate",
        version=version("metergate"),
        summary="Connected objects, their usage, and the invoices that come of it.",
        servers=[{"url": "/api/v1"}],
        root_path_in_servers=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    problems.install(app, [route for router in ROUTERS for route in router.routes])
    for router in ROUTERS:
        app.include_router(router)

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(principal)])
    def openapi() -> Response:
        return Response(text_of(app), media_type="application/json")

    return app


class _Metrics:
    """Where Prometheus looks unless it is told otherwise: the same figures as the API's own."""

    def __init__(self, served: ASGIApp) -> None:
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._served(scope, receive, send)
