"""The description of the API, and everything it describes attacked with generated requests."""

import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from zk_pipeline.sandbox.server import SandboxProcess
from zk_pipeline.web.api.documentation import REDOC, SCHEMA, SWAGGER
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web

EXAMPLES = int(os.environ.get("ZK_FUZZ_EXAMPLES", "8"))
"""Generated requests for each operation; more in a long run."""


@pytest.fixture
def document(as_role: AsRole) -> dict[str, Any]:
    return as_role("viewer").get(SCHEMA).json()


def test_each_operation_says_what_it_does(document: dict[str, Any]):
    silent = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation.get("summary") or not operation.get("tags")
    ]
    assert silent == []


@pytest.mark.parametrize("page", [SWAGGER, REDOC])
def test_the_pages_take_nothing_from_the_internet(page: str, as_role: AsRole):
    answer = as_role("viewer").get(page)
    assert answer.status_code == 200
    assert "https://" not in answer.text.replace("https://fastapi.tiangolo.com", "")


@pytest.mark.parametrize("page", [SWAGGER, REDOC])
def test_strangers_are_sent_to_sign_in_and_back(page: str, web: Web):
    answer = web.client.get(page)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={page}"


def test_no_generated_request_makes_the_server_fail(as_role: AsRole, pristine: SandboxProcess, ids: dict[str, int]):
    admin = as_role("admin")
    schema = schemathesis.openapi.from_dict(admin.get(SCHEMA).json())
    failures: list[str] = []
    for found in schema.get_all_operations():
        failures += attack(admin, found.ok())
    assert failures == []


def attack(client: httpx.Client, operation: Any) -> list[str]:
    """The requests of one operation that were answered with a server error.

    502 is no failure of ours: requests before may have pointed a connector to nowhere.
    """
    failures: list[str] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        response = case.call(base_url=str(client.base_url), headers=dict(client.headers))
        if response.status_code >= 500 and response.status_code != 502:
            failures.append(f"{response.status_code}: {case.as_curl_command()}")

    send()
    return failures
