"""What people come to the console for, each in a real browser, from the sign-in to the end."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from billing.access import Role

SignedIn = Callable[[Role], Page]


def test_from_the_fleet_one_comes_to_the_object_and_its_invoice(signed_in: SignedIn) -> None:
    page = signed_in(Role.ADMINISTRATOR)
    page.get_by_role("link", name="Fleet").click()
    page.get_by_label("Reference begins with").fill("IOT")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="IOT_NS542").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("IOT_NS542")
    expect(page.get_by_role("heading", name="Contract item on Premium Fleet Subscription")).to_be_visible()
    page.get_by_role("link", name="Invoices", exact=True).click()
    page.get_by_role("link", name="INV/2022/04/0001").click()
    expect(page.get_by_role("row", name="Premium Fleet Subscription / Usage")).to_contain_text("330.00")
