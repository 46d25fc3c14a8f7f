"""Figures of the gateway as Prometheus reads them, from the database: any process may be asked."""

from collections.abc import Iterator

from fastapi import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from billing.access import Permission
from gateway.web.endpoints import allowed, router
from gateway.web.service import Behind
from storage import figures as stored
from storage.figures import Figures

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
metrics = router("metrics")


class _Stored(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        it = self._figures
        yield _gauge("metergate_objects", "Objects by status.", ("status",), it.objects)
        yield _gauge("metergate_quarantine_waiting", "Refused messages that wait, by reason.", ("reason",), it.refused)
        yield _gauge("metergate_outbox_waiting", "Messages that have not left yet.", (), {(): it.outbox})
        yield _gauge("metergate_schedules_due", "Open schedules that are due today or before.", (), {(): it.due})
        yield _gauge("metergate_reception_gaps", "Times in which messages may be missing.", (), {(): it.gaps})
        yield _gauge("metergate_drafts_waiting", "Drafts that wait for approval.", (), {(): it.drafts})
        yield _counter("metergate_batches", "Transactions that wrote usage.", (), {(): it.batches})
        yield _gauge("metergate_member_up", "1 when an ingest member is at work.", ("client_id",), it.up)
        dead = "1 when an ingest member fell silent without having been stopped: its share of the messages waits."
        yield _gauge("metergate_member_dead", dead, ("client_id",), it.dead)
        heard = "When an ingest member was last heard."
        yield _gauge("metergate_member_heard_timestamp_seconds", heard, ("client_id",), it.heard)
        yield _counter("metergate_member_messages", "Messages that a member stored.", ("client_id",), it.messages)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: stored.Values) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for words, value in sorted(values.items()):
        family.add_metric(words, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], values: stored.Values) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for words, value in sorted(values.items()):
        family.add_metric(words, value)
    return family


@metrics.get(
    "/metrics",
    operation_id="metrics",
    dependencies=allowed(Permission.READ_FLEET),
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def show_metrics(behind: Behind) -> Response:
    """Figures for Prometheus; give it a token with the role `reader`."""
    with behind.database.snapshot() as session:
        figures = stored.read(session, behind.clock.now())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Stored(figures))
    return Response(generate_latest(registry), media_type=MEDIA_TYPE)
