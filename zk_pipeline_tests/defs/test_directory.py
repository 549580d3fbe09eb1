"""Whom a sync reads of Zammad's people and organizations: who booked, and nobody else."""

from datetime import timedelta

from zk_pipeline_tests.defs import people
from zk_pipeline_tests.defs.world import MONDAY, World, at


def test_only_who_booked_is_read_and_kept_however_large_the_help_desk_is(world: World) -> None:
    server = world.desk.server
    for number in range(5000):
        organization = server.add_organization(f"Customer {number}") if number % 2 else None
        server.add_user(f"customer{number}@example.com", organization_id=organization)
    world.desk.book(30)
    world.desk.book(20, agent="ben", ticket="globex")
    world.desk.control.reset_requests()
    people.sync(world, 1, MONDAY, MONDAY)
    routes = world.desk.control.requests().by_route
    assert sum(routes.values()) <= 8, routes
    assert not any(route.endswith(("/users", "/organizations")) for route in routes), routes
    assert world.value("SELECT string_agg(email, ' ' ORDER BY email) FROM zammad.agents") == (
        "anna@example.com ben@example.com"
    )
    assert world.value("SELECT string_agg(name, ' ' ORDER BY name) FROM zammad.organizations") == "Acme Globex"

    organization = server.state.tickets[world.desk.tickets["acme"]].organization_id
    assert organization is not None
    server.state.organizations[organization].name = "Acme & Sons"
    server.state.users[world.desk.agents["anna"]].email = "anna.new@example.com"
    people.sync(world, 2, MONDAY, MONDAY)
    assert world.value("SELECT count(*) FROM zammad.organizations WHERE name = 'Acme & Sons'") == 1
    assert world.value("SELECT count(*) FROM zammad.agents WHERE email = 'anna.new@example.com'") == 1


def test_who_has_another_address_by_now_is_noticed_when_somebody_books_with_the_former_one(world: World) -> None:
    users, anna, ben = world.desk.server.state.users, world.desk.agents["anna"], world.desk.agents["ben"]
    world.desk.book(30)
    people.sync(world, 1, MONDAY, MONDAY)
    users[anna].email, users[ben].email = "anna.new@example.com", "Anna@example.com"
    tuesday = MONDAY + timedelta(days=1)
    world.desk.book(20, at("09:00", tuesday), agent="ben")
    people.sync(world, 2, tuesday, tuesday)
    stored = world.value("SELECT json_object_agg(id, email) FROM zammad.agents")
    assert stored == {str(anna): "anna.new@example.com", str(ben): "Anna@example.com"}
