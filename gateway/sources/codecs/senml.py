"""SenML in JSON (RFC 8428); each document is one resolved record: `{object, name, value, time}`.

Base fields hold for the records behind them until they change, which may be midway, for another object. A name is split
where the object ends: between the base name and the record's own, else at the last `:` or `/`. A running sum (`s`) is a
document of its own, named `NAME:sum`: it is a register.
"""

import re
from decimal import Decimal
from typing import Any

from gateway.sources.codecs.json_documents import decode_json
from gateway.sources.numbers import add
from gateway.telemetry import Unreadable

VERSION_MAX = 10
"""Of RFC 8428; a pack of a later one may mean something else."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*", re.ASCII)
"""RFC 8428, 4.5.1."""
SEPARATORS = ":/._-"


def decode_senml(payload: bytes) -> list[Any]:
    """A document for each record with a value. Raises Unreadable."""
    documents: list[Any] = []
    base: dict[str, Any] = {}
    for record in decode_json(payload):
        if record.__class__ is not dict:
            raise Unreadable("bad_shape", "a SenML pack is an array of JSON objects")
        base |= {key: value for key, value in record.items() if key.startswith("b")}
        unknown = [key for key in record if key.endswith("_")]
        if unknown or (base.get("bver") or 0) > VERSION_MAX:
            raise Unreadable(
                "bad_shape", f"{(unknown or ['bver'])[0]!r} must be understood (RFC 8428, 4.4), and is not"
            )
        documents += _documents(record, base)
    return documents


def _documents(record: dict[str, Any], base: dict[str, Any]) -> list[dict[str, Any]]:
    values = [record[key] for key in ("v", "vs", "vb") if key in record]
    if "v" in record:
        values = [_total(base.get("bv"), record["v"])]
    elif not values and "bv" in base and "s" not in record and "vd" not in record and "n" in record:
        values = [_total(base["bv"], None)]
    summed = [_total(base.get("bs"), record.get("s"))] if "s" in record else []
    if not values and not summed:
        return []
    named, name = _names(base.get("bn", ""), record.get("n", ""))
    whole = {"object": named, "time": _total(base.get("bt"), record.get("t"))}
    return [
        *({**whole, "name": name, "value": value} for value in values),
        *({**whole, "name": f"{name}:sum", "value": value} for value in summed),
    ]


def _total(base: Any, own: Any) -> Decimal | int:
    try:
        return add(0 if base is None else base, 0 if own is None else own)
    except TypeError:
        raise Unreadable("bad_number", f"{str(own)[:60]!r} on the base {str(base)[:60]!r} is no number") from None


def _names(base: Any, own: Any) -> tuple[str, str]:
    if base.__class__ is not str or own.__class__ is not str or not NAME.fullmatch(base + own):
        raise Unreadable("bad_shape", f"{str(base)[:80]!r} and {str(own)[:80]!r} make no SenML name")
    if base and own:
        return base.rstrip(SEPARATORS).replace("/", ":"), own
    whole = base + own
    at = max(whole.rfind(":"), whole.rfind("/"))
    if at <= 0:
        raise Unreadable("no_object", f"the name {whole[:80]!r} says no object; give the pack a base name")
    return whole[:at].replace("/", ":"), whole[at + 1 :]
