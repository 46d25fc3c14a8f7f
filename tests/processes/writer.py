"""A process that ingests the messages of a file, in batches, once it is told to; a line is a topic and a body."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from storage.database import Database
from storage.errors import DatabaseBusy

BATCH = 7


def main(url: str, source: str, offset_seconds: int) -> None:
    database, rules = Database(url), Rules.of(Settings())
    with database.snapshot():
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    sys.stdin.readline()
    lines = Path(source).read_text().splitlines()
    for start in range(0, len(lines), BATCH):
        batch = []
        for place, line in enumerate(lines[start : start + BATCH], start):
            topic, body = line.split(" ", 1)
            at = datetime.fromtimestamp(1_650_000_000 + offset_seconds + place, tz=UTC)
            batch.append(Message(topic=topic, payload=body.encode(), received_at=at))
        while True:
            try:
                ingest_batch(database, batch, rules, now=batch[0].received_at)
            except DatabaseBusy:  # as the receiver does: the same call again
                continue
            break
    database.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
