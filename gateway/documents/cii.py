"""Cross Industry Invoice (UN/CEFACT D16B/D22B) in the EN 16931 profile of Factur-X and ZUGFeRD."""

from datetime import date

from gateway.documents.facts import EInvoice, Line, Party, Vat
from gateway.documents.language import Speech
from gateway.documents.tree import Node, build

SPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
PROFILE = "urn:cen.eu:en16931:2017"
SEPA_TRANSFER = "58"
"""UNTDID 4461, BT-81."""
FORMAT_OF_DAYS = "102"


def cii(invoice: EInvoice) -> bytes:
    """The XML of an invoice or a credit note."""
    return build(
        "rsm:CrossIndustryInvoice",
        SPACES,
        [
            (
                "rsm:ExchangedDocumentContext",
                [("ram:GuidelineSpecifiedDocumentContextParameter", [("ram:ID", PROFILE)])],
            ),
            (
                "rsm:ExchangedDocument",
                [
                    ("ram:ID", invoice.number),
                    ("ram:TypeCode", invoice.type_code),
                    ("ram:IssueDateTime", [_day(invoice.issued_on)]),
                    (
                        "ram:IncludedNote",
                        [("ram:Content", Speech("en", invoice.currency).noted(invoice.note, invoice.lacking))],
                    ),
                ],
            ),
            (
                "rsm:SupplyChainTradeTransaction",
                [
                    *(_line(line) for line in invoice.lines),
                    _agreement(invoice),
                    _delivery(invoice),
                    _settlement(invoice),
                ],
            ),
        ],
    )


def _day(day: date) -> Node:
    return ("udt:DateTimeString", {"format": FORMAT_OF_DAYS}, f"{day:%Y%m%d}")


def _period(starts_on: date, last_on: date) -> Node:
    return (
        "ram:BillingSpecifiedPeriod",
        [("ram:StartDateTime", [_day(starts_on)]), ("ram:EndDateTime", [_day(last_on)])],
    )


def _line(line: Line) -> Node:
    rate = None if line.vat_category == "O" else line.vat_rate
    return (
        "ram:IncludedSupplyChainTradeLineItem",
        [
            ("ram:AssociatedDocumentLineDocument", [("ram:LineID", line.position)]),
            ("ram:SpecifiedTradeProduct", [("ram:Name", line.name)]),
            (
                "ram:SpecifiedLineTradeAgreement",
                [("ram:NetPriceProductTradePrice", [("ram:ChargeAmount", line.price)])],
            ),
            (
                "ram:SpecifiedLineTradeDelivery",
                [("ram:BilledQuantity", {"unitCode": line.unit_code}, line.quantity)],
            ),
            (
                "ram:SpecifiedLineTradeSettlement",
                [
                    (
                        "ram:ApplicableTradeTax",
                        [
                            ("ram:TypeCode", "VAT"),
                            ("ram:CategoryCode", line.vat_category),
                            ("ram:RateApplicablePercent", rate),
                        ],
                    ),
                    _period(line.starts_on, line.last_on),
                    ("ram:SpecifiedTradeSettlementLineMonetarySummation", [("ram:LineTotalAmount", line.net)]),
                ],
            ),
        ],
    )


def _party(name: str, party: Party, *, outside_vat: bool) -> Node:
    lines = dict(zip(("ram:LineOne", "ram:LineTwo", "ram:LineThree"), party.address, strict=False))
    scheme, endpoint = party.endpoint or ("", None)
    return (
        name,
        [
            ("ram:Name", party.name),
            ("ram:SpecifiedLegalOrganization", [("ram:ID", party.legal_id)]),
            (
                "ram:PostalTradeAddress",
                [
                    ("ram:PostcodeCode", party.postcode),
                    *lines.items(),
                    ("ram:CityName", party.city),
                    ("ram:CountryID", party.country),
                ],
            ),
            ("ram:URIUniversalCommunication", [("ram:URIID", {"schemeID": scheme}, endpoint)]),
            (
                "ram:SpecifiedTaxRegistration",
                [("ram:ID", {"schemeID": "VA"}, None if outside_vat else party.vat_number)],
            ),
        ],
    )


def _agreement(invoice: EInvoice) -> Node:
    return (
        "ram:ApplicableHeaderTradeAgreement",
        [
            ("ram:BuyerReference", invoice.buyer_reference),
            _party("ram:SellerTradeParty", invoice.seller, outside_vat=invoice.outside_vat),
            _party("ram:BuyerTradeParty", invoice.buyer, outside_vat=invoice.outside_vat),
            ("ram:ContractReferencedDocument", [("ram:IssuerAssignedID", invoice.contract)]),
        ],
    )


def _delivery(invoice: EInvoice) -> Node:
    """Where goods or services go to matters within the Union (BR-IC-12); the element itself must stand."""
    within = any(line.vat_category == "K" for line in invoice.lines)
    place: Node = (
        "ram:ShipToTradeParty",
        [("ram:PostalTradeAddress", [("ram:CountryID", invoice.buyer.country if within else None)])],
    )
    last: Node = (
        "ram:ActualDeliverySupplyChainEvent",
        [("ram:OccurrenceDateTime", [_day(invoice.last_on)])],
    )
    return ("ram:ApplicableHeaderTradeDelivery", [place, last])


def _vat(total: Vat) -> Node:
    return (
        "ram:ApplicableTradeTax",
        [
            ("ram:CalculatedAmount", total.amount),
            ("ram:TypeCode", "VAT"),
            ("ram:ExemptionReason", total.reason),
            ("ram:BasisAmount", total.base),
            ("ram:CategoryCode", total.category),
            ("ram:ExemptionReasonCode", total.code),
            ("ram:RateApplicablePercent", None if total.category == "O" else total.rate),
        ],
    )


def _settlement(invoice: EInvoice) -> Node:
    transfer = not invoice.credits and invoice.seller.iban is not None
    return (
        "ram:ApplicableHeaderTradeSettlement",
        [
            ("ram:PaymentReference", invoice.number),
            ("ram:InvoiceCurrencyCode", invoice.currency),
            (
                "ram:SpecifiedTradeSettlementPaymentMeans",
                [
                    ("ram:TypeCode", SEPA_TRANSFER),
                    ("ram:PayeePartyCreditorFinancialAccount", [("ram:IBANID", invoice.seller.iban)]),
                ],
            )
            if transfer
            else None,
            *(_vat(total) for total in invoice.vat),
            _period(invoice.starts_on, invoice.last_on),
            ("ram:SpecifiedTradePaymentTerms", [("ram:DueDateDateTime", [_day(invoice.due_on)])]),
            (
                "ram:SpecifiedTradeSettlementHeaderMonetarySummation",
                [
                    ("ram:LineTotalAmount", invoice.net),
                    ("ram:TaxBasisTotalAmount", invoice.net),
                    ("ram:TaxTotalAmount", {"currencyID": invoice.currency}, invoice.vat_total),
                    ("ram:GrandTotalAmount", invoice.gross),
                    ("ram:TotalPrepaidAmount", invoice.prepaid if invoice.has_prepaid else None),
                    ("ram:DuePayableAmount", invoice.payable),
                ],
            ),
            *(("ram:InvoiceReferencedDocument", [("ram:IssuerAssignedID", number)]) for number in invoice.corrects),
        ],
    )
