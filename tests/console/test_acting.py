"""What a form of the console does is what the control topic does: once, remembered, and with who gave it."""

import json
from typing import Any

import httpx
import pytest

from billing import catalogue
from billing.access import Role
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import invoices as stored
from storage import payments, registry
from storage.one_object import requests
from tests.brokers import eventually
from tests.console.conftest import Site
from tests.console.test_signing import secret_of, sign_in

NUMBER = "INV/2022/04/0001"


def sends(client: httpx.Client, path: str, action: str, **fields: Any) -> httpx.Response:
    """Send a form of a page, with the secret of the session."""
    return client.post(path, data={"secret": secret_of(client.get(path)), "action": action, **fields})


def origins(site: Site, reference: str) -> list[tuple[str, str]]:
    with site.database.snapshot() as session:
        row = registry.find(session, [reference])[reference]
        return [(event.kind, event.origin) for event in registry.timeline(session, row.id, 20)]


def test_a_form_that_is_sent_twice_is_done_once_and_says_who_sent_it(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    for _ in range(2):
        answer = sends(client, "/objects/CHARGER_0001", "suspend", command="suspend", request="twice")
        assert answer.status_code == 303, answer.text
    assert origins(site, "CHARGER_0001")[-1] == ("suspended", "console:Ada")
    with site.database.snapshot() as session:
        assert [(it.request_id, it.command) for it in requests(session, "CHARGER_0001", 9)] == [("twice", "suspend")]


def test_what_was_refused_is_remembered_with_the_commands_of_the_object(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    answer = sends(client, "/objects/CHARGER_0001", "resume", command="resume", request="no")
    assert answer.status_code == 422
    assert "Possible now: Suspend" in answer.text
    (asked,) = (it for it in _asked(site, "CHARGER_0001") if it.request_id == "no")
    assert asked.reply["ok"] is False


def _asked(site: Site, reference: str) -> Any:
    with site.database.snapshot() as session:
        return requests(session, reference, 9)


def test_of_many_ticked_objects_all_are_told_or_none(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    ticked = ["CHARGER_0000", "CHARGER_0001", "SPARE_1"]
    assert sends(client, "/fleet", "suspend", reference=ticked, request="many").status_code == 422
    assert origins(site, "CHARGER_0000")[-1][0] == "activated"
    assert sends(client, "/fleet", "suspend", reference=ticked[:2], request="many").status_code == 303
    assert [origins(site, it)[-1] for it in ticked[:2]] == [("suspended", "console:Ada")] * 2


@pytest.mark.parametrize("reference", ["SPARE_1", "NEW_1"])
def test_the_wizard_activates_once_whatever_the_number_of_clicks(
    client: httpx.Client, site: Site, reference: str
) -> None:
    sign_in(client, site)
    fields = {"contract": "Town Chargers", "subscription": "Charger Subscription", "starts_on": "2022-06-01"}
    path = f"/activate?reference={reference}"
    looked = sends(client, path, "preview", **fields)
    assert (looked.status_code, "Nothing was written" in looked.text) == (200, True)
    request = looked.text.split('name="request" value="')[1].split('"')[0]
    fields |= {"new": "yes"} if 'name="new"' in looked.text else {}
    for _ in range(2):
        assert sends(client, path, "activate", request=request, term_months="12", **fields).status_code == 303
    assert [it for it in origins(site, reference) if it[0] == "activated"] == [("activated", "console:Ada")]


def test_a_payment_says_who_recorded_it(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    answer = sends(client, f"/invoices/{NUMBER}", "pay", amount="36", reference="bank-1")
    assert answer.status_code == 303, answer.text
    with site.database.snapshot() as session:
        invoice, _ = stored.find_invoice(session, NUMBER)
        assert [row.origin for row in payments.of_document(session, invoice.id or 0)] == ["console:Ada"]


@pytest.mark.parametrize(
    "path, action, fields, lead",
    [
        ("/objects/CHARGER_0001", "resume", {"command": "resume"}, "L\u2019état actuel ne le permet pas."),
        ("/objects/CHARGER_0001", "transfer", {"contract": "Nobody's"}, "Rien ne porte ce nom."),
        (
            f"/invoices/{NUMBER}",
            "pay",
            {"amount": "99999", "reference": "x"},
            "Ce qui est enregistré ne le permet pas.",
        ),
    ],
)
def test_a_refusal_says_its_kind_in_french_and_its_sentence_is_marked_as_english(
    client: httpx.Client, site: Site, path: str, action: str, fields: dict[str, str], lead: str
) -> None:
    sign_in(client, site)
    client.cookies.set("metergate_language", "fr")
    answer = sends(client, path, action, **fields)
    alert = answer.text.split('role="alert">')[1].split("</div>")[0]
    assert f"<p>{lead}</p>" in alert.replace("&#39;", "'")
    assert '<p lang="en">' in alert


def test_what_was_typed_wrong_is_told_in_french_alone(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    client.cookies.set("metergate_language", "fr")
    answer = sends(client, f"/invoices/{NUMBER}", "pay", amount="cher", reference="x")
    assert "« cher » n\u2019est pas un montant" in answer.text
    assert 'lang="en"' not in answer.text.split('role="alert">')[1].split("</div>")[0]


def test_no_text_of_a_form_holds_what_a_database_cannot(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    answer = sends(client, f"/invoices/{NUMBER}", "pay", amount="36", reference="bank\0-1")
    assert answer.status_code == 303


def test_a_dry_run_is_for_the_roles_of_the_command(client: httpx.Client, site: Site) -> None:
    sign_in(client, site, Role.READER)
    page = client.get("/objects/CHARGER_0001")
    form = {"secret": secret_of(page), "action": "preview", "command": "suspend"}
    assert client.post("/objects/CHARGER_0001", data=form).status_code == 403
    preview = {"secret": secret_of(page), "action": "preview_credit", "reason": "x"}
    assert client.post(f"/invoices/{NUMBER}", data=preview).status_code == 403


def takes(site: Site, reference: str, metrics: dict[str, int]) -> None:
    """Take in what an object sends on 30 May."""
    payload = json.dumps({"ts": "2022-05-30T10:00:00Z", "metrics": metrics}).encode()
    message = Message(topic=f"devices/{reference}/telemetry", payload=payload, received_at=site.clock.now())
    ingest_batch(site.database, [message], Rules.of(Settings(close_cron="")), now=site.clock.now())


def reasons(client: httpx.Client, reference: str) -> str:
    page = client.get(f"/objects/{reference}").text
    return (
        page.split('aria-label="Why it is not billed"')[1].split("</section>")[0]
        if "Why it is not billed" in page
        else ""
    )


def test_an_object_whose_service_begins_later_says_when(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    fields = {"contract": "Town Chargers", "subscription": "Charger Subscription", "starts_on": "2022-07-01"}
    assert sends(client, "/activate?reference=SPARE_1", "activate", term_months="12", **fields).status_code == 303
    assert "Its service begins on 1 Jul 2022: nothing is charged before." in reasons(client, "SPARE_1")


def test_an_object_that_sends_what_no_charge_measures_says_so(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    assert reasons(client, "TRACKER_0005") == ""
    takes(site, "TRACKER_0005", {"energy": 4})
    assert "No charge of its plan measures energy" in reasons(client, "TRACKER_0005")
    assert "/readings/count?object=TRACKER_0005" in client.get("/objects/TRACKER_0005").text


PAUSED = """
plans:
  - name: Paused
    charges:
      - name: Traffic
        type: usage
        vat_rate: "20"
        usage_while_suspended: report
        calculator: {metric: usage, price: {model: per_unit, unit_price: "1"}}
contracts:
  - {name: Seasonal, customer: CITY, starts_on: 2022-01-01, subscriptions: [Paused]}
"""


def test_a_close_names_what_was_used_while_suspended_and_is_not_billed(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    with site.database.transaction() as session:
        catalogue.apply(session, catalogue.load(PAUSED, "paused.yaml"), site.clock.now())
    fields = {"contract": "Seasonal", "subscription": "Paused", "starts_on": "2022-05-01", "term_months": "12"}
    assert sends(client, "/activate?reference=SPARE_1", "activate", **fields).status_code == 303
    assert sends(client, "/objects/SPARE_1", "suspend", command="suspend", on="2022-05-10").status_code == 303
    takes(site, "SPARE_1", {"usage": 4})
    page = sends(client, "/close", "dry_run", until="2022-05-31").text
    told = page.split("Used while suspended, not billed")[1].split("</p>")[0]
    assert "SPARE_1" in told
    assert "4 unit" in told
    run = sends(client, "/close", "start", until="2022-05-31").headers["location"]
    eventually(lambda: "hx-trigger" not in client.get(run).text.split('id="run"')[1].split(">")[0], "it is closed")
    assert "Used while suspended, not billed" in client.get(run).text


def test_a_schedule_shows_money_as_money_and_nothing_before_it_is_valued(client: httpx.Client, site: Site) -> None:
    sign_in(client, site)
    page = client.get("/objects/IOT_NS542").text
    april, june = (
        next(row for row in page.split("<tr>") if row.startswith(f"<td>{first} 2022")) for first in ("1 Apr", "1 Jun")
    )
    assert '<td class="n">12</td><td class="n">30.00</td>' in april
    assert '<td class="n">\N{EN DASH}</td><td class="n">\N{EN DASH}</td>' in june
