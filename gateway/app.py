"""The composition root: one place that knows the concrete parts and their start and stop order.

Start: partitions, outbox publisher, receiver, alarms. Stop: alarms, receiver (which finishes its batch), publisher.
"""

import logging
from datetime import timedelta
from typing import Self

from billing import close as closing
from billing import control, lifecycle
from billing.core.errors import BillingError
from config.clock import Clock
from config.settings import Settings
from gateway.mqtt import address_from
from gateway.publisher import OutboxPublisher
from gateway.receiver import ControlProperties, Receiver
from gateway.scheduler import Alarms
from storage.database import Database
from storage.partitions import ensure_partitions

log = logging.getLogger(__name__)
READY_SECONDS = 10
HOUSEKEEPING_SECONDS = 3600
"""How often ended terms and missing partitions are looked for; both have months of slack."""


class Gateway:
    """A running gateway; a `with` block starts and stops it. Several may share a database, with ids of their own."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._publisher = OutboxPublisher(
            database,
            clock,
            address_from(settings.broker_url),
            client_id=settings.client_id,
            mqtt_version=settings.mqtt_version,
        )
        self._receiver = Receiver(settings, database, clock, self._on_control)
        self._alarms = Alarms()

    def __enter__(self) -> Self:
        self._keep_house()
        self._alarms.every(HOUSEKEEPING_SECONDS, "housekeeping", self._keep_house)
        if self._settings.close_cron:
            self._alarms.cron(self._settings.close_cron, "close", self._close)
        self._publisher.start()
        self._receiver.start()
        try:
            self._receiver.wait_ready(READY_SECONDS)
        except Exception:
            self.__exit__()
            raise
        self._alarms.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._alarms.stop()
        self._receiver.stop()
        self._publisher.stop()

    def _on_control(self, topic: str, payload: bytes, retained: bool, properties: ControlProperties) -> None:  # noqa: FBT001 - the receiver's handler
        reference, command = topic.removeprefix(f"{self._settings.topic_control}/objects/").split("/")
        message = control.ControlMessage(
            object_reference=reference,
            command=command,
            body=payload,
            retained=retained,
            response_topic=properties.response_topic,
            correlation_data=properties.correlation_data,
        )
        with self._database.transaction() as session:
            control.execute(
                session,
                message,
                now=self._clock.now(),
                topics=control.Topics(devices=self._settings.topic_devices, control=self._settings.topic_control),
                payload_limit_bytes=self._settings.payload_limit_bytes,
                expiry_seconds=self._settings.command_expiry_seconds,
            )
        self._publisher.wake()

    def _keep_house(self) -> None:
        now = self._clock.now()
        with self._database.transaction() as session:
            ensure_partitions(session, today=now.date())
            lifecycle.end_terms(session, now, topic_devices=self._settings.topic_devices)

    def _close(self) -> None:
        """Close every month that ended at least the grace ago; a week of downtime is caught up by the same call."""
        now = self._clock.now()
        until = (now - timedelta(hours=self._settings.close_grace_hours)).date() - timedelta(days=1)
        try:
            report = closing.close(self._database, until, now)
        except BillingError as error:
            log.info("nothing is closed at this tick: %s", error)
            return
        for invoice in report.invoices:
            log.info("issued %s", invoice.number)
        for failure in report.failures:
            log.error("%s was not closed: %s", failure.contract, failure.message)
