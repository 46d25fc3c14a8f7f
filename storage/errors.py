"""What can go wrong below the use cases.

StorageError
├── DatabaseUnreachable   nothing answers at the URL
├── DatabaseBusy          another writer holds it; the same call may succeed later
└── SchemaOutdated        the tables are not those of this release
"""


class StorageError(Exception):
    """A fault of the database, in one sentence."""


class DatabaseUnreachable(StorageError):
    """Nothing answers at the URL."""


class DatabaseBusy(StorageError):
    """Another writer holds the database, or two changes crossed; the same call may succeed later."""


class SchemaOutdated(StorageError):
    """The tables are not those of this release."""
