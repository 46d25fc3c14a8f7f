"""Who is let in, for how long, and what a form must know; every answer tells the browser to run nothing foreign."""

import re
from datetime import timedelta

import httpx
import pytest

from billing.access import Role, revoke
from console.application import PAGES
from console.asking import Page
from console.signing import COOKIE
from tests.console.conftest import Site

CLOSED = [page.path for page in PAGES if not page.public]


def secret_of(answer: httpx.Response) -> str:
    """The secret of the forms of a page."""
    found = re.search(r'name="secret" value="([^"]+)"', answer.text)
    assert found is not None
    return found[1]


def sign_in(client: httpx.Client, site: Site, role: Role = Role.ADMINISTRATOR, **more: str) -> httpx.Response:
    form = {"action": "sign_in", "secret": secret_of(client.get("/sign-in")), "token": site.token("Ada", role), **more}
    return client.post("/sign-in", data=form)


@pytest.mark.parametrize("path", CLOSED)
def test_nothing_is_shown_to_whoever_is_not_signed_in(client: httpx.Client, path: str) -> None:
    answer = client.get(re.sub(r"\{[^}]*\}", "1", path))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


def test_what_a_stranger_sends_is_not_even_taken_apart(client: httpx.Client) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/fleet/import", content=b"not multipart at all", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert client.post("/sign-in", data={"token": "x" * 20_000}).status_code == 413


def test_one_comes_back_to_the_page_that_was_asked_for(client: httpx.Client, site: Site) -> None:
    assert client.get("/fleet?status=active").headers["location"] == "/sign-in?next=%2Ffleet%3Fstatus%3Dactive"
    assert sign_in(client, site, next="/fleet?status=active").headers["location"] == "/fleet?status=active"


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_sign_in_never_leads_to_another_site(client: httpx.Client, site: Site, elsewhere: str) -> None:
    assert sign_in(client, site, next=elsewhere).headers["location"] == "/"


def test_a_token_that_opens_nothing_is_refused_with_a_sentence(client: httpx.Client) -> None:
    form = {"action": "sign_in", "secret": secret_of(client.get("/sign-in")), "token": "mg_guessed"}
    answer = client.post("/sign-in", data=form)
    assert answer.status_code == 403
    assert "This token opens nothing" in answer.text
    assert COOKIE not in client.cookies


def test_the_sign_in_form_of_another_site_begins_no_session(client: httpx.Client, site: Site) -> None:
    client.get("/sign-in")
    token = site.token("Ada", Role.READER)
    answer = client.post("/sign-in", data={"action": "sign_in", "secret": "guessed", "token": token})
    assert COOKIE not in answer.cookies


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: httpx.Client, site: Site) -> None:
    said = sign_in(client, site).headers.get_list("set-cookie")
    session = next(each for each in said if each.startswith(COOKIE)).lower()
    assert "httponly" in session
    assert "samesite=lax" in session
    assert "path=/" in session


def test_the_database_does_not_hold_what_the_cookie_holds(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    with site.database.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM console_session").fetchall())
    assert client.cookies[COOKIE] not in stored


def test_a_session_ends_after_its_hours(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    site.clock.advance(timedelta(hours=12) - timedelta(seconds=1))
    assert client.get("/").status_code == 200
    site.clock.advance(timedelta(seconds=1))
    assert client.get("/").headers["location"] == "/sign-in"


def test_a_session_ends_when_its_token_is_revoked(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    with site.database.transaction() as session:
        revoke(session, "Ada", site.clock.now())
    assert client.get("/").status_code == 303


def test_signing_out_ends_the_session_for_every_copy_of_the_cookie(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    kept = client.cookies[COOKIE]
    client.post("/sign-out", data={"action": "sign_out", "secret": secret_of(client.get("/"))})
    client.cookies.set(COOKIE, kept)
    assert client.get("/").status_code == 303


@pytest.mark.parametrize("page", [page for page in PAGES if page.actions and not page.public], ids=lambda it: it.path)
def test_a_form_that_does_not_know_the_secret_changes_nothing(client: httpx.Client, site: Site, page: Page) -> None:
    sign_in(client, site)
    path = re.sub(r"\{[^}]*\}", "1", page.path)
    for action in page.actions:
        answer = client.post(path, data={"action": action, "secret": "guessed"})
        assert answer.status_code == 403
        assert "not of your session" in answer.text


def test_every_answer_forbids_foreign_scripts_and_frames(client: httpx.Client) -> None:
    for path in ("/sign-in", "/static/console.js", "/no-such-page"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_a_body_that_is_too_large_is_not_read(client: httpx.Client) -> None:
    answer = client.post("/sign-in", content=b"x" * 11_000_000, headers={"content-type": "text/plain"})
    assert answer.status_code == 413


def test_a_role_sees_what_it_may(client: httpx.Client, site: Site) -> None:
    sign_in(client, site, Role.OPERATOR)
    assert client.get("/fleet").status_code == 200
    refused = client.get("/invoices")
    assert refused.status_code == 403
    assert "it needs a token with the role billing or reader or administrator" in refused.text
    assert 'href="/invoices"' not in client.get("/").text
