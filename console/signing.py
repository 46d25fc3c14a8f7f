"""Signing in with an access token, and the session that follows.

The law: the cookie is random and only its digest is kept; a session ends at its expiry, at the sign-out, and as soon
as its token is taken away.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from billing.access import Principal, Role, authenticate
from console.asking import Ask, Page, Person
from console.languages import LOCALES, noted
from console.refusing import Worded
from console.security import knows, local_path
from storage import access, console_sessions
from storage.tables import ConsoleSession

COOKIE = "metergate_session"
FORM_COOKIE = "metergate_sign_in"
"""The secret of the sign-in form, which has no session yet: it stands in the cookie and in the form."""
LANGUAGE_COOKIE = "metergate_language"
LANGUAGE_SECONDS = 365 * 86_400
SECRET_BYTES = 32
WRONG = noted("This token opens nothing. Check that it is copied whole; an administrator can make a new one.")


def principal_of(session: Session, cookie: str | None, now: datetime) -> Principal | None:
    """Who is signed in by a cookie's value; the API asks this too."""
    found = _found(session, cookie, now)
    return None if found is None else found.principal


def person_of(session: Session, request: Request, now: datetime) -> Person | None:
    """Who is signed in by the request's cookie; None when nobody is (any more)."""
    return _found(session, request.cookies.get(COOKIE), now)


def _found(session: Session, cookie: str | None, now: datetime) -> Person | None:
    if not cookie:
        return None
    row = console_sessions.find(session, _digest(cookie), now)
    token = None if row is None else access.named(session, row.token)
    if row is None or token is None:
        return None
    return Person(principal=Principal(name=token.name, role=Role(token.role)), secret=row.secret)


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _show(ask: Ask) -> Response:
    if ask.person is not None:
        return ask.go(local_path(ask.typed("next")))
    secret = secrets.token_urlsafe(SECRET_BYTES)
    answer = ask.page(
        "sign_in.html",
        status=200 if ask.problem is None else 403,
        next=local_path(ask.typed("next")),
        form_secret=secret,
    )
    _set(ask, answer, FORM_COOKIE, secret)
    return answer


def sign_in(ask: Ask) -> Response:
    """Begin a session for who has the token; the form's own secret is checked here, as there is no session yet."""
    if not knows(ask.form.get("secret"), ask.request.cookies.get(FORM_COOKIE, "")):
        raise Worded(ask.say(noted("The form was open for too long; send it again.")))
    cookie = secrets.token_urlsafe(SECRET_BYTES)
    hours = timedelta(hours=ask.house.settings.console_session_hours)
    with ask.house.database.transaction() as session:
        principal = authenticate(session, ask.typed("token"))
        if principal is None:
            raise Worded(ask.say(WRONG))
        row = ConsoleSession(
            digest=_digest(cookie),
            token=principal.name,
            secret=secrets.token_urlsafe(SECRET_BYTES),
            created_at=ask.now,
            expires_at=ask.now + hours,
        )
        console_sessions.begin(session, row)
    answer = ask.go(local_path(ask.typed("next")))
    _set(ask, answer, COOKIE, cookie, seconds=int(hours.total_seconds()))
    answer.delete_cookie(FORM_COOKIE, path="/")
    return answer


def _sign_out(ask: Ask) -> Response:
    with ask.house.database.transaction() as session:
        console_sessions.end(session, _digest(ask.request.cookies.get(COOKIE, "")))
    answer = ask.go("/sign-in")
    answer.delete_cookie(COOKIE, path="/")
    return answer


def _speak(ask: Ask) -> Response:
    """Change the language, and go back to where it was asked."""
    tag = ask.typed("language")
    if tag not in LOCALES:
        raise Worded(f"There is no language {tag[:10]!r}; take one of {', '.join(LOCALES)}")
    answer = ask.go(local_path(ask.typed("next")))
    _set(ask, answer, LANGUAGE_COOKIE, tag, seconds=LANGUAGE_SECONDS)
    return answer


def _set(ask: Ask, answer: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    secure = ask.request.url.scheme == "https"
    answer.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=secure)


def _home(ask: Ask) -> Response:
    return ask.go("/")


PAGES = (
    Page(path="/sign-in", show=_show, actions={"sign_in": (None, sign_in)}, public=True),
    Page(path="/sign-out", show=_home, actions={"sign_out": (None, _sign_out)}),
    Page(path="/language", show=_home, actions={"speak": (None, _speak)}, public=True),
)
