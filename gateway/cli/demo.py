"""`metergate demo`."""

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import click

DAY_AFTER = "2022-06-01T06:00:00Z"
"""The virtual time at which the demo ends, and at which its console stands."""
ANY_PORT = "127.0.0.1:0"


@click.command()
@click.option(
    "--output", default="demo-output", show_default=True, type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the database and the extractions; an earlier demo in it is replaced.",
)  # fmt: skip
def demo(output: Path) -> None:
    """A virtual fleet through the whole journey, in under a minute."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from gateway import demo as play
    from gateway import extraction
    from gateway.cli.output import show_table
    from gateway.views.documents import line_rows, summary
    from storage.database import Database

    started = time.monotonic()
    if output.exists():
        if any(output.iterdir()) and not (output / "demo.db").exists():
            raise click.ClickException(f"{output} holds something else; give another folder with --output")
        shutil.rmtree(output)
    output.mkdir(parents=True)
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def step(name: str, total: int) -> Callable[[int], object]:
            task = progress.add_task(name, total=total)
            return lambda count: progress.advance(task, count)

        result = play.run(output, step)
    reports = [*result.april.invoices, *result.may.invoices]
    files = []
    database = Database(result.database_url)
    try:
        for invoice in reports:
            for form in get_args(extraction.Format):
                path = output / f"{invoice.number.replace('/', '-')}.{form}"
                with database.snapshot() as session:
                    extraction.export_invoice(session, invoice.number, path, form)
                files.append(path)
    finally:
        database.dispose()

    def count(found: dict[str, int]) -> str:
        return ", ".join(f"{number} {name}" for name, number in found.items())

    click.echo()
    show_table(
        ["what", "how many"],
        [
            ("connected objects", count(result.objects)),
            ("messages published", result.published),
            ("usage records", result.usage_records),
            ("quarantined", count(result.quarantined)),
            ("invoices", len(reports)),
        ],
    )
    for invoice in reports:
        figures = summary(invoice)
        click.echo(f"\n{invoice.number}  {invoice.contract}  {figures['total']} {invoice.currency}")
        rows = line_rows(invoice)
        show_table([key.replace("_", " ") for key in rows[0]], [list(row.values()) for row in rows])
    click.echo("\nExtractions:")
    for path in files:
        click.echo(f"  {path}")
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s. Look further:")
    command = f"METERGATE_DATABASE_URL={result.database_url} .venv/bin/metergate"
    for words in (
        "objects show IOT_NS542",
        "invoices show INV/2022/04/0001",
        "invoices explain INV/2022/05/0001",
        "quarantine list",
    ):
        click.echo(f"  {command} {words}")
    _console(result.database_url, command)


def _console(url: str, command: str) -> None:
    """Serve the console where a person sits; elsewhere say how."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        _serve(url)
    else:
        click.echo(
            "\nThe console on this data (a token to sign in with: `metergate tokens create NAME --role administrator`):"
        )
        click.echo(f"  METERGATE_CLOCK=virtual:{DAY_AFTER} {command} run --role web")


def _serve(url: str) -> None:
    """Serve the console on the demo's data until Ctrl-C."""
    from billing.access import Role, create_token
    from config.clock import clock_from
    from config.settings import Settings
    from gateway.web.application import application
    from gateway.web.serving import ListenError, WebServer
    from storage.database import Database

    settings = Settings(database_url=url, close_cron="")
    clock = clock_from(f"virtual:{DAY_AFTER}")
    database = Database(url)
    try:
        with database.transaction() as session:
            secret = create_token(session, "demo", Role.ADMINISTRATOR, clock.now())
        app = application(database, clock, settings)
        with ExitStack() as stack:
            try:
                server = stack.enter_context(WebServer(app, settings.http_listen or ANY_PORT))
            except ListenError:
                server = stack.enter_context(WebServer(app, ANY_PORT))
            stop = threading.Event()
            signal.signal(signal.SIGINT, lambda *_: stop.set())
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            click.echo(f"\nThe console on this data: {server.url}\nSign in with the token {secret}\nCtrl-C ends it.")
            stop.wait()
    finally:
        database.dispose()
