"""Codecs: the bytes of one message to documents, which mappings then read; one file each, pure.

The law: any bytes give documents or one refusal; nothing else is raised, and no number passes through a float.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from gateway.attached import Attached
from gateway.sources.codecs.cloudevents import decode_event, decode_structured
from gateway.sources.codecs.json_documents import decode_json
from gateway.sources.codecs.nothing import decode_nothing
from gateway.sources.codecs.p1 import decode_p1
from gateway.sources.codecs.plain import decode_plain
from gateway.sources.codecs.senml import decode_senml
from gateway.sources.codecs.sparkplug import decode_alone
from gateway.sources.codecs.thingsboard import decode_device, decode_gateway

Decode = Callable[[bytes], list[Any]]
"""Documents as plain values: objects, arrays, texts, Decimals, integers, booleans, None. Raises Unreadable."""
DecodeAttached = Callable[[bytes, Attached], list[Any]]
"""The same, of a payload with what came beside it under MQTT 5."""
CODECS: Mapping[str, Decode] = MappingProxyType(
    {
        "cloudevents": decode_structured,
        "json": decode_json,
        "nothing": decode_nothing,
        "p1": decode_p1,
        "plain": decode_plain,
        "senml": decode_senml,
        "sparkplug": decode_alone,
        "thingsboard": decode_device,
        "thingsboard_gateway": decode_gateway,
    }
)
"""Every codec by its name in the catalogue."""
ATTACHED: Mapping[str, DecodeAttached] = MappingProxyType({"cloudevents": decode_event})
"""The codecs that read what comes beside a payload; without it, they are those of `CODECS`."""
STATEFUL = "sparkplug"
"""The codec whose messages mean something only after others: one process reads all of them, in order."""
