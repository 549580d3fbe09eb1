"""Two sources book into one Kimai: what has the same id in both never meets."""

import os
from pathlib import Path

import pytest

from zk_pipeline.operate import connectors
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline_tests.defs.asking import ANNA
from zk_pipeline_tests.defs.conftest import Databases, open_world, set_surroundings
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, Desk, Office, World, at
from zk_sandbox.control import with_control
from zk_sandbox.freshdesk import FreshdeskServer
from zk_sandbox.server import ServerThread

KEY = "key-of-the-tests"


def book_in_freshdesk(name: str) -> tuple[FreshdeskServer, int]:
    """A Freshdesk with a booking for a company, and the company's id."""
    server = FreshdeskServer()
    server.add_agent("Sync", "sync@example.com", key=KEY)
    anna = server.add_agent("Anna", "anna@example.com")
    company = server.add_company(name)
    ticket = server.add_ticket("Printer is out of paper", company_id=company, at=at("08:00"))
    server.book(ticket, anna, 25, at("12:00"))
    return server, company


def customers(office: Office) -> dict[str, tuple[str, int]]:
    """For each time sheet, by the source in its marker: the number and the id of its customer."""
    tables = office.server.kimai.tables
    found: dict[str, tuple[str, int]] = {}
    for row in office.rows:
        customer = tables["customers"].rows[tables["projects"].rows[row.project].customer]
        found[(row.description or "").rpartition("[zk-")[2].partition("-")[0]] = (customer.number, customer.id)
    return found


def test_the_same_organization_id_in_two_sources_is_two_customers(
    desk: Desk, office: Office, surroundings: pytest.MonkeyPatch, databases: Databases, tmp_path: Path
) -> None:
    freshdesk, shared = book_in_freshdesk("Initech")
    organization = desk.server.add_organization("Umbrella", organization_id=shared)
    person = desk.server.add_user("office@umbrella.example", organization_id=organization)
    desk.tickets["umbrella"] = desk.server.add_ticket("VPN is slow", customer_id=person, organization_id=organization)
    desk.book(30, ticket="umbrella")
    with open_world(desk, office, on_dagster=False) as world:
        world.sync()
    address, home = os.environ["ZK_KIMAI_URL"], tmp_path / "freshdesk"
    home.mkdir()
    with (
        databases.fresh() as pair,
        pytest.MonkeyPatch.context() as patch,
        ServerThread(with_control(freshdesk)) as thread,
    ):
        set_surroundings(pair, home, patch)
        patch.setenv("ZK_KIMAI_URL", address)
        patch.setenv("ZK_KIMAI_TOKEN", KIMAI_TOKEN)
        with prepare(load_settings()) as environment:
            connectors.put(environment.runtime, ANNA, kind="freshdesk", base_url=thread.url, token=KEY)
            other = World(None, office, environment)  # type: ignore[arg-type]
            other.execute(
                "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (NULL, :activity)",
                activity=office.activity,
            )
            other.sync()
    found = customers(office)
    assert {source: number for source, (number, _) in found.items()} == {
        "zammad": f"zammad-org-{shared}",
        "freshdesk": f"freshdesk-org-{shared}",
    }
    assert found["zammad"][1] != found["freshdesk"][1]
