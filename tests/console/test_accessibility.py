"""axe looks at every page as a screen reader does, wide and narrow, light and dark, and finds nothing serious."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from billing.access import Role

PATHS = (
    "/",
    "/overview/charts",
    "/fleet",
    "/fleet/import",
    "/objects/IOT_NS542",
    "/objects/SPARE_1",
    "/objects/IOT_NS542/records?metric=usage&day=2022-04-14",
    "/activate",
    "/activate?reference=SPARE_1",
    "/activate?reference=SPARE_1&contract=Town+Chargers",
    "/invoices",
    "/invoices/INV/2022/04/0001",
    "/lines/1",
    "/lines/1/1/1",
    "/contracts",
    "/contracts/Town%20Chargers",
    "/plans",
    "/plans/Charger%20Subscription?quantity=150",
    "/close",
    "/quarantine",
    "/quarantine/1",
    "/readings",
    "/no-such-page",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault_or_is_wider_than_the_screen(
    signed_in: Callable[[Role], Page], scheme: str
) -> None:
    page = signed_in(Role.ADMINISTRATOR)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844} if scheme == "dark" else {"width": 1280, "height": 900})
    faults: list[str] = []
    for path in PATHS:
        page.goto(path)
        found = Axe().run(page).response["violations"]
        faults += [
            f"{path}: {it['id']} {it['nodes'][0]['target']} {it['help']}"
            for it in found
            if it["impact"] in {"serious", "critical"}
        ]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            faults.append(f"{path} is wider than the screen")
    assert faults == []


def test_the_sign_in_has_no_serious_fault(page: Page) -> None:
    page.goto("/sign-in")
    found = [it["id"] for it in Axe().run(page).response["violations"] if it["impact"] in {"serious", "critical"}]
    assert found == []
