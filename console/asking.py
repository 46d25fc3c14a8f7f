"""What a page is asked, and how it answers: the person, the language, what was typed.

The law: a page answers from one snapshot, an action is one transaction, and what an action refuses is one sentence.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from billing.access import Permission, Principal
from billing.recording import Said
from console.house import House
from console.languages import Language, noted
from console.refusing import Told, Worded
from console.rendering import Pages

UTC = ZoneInfo("UTC")
FIRST_YEAR, LAST_YEAR = 1900, 8999
"""Days outside of these years are not asked for: there is room around them to count in days."""
NOTICE_COOKIE = "metergate_notice"
NOTICE_LIMIT = 300
NOTICE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is signed in, and the secret of the forms that they are given."""

    principal: Principal
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, with all that a page needs to answer it."""

    house: House
    pages: Pages
    request: Request
    language: Language
    now: datetime
    zone: ZoneInfo = UTC
    """The seller's zone, in which times are shown."""
    person: Person | None = None
    form: FormData = field(default_factory=FormData)
    problem: Told | None = None
    """What was refused, when the page is shown again because of it."""

    # --- what was asked ---------------------------------------------------------------------------------

    def typed(self, name: str) -> str:
        """What was typed into a field, of the form or else of the address; "" when nothing was."""
        value = self.form.get(name)
        if value is None or isinstance(value, UploadFile):
            value = self.request.query_params.get(name, "")
        return value.replace("\0", "").strip()  # what no text of a database holds

    def chosen(self, name: str) -> list[str]:
        """Every value of a field of the form that may be ticked several times."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def day(self, name: str) -> date | None:
        """A day that was typed; None when nothing was. Raises Invalid."""
        text = self.typed(name)
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise self.wrong(noted("“%(text)s” is not a day; write it as 2022-04-30."), text=text[:40]) from None
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise self.wrong(noted("%(day)s is further than the calendar is kept."), day=day)
        return day

    def whole(self, name: str, default: int) -> int:
        """A whole number that was typed, or the default when nothing was. Raises Invalid."""
        text = self.typed(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - a number of 9 digits fits everywhere
            raise self.wrong(noted("“%(text)s” is not a whole number."), text=text[:40])
        return int(text)

    @property
    def path(self) -> str:
        """The address of this page, without what was asked of it; a name in it may hold any sign."""
        return quote(self.request.scope["path"], safe="/")

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def may(self, permission: Permission) -> bool:
        return self.person is not None and self.person.principal.may(permission)

    def require(self, permission: Permission) -> None:
        """Raises Refused when who is signed in may not."""
        if self.person is not None:
            self.person.principal.require(permission)

    @property
    def origin(self) -> str:
        """What events and records that come from a page say of where they came from, and from whom."""
        return "console" if self.person is None else f"console:{self.person.principal.name}"

    def said(self, key: str = "") -> Said:
        """What a command records of who gave it."""
        settings = self.house.settings
        return Said(
            now=self.now,
            origin=self.origin,
            key=key,
            topic_devices=settings.topic_devices,
            command_expiry_seconds=settings.command_expiry_seconds,
        )

    def say(self, message: str, **values: object) -> str:
        """A sentence in the language of the reader."""
        return self.language.say(message, **values)

    def wrong(self, message: str, **values: object) -> Worded:
        """A refusal of what was typed, in the language of the reader."""
        return Worded(self.say(message, **values))

    # --- how it is answered -----------------------------------------------------------------------------

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page. Where only a part of it is wanted, the template knows it by `partial`."""
        notice = self.request.cookies.get(NOTICE_COOKIE)
        text = self.pages.render(
            template,
            self.language,
            ask=self,
            principal=self.person.principal if self.person else None,
            secret=self.person.secret if self.person else "",
            zone=self.zone,
            path=self.path,
            problem=self.problem,
            notice=_read_notice(notice),
            partial=self.request.headers.get("hx-request") == "true",
            **values,
        )
        answer = HTMLResponse(text, status_code=status)
        if notice is not None:
            answer.delete_cookie(NOTICE_COOKIE, path="/")
        return answer

    def go(self, path: str, notice: str = "") -> Response:
        """Send the browser to another page, with a sentence to show there."""
        answer = RedirectResponse(path, status_code=303)
        if notice:
            answer.set_cookie(
                NOTICE_COOKIE,
                quote(notice[:NOTICE_LIMIT], safe=""),
                max_age=NOTICE_SECONDS,
                path="/",
                httponly=True,
                samesite="lax",
                secure=self.request.url.scheme == "https",
            )
        return answer

    def signed_in(self, person: Person | None, zone: ZoneInfo) -> "Ask":
        """The same, asked by a person, in the seller's zone."""
        return replace(self, person=person, zone=zone)

    def with_problem(self, refusal: Told) -> "Ask":
        """The same, after something was refused."""
        return replace(self, problem=refusal)

    def here(self, **changes: object) -> str:
        """The address of this page with some of its parameters changed; None takes one away."""
        kept = {name: value for name, value in self.request.query_params.items() if value}
        for name, value in changes.items():
            if value is None or value == "":
                kept.pop(name, None)
            else:
                kept[name] = str(value)
        return self.path + (f"?{urlencode(kept)}" if kept else "")


Show = Callable[[Ask], Response]
"""Answers a GET."""
Act = Callable[[Ask], Response]
"""Does what a form asks, in one transaction, and sends the browser on. What it refuses is raised."""
Actions = Mapping[str, tuple[Permission | None, Act]]
"""What the forms of a page ask, by the value of their `action`, and what one must be allowed for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: where it is, who may see it, and what can be done on it."""

    path: str
    show: Show
    needs: Permission | None = None
    """None: whoever is signed in."""
    actions: Actions = field(default_factory=dict)
    public: bool = False
    """Shown to whoever is not signed in."""

    @property
    def posts(self) -> bool:
        return bool(self.actions)


def _read_notice(value: str | None) -> str | None:
    return None if value is None else unquote(value)[:NOTICE_LIMIT]
