"""`metergate verify`."""

from dataclasses import asdict

import click

from gateway.cli.context import house
from gateway.cli.output import show_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(*, as_json: bool) -> int:
    """Compute every stored total again from what it was made of, and tell what differs; nothing is written."""
    from billing import verify as verifying

    with house() as parts, parts.database.snapshot() as session:
        findings = verifying.verify(session)
    wrong = verifying.differences(findings)
    if as_json:
        checks = {name: sentence for name, (sentence, _) in verifying.CHECKS.items()}
        show_json({"checks": checks, "differences": len(wrong), "findings": [asdict(found) for found in findings]})
        return 1 if wrong else 0
    for name, (sentence, _) in verifying.CHECKS.items():
        count = sum(found.check == name for found in wrong)
        click.echo(f"{f'{count} differ' if count else 'ok'}: {sentence}")
        for found in findings:
            if found.check == name:
                click.echo(f"  {found.message}")
    click.echo(f"{len(wrong)} differences." if wrong else "No difference.")
    return 1 if wrong else 0
