"""`metergate quarantine`: refused messages, whole, with their reasons."""

import click

from gateway.cli.context import house
from gateway.cli.output import show_json, show_rows
from storage import quarantine as store
from storage.tables import Quarantine

IDENTITY = click.IntRange(1, 2**63 - 1)


@click.group()
def quarantine() -> None:
    """Refused messages: list, show, replay, discard."""


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", errors="backslashreplace")


def _row(message: Quarantine) -> dict[str, object]:
    return {
        "id": message.id,
        "received_at": message.received_at,
        "reason": message.reason,
        "topic": message.topic,
        "detail": message.detail,
    }


@quarantine.command("list")
@click.option("--reason", help="Only messages refused for this reason.")
@click.option("--all", "everything", is_flag=True, help="Replayed and discarded ones too.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(reason: str | None, *, everything: bool, limit: int, as_json: bool) -> None:
    """List the messages that wait."""
    with house() as parts, parts.database.snapshot() as session:
        rows = store.listed(session, status=None if everything else "waiting", reason=reason, limit=limit)
        shown = [_row(message) for message in rows]
    show_rows(shown, as_json=as_json, nothing="No message waits in quarantine.")


@quarantine.command()
@click.argument("identity", type=IDENTITY)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(identity: int, *, as_json: bool) -> int:
    """Show one message with its payload."""
    with house() as parts, parts.database.snapshot() as session:
        message = store.find(session, identity)
        if message is None:
            click.echo(f"no quarantined message has the id {identity}", err=True)
            return 1
        whole = _row(message) | {"status": message.status, "payload": _text(message.payload)}
    if as_json:
        show_json(whole)
    else:
        for key, value in whole.items():
            click.echo(f"{key.replace('_', ' ')}: {value}")
    return 0


@quarantine.command()
@click.argument("identities", type=IDENTITY, nargs=-1)
@click.option("--reason", help="Every waiting message refused for this reason.")
def replay(identities: tuple[int, ...], reason: str | None) -> int:
    """Try messages again, after the registry or the catalogue was mended; a second replay gives nothing."""
    from gateway import ingest

    if not identities and reason is None:
        raise click.UsageError("say which: ids, or --reason")
    stayed = 0
    done = 0
    with house() as parts:
        with parts.database.snapshot() as session:
            waiting = store.listed(session, reason=reason, limit=1_000_000)
            chosen = [it.id for it in waiting if it.id is not None and (not identities or it.id in identities)]
        for identity in chosen:
            with parts.database.transaction() as session:
                refusal = ingest.replay(session, identity, ingest.Rules.of(parts.settings), now=parts.clock.now())
            if refusal is None:
                done += 1
            else:
                stayed += 1
                click.echo(f"{identity} stays: {refusal}", err=True)
    missing = sorted(set(identities) - set(chosen))
    if missing:
        click.echo(f"not waiting in quarantine: {', '.join(map(str, missing))}", err=True)
    click.echo(f"{done} replayed, {stayed} stay")
    return 1 if stayed or missing else 0


@quarantine.command()
@click.argument("identities", type=IDENTITY, nargs=-1, required=True)
def discard(identities: tuple[int, ...]) -> int:
    """Give messages up; they stay listed under --all."""
    status = 0
    with house() as parts, parts.database.transaction() as session:
        for identity in identities:
            message = store.find(session, identity)
            if message is None or message.status != "waiting":
                click.echo(f"{identity} does not wait in quarantine", err=True)
                status = 1
            else:
                store.resolve(session, message, status="discarded", now=parts.clock.now())
    return status
