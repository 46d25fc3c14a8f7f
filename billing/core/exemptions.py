"""Why a line bears no VAT: the code and the text that an invoice states once for each category and rate.

Source: EN 16931, BT-120 and BT-121 with BR-E-10, BR-AE-10, BR-IC-10, BR-G-10 and BR-O-10 (a reason is due) and BR-S-10,
BR-Z-10, BR-AF-10 and BR-AG-10 (none may stand); codes of the VATEX list of the Connecting Europe Facility.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from billing.core.errors import Invalid

CODE = re.compile(r"VATEX-[A-Z0-9-]{2,40}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Exemption:
    """A reason as a text, and as a code of the VATEX list where there is one."""

    reason: str
    code: str | None = None


DEFAULTS: Mapping[str, Exemption] = MappingProxyType(
    {
        "E": Exemption(reason="Exempt from VAT"),
        "AE": Exemption(code="VATEX-EU-AE", reason="Reverse charge"),
        "K": Exemption(code="VATEX-EU-IC", reason="Intra-Community supply"),
        "G": Exemption(code="VATEX-EU-G", reason="Export outside the EU"),
        "O": Exemption(code="VATEX-EU-O", reason="Not subject to VAT"),
    }
)
"""What is stated for a category where a charge says nothing."""


def exemption_of(category: str, reason: str | None, code: str | None) -> Exemption | None:
    """Why a charge bears no VAT: as it says, else as its category means; None where none may be stated.

    Raises Invalid for a reason with a category that bears VAT (or has a rate of zero), and for what is no VATEX code.
    """
    default = DEFAULTS.get(category)
    if default is None:
        if reason is not None or code is not None:
            raise Invalid(
                f"vat_category {category} takes no exemption reason (EN 16931); leave it out, or write one of "
                + ", ".join(DEFAULTS)
            )
        return None
    if code is not None and not CODE.fullmatch(code):
        raise Invalid(f"vat_exemption_code {code!r} is no code of the VATEX list, such as VATEX-EU-AE")
    if reason is None and code is None:
        return default
    return Exemption(reason=reason or default.reason, code=code)


def stated(found: Iterable[Exemption]) -> Exemption | None:
    """All reasons of one category and rate as one: the texts in order, the code where all have the same."""
    reasons = sorted(set(found), key=lambda it: (it.reason, it.code or ""))
    if not reasons:
        return None
    codes = {it.code for it in reasons}
    return Exemption(
        reason="; ".join(dict.fromkeys(it.reason for it in reasons)), code=codes.pop() if len(codes) == 1 else None
    )
