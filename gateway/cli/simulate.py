"""`metergate simulate`."""

from dataclasses import asdict

import click

from gateway.cli.output import show_json

RUNS_LIMIT = 100_000


@click.command()
@click.option("--seed", type=click.IntRange(min=0), help="The first seed; a new one unless given.")
@click.option(
    "--runs",
    default=1,
    show_default=True,
    type=click.IntRange(1, RUNS_LIMIT),
    help="How many seeds, one after another.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(seed: int | None, runs: int, *, as_json: bool) -> int:
    """Play random histories with crashes through the engine, and let an independent auditor judge the invoices.

    Nothing of yours is touched: each seed is played on a database of its own that is thrown away.
    """
    from gateway.simulation.judge import new_seed, workshop

    first = new_seed() if seed is None else seed
    verdicts = []
    with workshop() as place:
        for number in range(first, first + runs):
            verdict = place.judge(number)
            verdicts.append(verdict)
            if not as_json:
                state = "differs" if verdict.differences else "agrees"
                click.echo(
                    f"seed {verdict.seed} {state}: {verdict.objects} objects, {verdict.messages} messages, "
                    f"{verdict.deaths} crashes, {verdict.invoices} invoices"
                )
                for difference in verdict.differences:
                    click.echo(f"  {difference}")
    wrong = [verdict.seed for verdict in verdicts if verdict.differences]
    if as_json:
        show_json([asdict(verdict) for verdict in verdicts])
    elif wrong:
        click.echo(f"{len(wrong)} of {runs} seeds differ: {', '.join(str(number) for number in wrong)}", err=True)
    return 1 if wrong else 0
