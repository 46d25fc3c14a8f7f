"""Several processes at once: one does the work, the others learn that it is done."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sqlmodel import func, select

from billing import catalogue
from billing.control import ControlMessage, execute
from billing.core.errors import BillingError
from billing.registry import NewObject, create_objects
from storage.database import Database
from storage.tables import ControlRequest, ObjectEvent, Outbox
from tests.usecases.conftest import CATALOGUE, NOW


def test_an_object_created_by_several_at_once_is_created_once(database: Database) -> None:
    def create(_: int) -> str:
        with database.transaction() as session:
            [outcome] = create_objects(session, [NewObject(reference="A")], "pending", NOW, "cli")
            return outcome.code if isinstance(outcome, BillingError) else "created"

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(create, range(4))) == {"created": 1, "conflict": 3}


def test_one_request_delivered_several_times_at_once_is_done_once(database: Database) -> None:
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE), NOW)
    message = ControlMessage(object_reference="A", command="create", body=b'{"request_id": "1"}')

    def deliver(_: int) -> None:
        with database.transaction() as session:
            execute(session, message, NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, range(4)))
    with database.snapshot() as session:
        assert session.exec(select(func.count()).select_from(ControlRequest)).one() == 1
        assert session.exec(select(func.count()).select_from(ObjectEvent)).one() == 1
        assert len(set(session.exec(select(Outbox.payload)).all())) == 1


def test_a_catalogue_applied_by_several_at_once_is_applied_once(database: Database) -> None:
    def apply(_: int) -> bool:
        with database.transaction() as session:
            changes = catalogue.apply(session, catalogue.load(CATALOGUE), NOW)
            return any(change.kind != "unchanged" for change in changes)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(apply, range(4))) == [False, False, False, True]
