import pytest

from billing.core.charges import charge_from
from billing.core.errors import Invalid
from billing.core.exemptions import Exemption, exemption_of, stated

FEE = {"name": "Fee", "type": "recurring", "amount": "1"}


@pytest.mark.parametrize(
    "category, reason, code, expected",
    [
        ("S", None, None, None),
        ("Z", None, None, None),
        ("L", None, None, None),
        ("E", None, None, Exemption(reason="Exempt from VAT")),
        ("AE", None, None, Exemption(reason="Reverse charge", code="VATEX-EU-AE")),
        ("K", None, None, Exemption(reason="Intra-Community supply", code="VATEX-EU-IC")),
        ("G", None, None, Exemption(reason="Export outside the EU", code="VATEX-EU-G")),
        ("O", None, None, Exemption(reason="Not subject to VAT", code="VATEX-EU-O")),
        ("AE", "Autoliquidation", None, Exemption(reason="Autoliquidation")),
        ("E", None, "VATEX-EU-132-1I", Exemption(reason="Exempt from VAT", code="VATEX-EU-132-1I")),
        ("E", "Education", "VATEX-EU-132-1I", Exemption(reason="Education", code="VATEX-EU-132-1I")),
    ],
)
def test_a_category_states_its_reason_unless_the_charge_says_another(
    category: str, reason: str | None, code: str | None, expected: Exemption | None
) -> None:
    assert exemption_of(category, reason, code) == expected


@pytest.mark.parametrize("category, rate", [("S", "20"), ("Z", "0"), ("L", "7"), ("M", "4")])
def test_a_category_that_bears_vat_or_a_zero_rate_takes_no_reason(category: str, rate: str) -> None:
    with pytest.raises(Invalid, match="takes no exemption reason"):
        charge_from({**FEE, "vat_rate": rate, "vat_category": category, "vat_exemption_reason": "Because"})


def test_a_code_is_one_of_the_vatex_list() -> None:
    with pytest.raises(Invalid, match="VATEX"):
        charge_from({**FEE, "vat_rate": "0", "vat_category": "E", "vat_exemption_code": "EU-132"})


def test_several_reasons_of_one_rate_are_stated_together() -> None:
    education, health = Exemption(reason="Education", code="VATEX-EU-132-1I"), Exemption(reason="Health")
    assert stated([]) is None
    assert stated([education, education]) == education
    assert stated([health, education]) == Exemption(reason="Education; Health")
