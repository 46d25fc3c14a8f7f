"""What can go wrong below the use cases.

StorageError
├── DatabaseUnreachable   nothing answers at the URL
├── DatabaseBusy          another writer holds it; the same call may succeed later
├── IntakeChanged         a metric or an archived month is not as it was remembered; the same call may succeed now
└── SchemaOutdated        the tables are not those of this release
"""


class StorageError(Exception):
    """A fault of the database, in one sentence."""


class DatabaseUnreachable(StorageError):
    """Nothing answers at the URL."""


class DatabaseBusy(StorageError):
    """Another writer holds the database, or two changes crossed; the same call may succeed later."""


class IntakeChanged(StorageError):
    """A metric, or which months are archived, was changed since it was remembered."""

    def __init__(self) -> None:
        super().__init__("the metrics, or the archived months, were changed meanwhile; try again")


class SchemaOutdated(StorageError):
    """The tables are not those of this release."""
