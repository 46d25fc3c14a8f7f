"""How a paho client is made and how a broker's URL is read; the receiver and the publisher share it."""

import socket
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

KEEPALIVE_SECONDS = 30
"""A dead connection is noticed within one and a half of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the broker is and as whom we speak."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    ca_file: str | None = None
    """Certificates of the authorities that TLS trusts; the machine's own when None."""


def address_from(url: str, ca_file: str | None = None) -> Address:
    """Read `mqtt://user:password@host:1883` or `mqtts://...`; ValueError says what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise ValueError(
            f"the broker URL {parts.scheme}://... is not usable; write mqtt://host:1883 or mqtts://host:8883"
        )
    tls = parts.scheme == "mqtts"
    address = Address(
        host=parts.hostname,
        port=parts.port or (8883 if tls else 1883),
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ca_file=ca_file or None,
    )
    if address.ca_file is not None:
        try:
            tls_context(address)
        except OSError as error:
            raise ValueError(f"METERGATE_BROKER_CA_FILE {ca_file} cannot be used: {error.strerror or error}") from None
    return address


def tls_context(address: Address) -> ssl.SSLContext:
    """Trust that checks the certificate and the host's name. Raises OSError for a file that cannot be used."""
    return ssl.create_default_context(cafile=address.ca_file)


def new_client(
    address: Address,
    *,
    client_id: str,
    mqtt_version: str,
    manual_ack: bool,
    clean: bool,
    reconnect: bool = True,
    wrapping: ssl.SSLContext | None = None,
) -> Client:
    """A paho client with every option that matters made explicit; `clean` is the session of MQTT 3.1.1.

    With `wrapping`, every connection goes through it, with TLS or without.
    """
    five = mqtt_version == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if five else clean,
        protocol=MQTTv5 if five else MQTTv311,
        manual_ack=manual_ack,
        reconnect_on_failure=reconnect,
    )
    client.reconnect_delay_set(min_delay=1, max_delay=30)
    if address.user is not None:
        client.username_pw_set(address.user, address.password)
    if wrapping is not None or address.tls:
        client.tls_set_context(wrapping or tls_context(address))
    return client


def reachable(address: Address, *, seconds: float = 3) -> str | None:
    """None when something accepts connections there, else a sentence."""
    try:
        with socket.create_connection((address.host, address.port), timeout=seconds):
            return None
    except OSError as error:
        return f"nothing answers at {address.host}:{address.port} ({error}); check METERGATE_BROKER_URL"
