"""Customers and projects that Kimai lacks are created with few requests, and never beside those of others."""

import pytest

from zk_pipeline_tests.defs.test_failed_reads import stage
from zk_pipeline_tests.defs.world import MONDAY, World

OF_DIRECTORY = {"GET /api/customers": 1, "GET /api/projects": 1}
"""What each run reads before it plans."""


def requests(world: World) -> dict[str, int]:
    """The requests for customers and projects since the last call."""
    routes = world.office.control.requests().by_route
    world.office.control.reset_requests()
    return {route: number for route, number in routes.items() if route.endswith(("/customers", "/projects"))}


def created(world: World) -> str:
    """What the journal says that we created."""
    query = "SELECT string_agg(operation, ' ' ORDER BY operation) FROM sync.writes WHERE operation LIKE 'create\\__%'"
    return str(world.value(query))


def planned(world: World, field: str) -> str:
    """A number in the plan of the one booking."""
    return str(world.value(f"SELECT draft #>> '{{{field}}}' FROM sync.reconciliation_results"))


def test_a_new_customer_and_its_project_cost_a_write_and_a_look_each(world: World) -> None:
    world.desk.book(30)
    world.desk.book(45, agent="ben", ticket="globex")
    requests(world)
    world.sync()
    writes = {"POST /api/customers": 2, "POST /api/projects": 2}
    assert requests(world) == {**writes, "GET /api/customers": 1 + 2, "GET /api/projects": 1 + 2}
    world.sync()
    assert requests(world) == OF_DIRECTORY


def test_a_customer_that_somebody_made_meanwhile_is_taken_and_its_projects_are_looked_at(world: World) -> None:
    booking = world.desk.book(30)
    world.sync(job="plan")
    server = world.office.server
    customer = server.add_customer("Theirs", planned(world, "project,customer,number"))
    project = server.add_project("Theirs", customer, planned(world, "project,number"))
    requests(world)
    stage(world, "push", MONDAY)
    assert world.office.sheet(booking).project == project
    assert requests(world) == {"GET /api/customers": 1, "GET /api/projects": 1}
    assert created(world) == "None"


@pytest.mark.parametrize("allows_duplicates", [False, True])
def test_a_number_of_a_project_that_somebody_gave_away_meanwhile_is_theirs_and_not_ours_to_undo(
    world: World, *, allows_duplicates: bool
) -> None:
    """Where an administrator allows a second project of one number, only our look prevents it."""
    booking = world.desk.book(30)
    world.sync(job="plan")
    server = world.office.server
    server.configure({"project.allow_duplicate_number": allows_duplicates})
    project = server.add_project("Theirs", server.add_customer("Somebody"), planned(world, "project,number"))
    stage(world, "push", MONDAY)
    assert world.office.sheet(booking).project == project
    assert created(world) == "create_customer"
    assert len([row for row in server.kimai.projects if row.number == planned(world, "project,number")]) == 1
