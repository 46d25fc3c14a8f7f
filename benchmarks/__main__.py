"""`python -m benchmarks [CASE ...] [--scale small] [--rounds 5] [--results FOLDER]`; all cases unless named."""

import argparse
import importlib
from pathlib import Path

from benchmarks import figures, ingest

CASES = ("ingest", "latency", "backlog", "close", "extraction", "startup", "sources", "console", "peers")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE")
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=figures.RESULTS)
    parser.add_argument("--present", type=int, nargs="*", help="ingest: usage records that are there before")
    arguments = parser.parse_args()
    for case in arguments.cases or CASES:
        module = importlib.import_module(f"benchmarks.{case}")
        command = f"python -m benchmarks {case} --scale {arguments.scale} --rounds {arguments.rounds}"
        if case == "ingest" and arguments.present is not None:
            command += " --present " + " ".join(str(count) for count in arguments.present)
            found = ingest.run(scale=arguments.scale, rounds=arguments.rounds, present=arguments.present)
        else:
            found = module.run(scale=arguments.scale, rounds=arguments.rounds)
        figures.save(case, command, list(found), arguments.results)


if __name__ == "__main__":
    main()
