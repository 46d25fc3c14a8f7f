"""What people come to the console for, each in a real browser, from the sign-in to the end."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from billing.access import Role
from storage import payments, registry
from tests.console.conftest import Site

SignedIn = Callable[[Role], Page]


def test_why_is_this_device_not_billed(signed_in: SignedIn) -> None:
    page = signed_in(Role.OPERATOR)
    page.get_by_role("link", name="Fleet").click()
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
