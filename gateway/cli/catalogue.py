"""`metergate apply`."""

from pathlib import Path

import click

from gateway.cli.context import house
from gateway.cli.output import show_rows


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def apply(file: Path, *, dry_run: bool, as_json: bool) -> int:
    """Declare metrics, plans, customers, contracts, subscriptions and sources; the same again changes nothing."""
    from billing import catalogue
    from config.settings import Settings
    from gateway.sources.declaration import source_rules

    try:
        text = file.read_text(encoding="utf-8")
        declared = catalogue.load(text, str(file), sources=source_rules(Settings()))
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except catalogue.CatalogueInvalid as error:
        for problem in error.errors:
            click.echo(f"{file}:{problem.line}: {problem.place}: {problem.message}", err=True)
        click.echo(f"{file} was refused; nothing was changed", err=True)
        return 1
    with house() as parts, parts.database.transaction() as session:
        changes = catalogue.apply(session, declared, parts.clock.now())
        if dry_run:
            session.rollback()
    rows = [{"change": it.kind, "what": it.noun, "name": it.name, "detail": it.detail} for it in changes]
    show_rows(rows, as_json=as_json, nothing="The file declares nothing.")
    if dry_run and not as_json:
        click.echo("Nothing was written: this was a dry run.")
    return 0
