"""ThingsBoard's device and gateway payloads; each document is `{object?, ts?, values}`.

A device sends `{key: value}`, `{"ts": ms, "values": {...}}`, or an array of them; a gateway one object whose keys are
devices, each with such an array.
"""

from typing import Any

from gateway.sources.codecs.json_documents import decode_json
from gateway.telemetry import SAMPLES_MAX, Unreadable


def decode_device(payload: bytes) -> list[Any]:
    """The samples of one device. Raises Unreadable."""
    return [_sample(entry) for entry in decode_json(payload)]


def decode_gateway(payload: bytes) -> list[Any]:
    """The samples of many devices, `object` naming each. Raises Unreadable."""
    documents: list[Any] = []
    for entry in decode_json(payload):
        if entry.__class__ is not dict:
            raise Unreadable("bad_shape", "a gateway sends one JSON object whose keys are its devices")
        for name, samples in entry.items():
            each = samples if samples.__class__ is list else [samples]
            documents += [{"object": name, **_sample(sample)} for sample in each]
            if len(documents) > SAMPLES_MAX:
                raise Unreadable("bad_shape", f"more than {SAMPLES_MAX} samples in one message")
    return documents


def _sample(entry: Any) -> dict[str, Any]:
    if entry.__class__ is not dict:
        raise Unreadable("bad_shape", f"a sample is a JSON object, got {type(entry).__name__}")
    values = entry.get("values")
    return entry if values.__class__ is dict else {"values": entry}
