"""UBL 2.1 invoices and credit notes, as Peppol BIS Billing 3.0 wants them."""

from datetime import date

from gateway.documents.facts import EInvoice, Line, Party, Vat
from gateway.documents.language import Speech
from gateway.documents.tree import Node, build

PROFILE = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
PROCESS = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
SPACES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
ROOTS = {
    False: ("Invoice", "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"),
    True: ("CreditNote", "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2"),
}
SEPA_TRANSFER = "58"
VAT_SCHEME: Node = ("cac:TaxScheme", [("cbc:ID", "VAT")])


def ubl(invoice: EInvoice) -> bytes:
    """The XML of an invoice or a credit note."""
    root, space = ROOTS[invoice.credits]
    return build(
        root,
        {"": space, **SPACES},
        [
            ("cbc:CustomizationID", PROFILE),
            ("cbc:ProfileID", PROCESS),
            ("cbc:ID", invoice.number),
            ("cbc:IssueDate", invoice.issued_on),
            None if invoice.credits else ("cbc:DueDate", invoice.due_on),
            (f"cbc:{root}TypeCode", invoice.type_code),
            ("cbc:Note", Speech("en", invoice.currency).noted(invoice.note, invoice.lacking)),
            ("cbc:DocumentCurrencyCode", invoice.currency),
            ("cbc:BuyerReference", invoice.buyer_reference),
            _period(invoice.starts_on, invoice.last_on),
            *(
                ("cac:BillingReference", [("cac:InvoiceDocumentReference", [("cbc:ID", number)])])
                for number in invoice.corrects
            ),
            ("cac:ContractDocumentReference", [("cbc:ID", invoice.contract)]),
            ("cac:AccountingSupplierParty", [_party(invoice.seller, outside_vat=invoice.outside_vat)]),
            ("cac:AccountingCustomerParty", [_party(invoice.buyer, outside_vat=invoice.outside_vat)]),
            _delivery(invoice),
            _payment(invoice),
            ("cac:PaymentTerms", [("cbc:Note", f"Due on {invoice.due_on}")]),
            (
                "cac:TaxTotal",
                [_amount("cbc:TaxAmount", invoice.vat_total, invoice), *(_vat(it, invoice) for it in invoice.vat)],
            ),
            (
                "cac:LegalMonetaryTotal",
                [
                    _amount("cbc:LineExtensionAmount", invoice.net, invoice),
                    _amount("cbc:TaxExclusiveAmount", invoice.net, invoice),
                    _amount("cbc:TaxInclusiveAmount", invoice.gross, invoice),
                    _amount("cbc:PrepaidAmount", invoice.prepaid, invoice) if invoice.has_prepaid else None,
                    _amount("cbc:PayableAmount", invoice.payable, invoice),
                ],
            ),
            *(_line(line, invoice) for line in invoice.lines),
        ],
    )


def _amount(name: str, amount: object, invoice: EInvoice) -> Node:
    return (name, {"currencyID": invoice.currency}, amount)


def _period(starts_on: date, last_on: date) -> Node:
    return ("cac:InvoicePeriod", [("cbc:StartDate", starts_on), ("cbc:EndDate", last_on)])


def _party(party: Party, *, outside_vat: bool) -> Node:
    first, second, third = (*party.address, None, None, None)[:3]
    scheme, endpoint = party.endpoint or ("", None)
    return (
        "cac:Party",
        [
            ("cbc:EndpointID", {"schemeID": scheme}, endpoint),
            ("cac:PartyName", [("cbc:Name", party.name)]),
            (
                "cac:PostalAddress",
                [
                    ("cbc:StreetName", first),
                    ("cbc:AdditionalStreetName", second),
                    ("cbc:CityName", party.city),
                    ("cbc:PostalZone", party.postcode),
                    ("cac:AddressLine", [("cbc:Line", third)]),
                    ("cac:Country", [("cbc:IdentificationCode", party.country)]),
                ],
            ),
            (
                "cac:PartyTaxScheme",
                [("cbc:CompanyID", party.vat_number), VAT_SCHEME],
            )
            if party.vat_number and not outside_vat
            else None,
            (
                "cac:PartyLegalEntity",
                [("cbc:RegistrationName", party.name), ("cbc:CompanyID", party.legal_id)],
            ),
        ],
    )


def _delivery(invoice: EInvoice) -> Node:
    within = any(line.vat_category == "K" for line in invoice.lines)
    country: Node = ("cac:Country", [("cbc:IdentificationCode", invoice.buyer.country if within else None)])
    return (
        "cac:Delivery",
        [
            ("cbc:ActualDeliveryDate", invoice.last_on if within else None),
            ("cac:DeliveryLocation", [("cac:Address", [country])]),
        ],
    )


def _payment(invoice: EInvoice) -> Node:
    if invoice.credits or invoice.seller.iban is None:
        return None
    return (
        "cac:PaymentMeans",
        [
            ("cbc:PaymentMeansCode", SEPA_TRANSFER),
            ("cbc:PaymentID", invoice.number),
            ("cac:PayeeFinancialAccount", [("cbc:ID", invoice.seller.iban)]),
        ],
    )


def _category(name: str, category: str, rate: object, *reasons: Node) -> Node:
    percent = None if category == "O" else rate
    return (name, [("cbc:ID", category), ("cbc:Percent", percent), *reasons, VAT_SCHEME])


def _vat(total: Vat, invoice: EInvoice) -> Node:
    return (
        "cac:TaxSubtotal",
        [
            _amount("cbc:TaxableAmount", total.base, invoice),
            _amount("cbc:TaxAmount", total.amount, invoice),
            _category(
                "cac:TaxCategory",
                total.category,
                total.rate,
                ("cbc:TaxExemptionReasonCode", total.code),
                ("cbc:TaxExemptionReason", total.reason),
            ),
        ],
    )


def _line(line: Line, invoice: EInvoice) -> Node:
    quantity = "cbc:CreditedQuantity" if invoice.credits else "cbc:InvoicedQuantity"
    return (
        "cac:CreditNoteLine" if invoice.credits else "cac:InvoiceLine",
        [
            ("cbc:ID", line.position),
            (quantity, {"unitCode": line.unit_code}, line.quantity),
            _amount("cbc:LineExtensionAmount", line.net, invoice),
            _period(line.starts_on, line.last_on),
            (
                "cac:Item",
                [
                    ("cbc:Name", line.name),
                    _category("cac:ClassifiedTaxCategory", line.vat_category, line.vat_rate),
                ],
            ),
            ("cac:Price", [_amount("cbc:PriceAmount", line.price, invoice)]),
        ],
    )
