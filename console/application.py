"""The console as one ASGI application: its pages in a table, and the one way in which each is answered.

The law: nothing is shown to whoever is not signed in but the sign-in; an action needs the secret of the session's
forms and the permission that the table names.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from billing.core.errors import BillingError
from console import signing
from console.asking import UTC, Ask, Page
from console.house import House
from console.languages import chosen
from console.pages import ALL
from console.refusing import Told, Worded, status_of, told
from console.rendering import Pages
from console.security import FORM_SECRET, STATIC_CACHE, Guarded, knows
from storage import catalogue
from storage.errors import StorageError

log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
BODY_LIMIT_BYTES = 10_000_000
"""A form, and the file of an import with it."""
PUBLIC_BODY_LIMIT_BYTES = 20_000
"""A form of those who are not signed in: a token, a language, a path to go on to."""
FIELDS_LIMIT = 2_000
NOTHING = FormData()
PAGES: tuple[Page, ...] = (*signing.PAGES, *ALL)
SIGN_IN = "/sign-in"


REFUSALS = (BillingError, StorageError, ValueError, OverflowError)
"""What is answered with a sentence."""


def application(house: House) -> ASGIApp:
    """The pages over a house, to be served at the root of a site."""
    pages = Pages(_version())
    routes = [
        Route(page.path, _endpoint(house, pages, page), methods=["GET", "POST"] if page.posts else ["GET"])
        for page in PAGES
    ]
    app = Starlette(
        routes=[*routes, Mount("/static", _Static(directory=STATIC))],
        exception_handlers={HTTPException: _http_fault(house, pages)},
    )
    return Guarded(app)


class _Static(StaticFiles):
    """Our files; the address of each has the digest of them all, so a browser asks once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = STATIC_CACHE
        return answer


def _version() -> str:
    digest = hashlib.sha256()
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _endpoint(house: House, pages: Pages, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(_answer, house, pages, page, request)
        limit = PUBLIC_BODY_LIMIT_BYTES if page.public else BODY_LIMIT_BYTES
        length = request.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > limit:
            raise HTTPException(413, f"a form has at most {limit} bytes, and says how many")
        if not page.public and (refused := await run_in_threadpool(_kept_out, house, pages, request)) is not None:
            async for _ in request.stream():
                pass  # a browser listens when it has said all
            return refused
        async with request.form(max_files=0 if page.public else 1, max_fields=FIELDS_LIMIT) as form:
            return await run_in_threadpool(_answer, house, pages, page, request, form)

    return endpoint


def _kept_out(house: House, pages: Pages, request: Request) -> Response | None:
    """What whoever is not signed in is answered, before anything they send is read into a form."""
    try:
        ask = _ask(house, pages, request, NOTHING)
    except StorageError as error:
        return _told(_asked_by_nobody(house, pages, request, NOTHING), error)
    return _to_sign_in(request) if ask.person is None else None


def _answer(house: House, pages: Pages, page: Page, request: Request, form: FormData = NOTHING) -> Response:
    try:
        ask = _ask(house, pages, request, form)
    except StorageError as error:
        return _told(_asked_by_nobody(house, pages, request, form), error)
    if ask.person is None and not page.public:
        return _to_sign_in(request)
    try:
        if page.needs is not None:
            ask.require(page.needs)
        if request.method == "POST":
            return _acted(page, ask)
        return page.show(ask)
    except REFUSALS as error:
        return _told(ask, error)


def _acted(page: Page, ask: Ask) -> Response:
    """Do what the form asks; when it is refused, show the page again with the reason and what was typed."""
    if ask.person is not None and not knows(ask.form.get(FORM_SECRET), ask.person.secret):
        return _told(ask, Worded(ask.say("This form is not of your session; open the page again.")), status=403)
    action = ask.form.get("action")
    if not isinstance(action, str) or action not in page.actions:
        return _told(ask, Worded(ask.say("The form asks for something that this page does not know.")))
    permission, act = page.actions[action]
    try:
        if permission is not None:
            ask.require(permission)
        return act(ask)
    except REFUSALS as error:
        answer = page.show(ask.with_problem(told(ask.language, error)))
        if answer.status_code == 200:  # noqa: PLR2004 - OK
            answer.status_code = status_of(error)
        return answer


def _asked_by_nobody(house: House, pages: Pages, request: Request, form: FormData) -> Ask:
    now = house.clock.now()
    language = chosen(
        wanted=request.cookies.get(signing.LANGUAGE_COOKIE), accepted=request.headers.get("accept-language", "")
    )
    return Ask(house=house, pages=pages, request=request, language=language, now=now, form=form)


def _ask(house: House, pages: Pages, request: Request, form: FormData) -> Ask:
    ask = _asked_by_nobody(house, pages, request, form)
    if signing.COOKIE not in request.cookies:
        return ask
    with house.database.snapshot() as session:
        seller = catalogue.seller(session)
        zone = UTC if seller is None else ZoneInfo(seller.timezone)
        return ask.signed_in(signing.person_of(session, request, ask.now), zone)


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    path = SIGN_IN + (f"?next={quote(wanted, safe='')}" if request.method == "GET" and wanted != "/" else "")
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": SIGN_IN})
    return Response(status_code=303, headers={"Location": path})


def _told(ask: Ask, error: Exception, *, status: int | None = None) -> Response:
    code = status_of(error) if status is None else status
    return ask.page("error.html", status=code, code=code, refusal=told(ask.language, error))


def _http_fault(house: House, pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    """A page for what the framework itself refuses: an unknown address, a body that is too large."""

    async def fault(request: Request, error: Exception) -> Response:
        def answer() -> Response:
            try:
                ask = _ask(house, pages, request, NOTHING)
            except StorageError:
                ask = _asked_by_nobody(house, pages, request, NOTHING)
            code = error.status_code if isinstance(error, HTTPException) else 500
            said = ask.say("There is no such page.") if code == 404 else str(getattr(error, "detail", error))  # noqa: PLR2004 - not found
            return ask.page(
                "error.html", status=code, code=code, refusal=Told(sentence=said, language=ask.language.tag)
            )

        return await run_in_threadpool(answer)

    return fault
