"""The published description: as the code is, and true of every answer that random requests get.

`metergate openapi > docs/openapi.json` writes it anew.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from billing import catalogue
from billing.access import Role, create_token
from config.clock import VirtualClock
from config.settings import Settings
from gateway.web.application import api, application
from gateway.web.serving import WebServer
from gateway.web.specification import text_of
from storage.database import Database
from tests import brokers
from tests.api.conftest import NOW
from tests.usecases.conftest import CATALOGUE

PUBLISHED = brokers.ROOT / "docs" / "openapi.json"
EXAMPLES = 5
"""Random requests of each operation; more were tried while it was written."""
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 20220414,
        # What the form allows and the business does not (a plan that nobody declared) is answered with 422.
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422]}},
    }
)
schema = schemathesis.openapi.from_path(PUBLISHED, config=CONFIG)


def test_the_description_is_published_as_it_is() -> None:
    told = (
        "the API differs from its description; run `metergate openapi > docs/openapi.json` and look at the difference"
    )
    assert PUBLISHED.read_text(encoding="utf-8") == text_of(api(None)), told


def test_every_operation_but_health_needs_a_token_and_names_its_refusals() -> None:
    for path, operations in json.loads(PUBLISHED.read_text(encoding="utf-8"))["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == (path != "/health"), path
            assert path == "/health" or {"401", "403", "422", "503"} <= set(operation["responses"]), path


@pytest.fixture(scope="module")
def served(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of the real application on a database of its own, and the secret of an administrator."""
    path = tmp_path_factory.mktemp("tried") / "metergate.db"
    shutil.copy(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE, "catalogue.yaml"), NOW)
        secret = create_token(session, "random", Role.ADMINISTRATOR, NOW)
    with WebServer(application(database, VirtualClock(NOW), Settings()), "127.0.0.1:0") as server:
        yield f"{server.url}/api/v1", secret
    database.dispose()


@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_requests_find_nothing(case: Case[Any], served: tuple[str, str]) -> None:
    url, secret = served
    case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {secret}"})
