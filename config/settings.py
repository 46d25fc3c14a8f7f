"""Settings: from the environment (`METERGATE_*`) or a `metergate.toml`; each has its unit, none is unsafe."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

SETTINGS_FILE = Path("metergate.toml")


class Settings(BaseSettings):
    """Every setting of Metergate, with its default."""

    model_config = SettingsConfigDict(env_prefix="METERGATE_", extra="forbid", frozen=True)

    database_url: str = Field("sqlite:///metergate.db", description="SQLAlchemy URL of the database.")
    broker_url: str = Field(
        "mqtt://127.0.0.1:1883", description="mqtt:// or mqtts://, with user and password where needed."
    )
    broker_ca_file: str = Field("", description="Certificates that mqtts:// trusts (PEM); empty: those of the machine.")
    receiver: Literal["native", "paho"] = Field(
        "native", description="The client that receives: our own, or paho-mqtt."
    )
    mqtt_version: Literal["5", "3.1.1"] = Field("5", description="The protocol spoken to the broker.")
    client_id: str = Field("metergate", min_length=1, description="Fixed: the broker keeps this client's session.")
    clock: str = Field("system", description="`system`, or `virtual:` and an instant.")
    topic_devices: str = Field("devices", min_length=1, description="Prefix of the objects' topics.")
    topic_control: str = Field("control", min_length=1, description="Prefix of the back office's topics.")
    receive_window: int = Field(
        8000, ge=1, le=65535, description="Messages in flight without acknowledgement: bounds the memory."
    )
    keepalive_seconds: int = Field(
        30, ge=1, le=65535, description="A dead connection to the broker is noticed within one and a half of these."
    )
    stop_seconds: int = Field(
        30, ge=1, description="How long a gateway that is stopped may finish what it has in hand."
    )
    batch_max: int = Field(4000, ge=1, description="Most messages of one transaction.")
    broker_drops_topic: str = Field(
        "$SYS/broker/publish/messages/dropped",
        description="Where the broker says how many messages it dropped (Mosquitto); empty: not listened to.",
    )
    payload_limit_bytes: int = Field(65536, ge=64, description="A larger payload is quarantined.")
    limit_messages_minute: int = Field(
        0, ge=0, description="Most messages a minute of one object's topic, a backlog's included; 0: no limit."
    )
    limit_metrics: int = Field(200, ge=1, le=200, description="Most metrics of one sample.")
    limit_sample: int = Field(
        20,
        ge=1,
        description="Messages over a limit that wait in quarantine, by object, limit and hour; others are counted.",
    )
    quarantine_days: int = Field(90, ge=1, description="How long replayed and discarded messages are kept.")
    history_days: int = Field(
        400,
        ge=7,
        description="How long answers to requests, what was sent, settled commands and runs of closes are kept.",
    )
    quarantine_limit_bytes: int = Field(
        1_073_741_824,
        ge=1_048_576,
        description="Payloads that are kept; beyond, what waits stays, new ones are counted.",
    )
    plausible_past_days: int = Field(3650, ge=1, description="Older than this is refused.")
    plausible_future_hours: int = Field(24, ge=0, description="Further ahead than this is refused.")
    unkeyed_deltas: Literal["accept", "refuse"] = Field(
        "accept", description="A delta with neither id nor time cannot be told from its repeat."
    )
    close_cron: str = Field("", description="When to close (five cron fields, UTC); empty: only by command.")
    threshold_seconds: int = Field(
        900, ge=0, description="How often to look for periods that passed their threshold; 0: only by command."
    )
    silence_seconds: int = Field(
        300, ge=0, description="How often to look for objects that are silent for too long; 0: only before a close."
    )
    close_grace_hours: int = Field(0, ge=0, description="Wait this long after a month's end for late usage.")
    http_listen: str = Field("127.0.0.1:8600", description="Where the API and the console are served; empty: nowhere.")
    console_session_hours: int = Field(12, ge=1, le=24 * 30, description="How long one stays signed in to the console.")
    http_body_limit_bytes: int = Field(
        8_388_608, ge=1024, description="A larger body of a request is refused; it is held in memory."
    )
    offline_after: str = Field(
        "", description="An object is offline when nothing came for so long: 1h, or tracker=15m, 1h; empty: never."
    )
    presence_debounce_seconds: int = Field(
        0, ge=0, le=86400, description="A change of presence that did not hold for so long is no event."
    )
    webhook_disable_days: int = Field(
        5, ge=1, le=365, description="A webhook whose every attempt failed for so long is switched off."
    )
    webhook_private_addresses: bool = Field(
        default=False, description="Whether webhooks may be at addresses that are not public, and without TLS there."
    )
    command_expiry_seconds: int = Field(86400, ge=1, description="A command not delivered by then is dropped.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=SETTINGS_FILE)
