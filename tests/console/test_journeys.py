"""What people come to the console for, each in a real browser, from the sign-in to the end."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from billing import readings
from billing.access import Role
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage import close_runs, payments, quarantine, registry
from tests.console import town
from tests.console.conftest import Site

SignedIn = Callable[[Role], Page]


def faults(page: Page) -> list[str]:
    """What axe finds serious."""
    return [it["id"] for it in Axe().run(page).response["violations"] if it["impact"] in {"serious", "critical"}]


def test_why_is_this_device_not_billed(signed_in: SignedIn) -> None:
    page = signed_in(Role.OPERATOR)
    page.get_by_role("link", name="Fleet", exact=True).click()
    page.get_by_label("Reference begins with").fill("SPARE")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="SPARE_1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SPARE_1")
    reasons = page.get_by_label("Why it is not billed")
    expect(reasons).to_contain_text("It was never activated")
    expect(reasons.get_by_role("link", name="Activate it")).to_have_attribute("href", "/activate?reference=SPARE_1")


def test_why_is_this_invoice_so_high(signed_in: SignedIn) -> None:
    page = signed_in(Role.READER)
    page.get_by_role("link", name="Invoices", exact=True).click()
    page.get_by_role("link", name="INV/2022/04/0001").click()
    page.get_by_role("link", name="Premium Fleet Subscription / Usage").click()
    page.get_by_role("link", name="Largest first").click()
    largest = page.get_by_role("row").nth(1)
    expect(largest).to_contain_text("IOT_NS542")
    expect(largest).to_contain_text("30.00")
    largest.get_by_role("link", name="What is behind IOT_NS542").click()
    record = page.get_by_role("row").nth(1)
    expect(record).to_contain_text("14 Apr 2022 12:00:00")
    expect(record).to_contain_text("12 unit")


def test_an_object_is_suspended_after_a_look_at_what_that_bills(signed_in: SignedIn, site: Site) -> None:
    page = signed_in(Role.OPERATOR)
    page.goto("/objects/CHARGER_0001")
    page.locator("summary", has_text="Suspend").click()
    page.get_by_role("button", name="See what it bills").first.click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was written")
    with site.database.snapshot() as session:
        assert registry.list_objects(session, references=["CHARGER_0001"])[0].status == "active"
    page.get_by_role("button", name="Suspend", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("CHARGER_0001 is suspended.")
    expect(page.get_by_label("Why it is not billed")).to_contain_text("It is suspended")


def test_a_refused_command_says_why_and_keeps_what_was_typed(signed_in: SignedIn) -> None:
    page = signed_in(Role.BILLING)
    page.goto("/objects/CHARGER_0001")
    page.locator("summary", has_text="Change the plan").click()
    form = page.locator("form", has=page.get_by_role("button", name="Change the plan"))
    form.get_by_label("Subscription").fill("No Such Plan")
    form.get_by_role("button", name="Change the plan").click()
    expect(page.get_by_role("alert")).to_contain_text("No Such Plan")


def test_an_invoice_is_credited_in_part_and_paid(signed_in: SignedIn, site: Site) -> None:
    page = signed_in(Role.BILLING)
    page.goto("/invoices/INV/2022/04/0001")
    page.get_by_text("Credit this invoice").click()
    page.get_by_label("Amount, net").fill("30")
    page.get_by_label("Reason; it stands on the credit note").fill("A gesture")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("status")).to_contain_text("The credit note would be over 36.00")
    page.get_by_role("button", name="Issue the credit note").click()
    expect(page.get_by_role("status")).to_contain_text("is issued")
    page.get_by_role("link", name="INV/2022/04/0001").click()
    page.get_by_text("Record a payment").click()
    page.locator("#pay-amount").fill("360.00")
    page.get_by_label("The bank's reference").fill("SEPA 1")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("The payment of INV/2022/04/0001 is recorded.")
    expect(page.get_by_text("Paid", exact=True)).to_be_visible()
    with site.database.snapshot() as session:
        paid = {row.number: row.paid_minor for row in payments.documents(session)}
    assert paid["INV/2022/04/0001"] == 36000


def test_an_unknown_object_in_quarantine_is_registered_activated_and_its_messages_are_taken_in(
    signed_in: SignedIn, site: Site
) -> None:
    page = signed_in(Role.OPERATOR)
    page.get_by_role("link", name="Quarantine", exact=True).click()
    page.locator(".figures").get_by_role("link", name="Unknown object").click()
    page.get_by_role("row", name="UNKNOWN_1").get_by_role("link").first.click()
    page.get_by_role("link", name="Register and activate UNKNOWN_1").click()
    page.get_by_role("link", name="IOT Fleet Contract").click()
    page.get_by_label("First day of service").fill("2022-05-01")
    page.get_by_role("button", name="Look at the schedules and the first invoice").click()
    expect(page.get_by_role("heading", name="Contract item UNKNOWN_1")).to_be_visible()
    expect(page.get_by_text("12 schedules")).to_be_visible()
    with site.database.snapshot() as session:
        assert registry.find(session, ["UNKNOWN_1"]) == {}
    page.get_by_role("button", name="Activate UNKNOWN_1").click()
    expect(page.get_by_role("status")).to_contain_text("Messages that waited for it and are in now: 1.")
    expect(page.get_by_role("heading", name="Usage", exact=False).first).to_be_visible()


def test_a_mapping_is_tried_on_a_refused_message(signed_in: SignedIn) -> None:
    page = signed_in(Role.OPERATOR)
    page.goto("/quarantine?reason=unknown_object")
    page.get_by_role("row", name="UNKNOWN_1").get_by_role("link").first.click()
    page.get_by_label("Topic").fill("site/north/meter/M1")
    page.get_by_label("Source, in YAML").fill(
        "sources:\n  - name: meters\n    topic: site/{site}/meter/{object}\n"
        "    time: {path: ts, format: [rfc3339]}\n    metrics:\n      - {path: metrics.usage, metric: usage}\n"
    )
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#tried")).to_contain_text("M1")
    expect(page.locator("#tried")).to_contain_text("7")


def test_a_month_is_closed_after_a_dry_run_and_its_report_leads_to_the_invoice(signed_in: SignedIn, site: Site) -> None:
    page = signed_in(Role.BILLING)
    page.get_by_role("link", name="Close", exact=True).click()
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("heading", name="Fleet Customer")).to_be_visible()
    assert faults(page) == []
    with site.database.snapshot() as session:
        assert all("/05/" not in row.number for row in payments.documents(session))
    page.get_by_role("button", name="Close and issue").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="IOT Fleet Contract")).to_contain_text("31 May 2022")
    assert faults(page) == []
    page.get_by_role("link", name="INV/2022/05/0001").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("INV/2022/05/0001")


def test_a_price_is_tried_on_a_usage(signed_in: SignedIn) -> None:
    page = signed_in(Role.READER)
    page.get_by_role("link", name="Plans", exact=True).click()
    page.get_by_role("link", name="Charger Subscription").click()
    page.get_by_label("Usage of one period").fill("150")
    page.get_by_role("button", name="See the lines").click()
    expect(page.get_by_role("heading", name="Energy: 42.50 EUR")).to_be_visible()
    expect(page.get_by_text("model: graduated")).to_contain_text("- flat_fee: 0")
    expect(page.get_by_text("null")).to_have_count(0)


def test_a_document_is_downloaded_with_the_session_of_the_console(signed_in: SignedIn) -> None:
    page = signed_in(Role.READER)
    page.goto("/invoices/INV/2022/04/0001")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert started.value.suggested_filename == "INV-2022-04-0001.csv"


def test_a_fleet_is_imported_after_a_look_at_its_errors_and_suspended_in_one_go(
    signed_in: SignedIn, site: Site, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.csv"
    owners = "FLEET,IOT Fleet Contract,Premium Fleet Subscription,yes,2022-06-01"
    file.write_text(
        "reference,customer,contract,subscription,activate,starts_on,site\n"
        f"NEW_1,{owners},Lyon\nNEW_2,{owners},Lyon\nSPARE_1,{owners},Lyon\nNEW_3,FLEET,No Such,,no,,Lyon\n"
    )
    page = signed_in(Role.OPERATOR)
    page.goto("/fleet/import")
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("heading", name="Wrong: 2 rows")).to_be_visible()
    expect(page.get_by_text("object SPARE_1 is already registered")).to_be_visible()
    with site.database.snapshot() as session:
        assert registry.find(session, ["NEW_1"]) == {}
    page.get_by_role("button", name="Create them").click()
    expect(page.get_by_role("status")).to_contain_text("2 objects are created, 2 rows are left out.")
    page.goto("/fleet?search=NEW_")
    page.get_by_label("All of this page").check()
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("status")).to_contain_text("Done for 2 objects.")
    with site.database.snapshot() as session:
        assert {row.status for row in registry.find(session, ["NEW_1", "NEW_2"]).values()} == {"suspended"}


def test_refused_messages_are_discarded_together_and_leave_the_list(signed_in: SignedIn, site: Site) -> None:
    page = signed_in(Role.OPERATOR)
    page.goto("/quarantine?reason=unknown_metric")
    page.get_by_label("All of this page").check()
    page.get_by_role("button", name="Discard the ticked").click()
    expect(page.get_by_role("status")).to_contain_text("1 discarded.")
    expect(page.get_by_text("No message matches.")).to_be_visible()
    with site.database.snapshot() as session:
        assert quarantine.counts(session) == {"bad_json": 1, "unknown_object": 1}
    page.get_by_label("Status").select_option("discarded")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row", name="TRACKER_0002")).to_be_visible()


def test_a_register_that_fell_is_held_until_somebody_says_that_another_began(signed_in: SignedIn, site: Site) -> None:
    read = [
        Message(
            topic="devices/CHARGER_0001/telemetry",
            payload=json.dumps({"ts": f"2022-05-{day:02d}T10:00:00Z", "metrics": {"energy": value}}).encode(),
            received_at=town.JUNE,
        )
        for day, value in ((20, 7), (24, 9))
    ]
    ingest_batch(site.database, read, Rules.of(Settings(close_cron="")), now=town.JUNE)
    page = signed_in(Role.ADMINISTRATOR)
    page.get_by_role("link", name="Registers whose readings are held: 1").click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("CHARGER_0001")
    expect(page.get_by_text("Lower than the one before")).to_be_visible()
    page.get_by_label("Reason").fill("A new meter")
    page.get_by_role("button", name="Another register began").click()
    expect(page.get_by_role("status")).to_contain_text("It is decided for CHARGER_0001.")
    expect(page.get_by_text("No reading is held.")).to_be_visible()
    with site.database.snapshot() as session:
        assert readings.held(session, town.JUNE) == []


def test_what_the_last_close_left_open_needs_a_decision(signed_in: SignedIn, site: Site) -> None:
    with site.database.transaction() as session:
        run = close_runs.add(session, until=date(2022, 5, 31), asked_by="a test", now=town.JUNE)
        failures = [{"contract": "Town Chargers", "month": "2022-05-01", "message": "a sum does not fit"}]
        close_runs.finish(session, run.id or 0, status="done", now=town.JUNE, report={"failures": failures})
    page = signed_in(Role.BILLING)
    expect(page.get_by_role("link", name="Objects that are not activated: 2")).to_be_visible()
    page.get_by_role("link", name="Contracts that the last close left open: 1").click()
    expect(page.get_by_text("Town Chargers: a sum does not fit")).to_be_visible()
