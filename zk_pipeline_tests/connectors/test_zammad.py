"""Tickets, directory, single bookings, refusals and self-test of the Zammad connector."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    PermissionDeniedError,
    ProtocolError,
    UnavailableError,
)
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.records import BookingKey, Existence, TimeAccounting, Window
from zk_pipeline_tests.connectors.conftest import DAY
from zk_sandbox.client import SandboxControl
from zk_sandbox.zammad import ZammadServer

EVER = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
SEARCH = "POST /api/v1/tickets/search"
REPORT = "GET /api/v1/time_accounting/log/by_activity/{id}/{id}"


def all_bookings(source: ZammadConnector) -> list[TimeAccounting]:
    return [row for page in source.fetch(EVER).pages() for row in page]


def hidden_ticket(zammad: ZammadServer, at: datetime) -> int:
    """A booked ticket in a group that the service user may not read."""
    group = zammad.add_group("Board")
    agent = zammad.add_agent("board@example.com")
    customer = zammad.add_user("c@example.com", firstname="Clara", lastname="Customer")
    ticket = zammad.add_ticket("Secret", group_id=group, customer_id=customer)
    zammad.book(ticket, agent, 1, at=at)
    return ticket


class TestTickets:
    def test_they_are_searched_200_at_a_time(
        self, source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl
    ) -> None:
        agent = zammad.add_agent("agent@example.com")
        ids = [zammad.add_ticket(f"Ticket {number}") for number in range(450)]
        for ticket in ids:
            zammad.book(ticket, agent, 1, at=DAY)
        bookings = all_bookings(source)
        zammad_control.reset_requests()
        tickets = source.fetch_tickets(bookings)
        assert [int(ticket.id) for ticket in tickets] == ids
        assert all(ticket.complete for ticket in tickets)
        assert zammad_control.requests().by_route == {SEARCH: 3}

    def test_they_hold_what_the_search_shows(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        organization = zammad.add_organization("Acme")
        customer = zammad.add_user("c@example.com", organization_id=organization)
        ticket_id = zammad.add_ticket("Printer on fire", customer_id=customer, organization_id=organization)
        zammad.book(ticket_id, 1, 1, at=DAY)
        (ticket,) = source.fetch_tickets(all_bookings(source))
        assert (ticket.number, ticket.title) == (str(71000 + ticket_id), "Printer on fire")
        assert (ticket.organization_id, ticket.customer_id, ticket.group_name) == (
            str(organization),
            str(customer),
            "Users",
        )

    @pytest.mark.parametrize("version", ["6.1.0", "6.4.0", "6.5.0", "7.0.0"])
    def test_the_search_reads_the_same_in_every_version(
        self, source: ZammadConnector, zammad: ZammadServer, version: str
    ) -> None:
        ticket = zammad.add_ticket("Printer on fire")
        zammad.book(ticket, 1, 1, at=DAY)
        zammad.configure({"version": version})
        assert [int(row.id) for row in source.fetch_tickets(all_bookings(source))] == [ticket]

    def test_a_ticket_in_an_unreadable_group_comes_from_the_report(
        self, source: ZammadConnector, zammad: ZammadServer
    ) -> None:
        hidden = hidden_ticket(zammad, DAY)
        (ticket,) = source.fetch_tickets(all_bookings(source))
        assert (ticket.id, ticket.title, ticket.complete) == (str(hidden), "Secret", False)
        assert (ticket.customer_name, ticket.group_name) == ("Clara Customer", None)

    @pytest.mark.parametrize(
        ("version", "zone", "booked"),
        [
            ("6.4.0", "America/Los_Angeles", datetime(2025, 9, 1, 3, tzinfo=UTC)),
            ("6.5.0", "America/Los_Angeles", datetime(2025, 9, 1, 3, tzinfo=UTC)),
            ("6.5.0", "Pacific/Auckland", datetime(2025, 8, 31, 20, tzinfo=UTC)),
        ],
    )
    def test_the_report_of_the_neighbouring_month_is_asked_where_zones_cut_months_otherwise(
        self, source: ZammadConnector, zammad: ZammadServer, version: str, zone: str, booked: datetime
    ) -> None:
        hidden = hidden_ticket(zammad, booked)
        zammad.configure({"version": version, "zone": zone})
        assert [int(ticket.id) for ticket in source.fetch_tickets(all_bookings(source))] == [hidden]

    def test_an_article_of_a_merged_ticket_shows_into_which_one(
        self, source: ZammadConnector, zammad: ZammadServer
    ) -> None:
        first, second = zammad.add_ticket("Fuser"), zammad.add_ticket("Printer")
        booking = zammad.book(first, 1, 1, at=DAY, article="Replaced")
        zammad.merge(first, second)
        merged, survivor = source.fetch_tickets(all_bookings(source))
        (article,) = [row.ticket_article_id for row in zammad.state.accountings if row.id == booking]
        assert (merged.merged, merged.merged_into, merged.merged_article_id) == (True, str(second), str(article))
        assert (survivor.id, survivor.merged, survivor.merged_into) == (str(second), False, None)

    def test_a_report_is_read_once_for_all_its_tickets(
        self, source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl
    ) -> None:
        for _ in range(5):
            hidden_ticket(zammad, DAY)
        assert len(source.fetch_tickets(all_bookings(source))) == 5
        assert zammad_control.requests().by_route[REPORT] == 1

    def test_a_ticket_that_was_deleted_meanwhile_is_left_out(
        self, source: ZammadConnector, zammad: ZammadServer
    ) -> None:
        ticket = zammad.add_ticket("Printer on fire")
        zammad.book(ticket, 1, 1, at=DAY)
        bookings = all_bookings(source)
        zammad.delete_ticket(ticket)
        assert source.fetch_tickets(bookings) == []

    def test_none_are_asked_for_without_bookings(self, source: ZammadConnector) -> None:
        assert source.fetch_tickets([]) == []
        assert source.requests.reads == 0

    def test_others_than_those_asked_for_are_a_protocol_error(
        self, source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl
    ) -> None:
        asked, other = zammad.add_ticket("Asked"), zammad.add_ticket("Other")
        zammad.book(asked, 1, 1, at=DAY)
        zammad.book(other, 1, 1, at=DAY)
        bookings = all_bookings(source)
        answer = source.fetch_tickets(bookings)[1].raw
        zammad_control.add_fault("respond", path="tickets/search", status=200, text=json.dumps([answer]))
        with pytest.raises(ProtocolError, match="gave others"):
            source.fetch_tickets(bookings[:1])


class TestPeople:
    def test_only_who_is_asked_for_is_read(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        ada = str(zammad.add_agent("ada@example.com", firstname="Ada"))
        gone = str(zammad.add_agent("gone@example.com", active=False))
        agents = {agent.id: agent for agent in source.fetch_agents([ada, gone, str(10**9)]).agents}
        assert set(agents) == {ada, gone}
        assert (agents[ada].name, agents[ada].email, agents[ada].active) == ("Ada", "ada@example.com", True)
        assert (agents[gone].name, agents[gone].active) == ("gone@example.com", False)
        assert source.requests.reads == 2, "One search, and whom it does not find alone"

    @pytest.mark.parametrize("version", ["6.5.0", "6.4.1"])
    def test_everybody_is_read_whether_or_not_zammad_searches_for_ids(
        self, source: ZammadConnector, zammad: ZammadServer, version: str
    ) -> None:
        zammad.configure({"version": version})
        people = {zammad.add_agent(f"agent-{number}@example.com") for number in range(250)}
        wanted = {*sorted(people)[::-1][:210], 1}
        read = source.fetch_agents({str(id_) for id_ in wanted}).agents
        assert {int(row.id) for row in read} == wanted
        assert len(read) == len(wanted)
        if version.startswith("6.5"):
            assert source.requests.reads == 2 + 1, "User 1 is never found by a search"

    def test_a_ticket_brings_the_name_of_its_organization(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        acme = zammad.add_organization("Acme")
        zammad.book(zammad.add_ticket("Seen", organization_id=acme), 1, 1, at=DAY)
        hidden = zammad.add_group("Hidden")
        zammad.book(zammad.add_ticket("Hidden", group_id=hidden, organization_id=acme), 1, 1, at=DAY)
        found = source.fetch_tickets(all_bookings(source))
        assert {(row.complete, row.organization_name) for row in found} == {(True, "Acme"), (False, "Acme")}

    def test_somebody_who_has_not_booked_is_found_by_address_name_and_id(
        self, source: ZammadConnector, zammad: ZammadServer
    ) -> None:
        ada = zammad.add_agent("ada@example.com", firstname="Ada", lastname="Agent")
        acme = zammad.add_organization("Acme")
        assert [int(row.id) for row in source.find("ada@example.com").agents] == [ada]
        assert [int(row.id) for row in source.find("Ada Agent").agents] == [ada]
        assert [int(row.id) for row in source.find(f"id:{ada}").agents] == [ada]
        assert [source.find(name).organizations[0].id for name in ("Acme", f"id:{acme}")] == [str(acme)] * 2
        assert source.find("id:1000000000").agents == ()
        year = zammad.add_organization("2024")
        assert [int(row.id) for row in source.find("2024").organizations] == [year], "A bare number may be a name"
        zammad.configure({"search_backend": "elasticsearch_down"})
        assert source.find("ada@example.com").agents == ()

    @pytest.mark.parametrize("count", [0, 99, 100, 1000, 2500])
    def test_all_types_are_read(self, source: ZammadConnector, zammad: ZammadServer, count: int) -> None:
        made = {zammad.add_type(f"Type {number}", active=number % 2 == 0) for number in range(count)}
        assert {int(row.id) for row in source.fetch_types().activity_types} == made

    def test_the_report_by_customer_is_never_asked_for(
        self, source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl
    ) -> None:
        hidden_ticket(zammad, DAY)
        source.validate()
        source.fetch_agents(["1"])
        source.fetch_tickets(all_bookings(source))
        assert not [route for route in zammad_control.requests().by_route if "by_customer" in route]


class TestBookings:
    @pytest.mark.parametrize("units", ["0.25", "-100", "9999.99", "0", "1E+1"])
    def test_numbers_are_read_exactly(self, source: ZammadConnector, zammad: ZammadServer, units: str) -> None:
        ticket = zammad.add_ticket("Printer on fire")
        zammad.book(ticket, 1, units, at=DAY)
        assert [row.units for row in source.fetch_of_ticket(str(ticket))] == [Decimal(units)]


class TestExistence:
    def test_only_zammads_own_not_found_says_no(self, source: ZammadConnector, zammad: ZammadServer) -> None:
        booked = zammad.book(zammad.add_ticket("Printer on fire"), 1, 1, at=DAY)
        booking = BookingKey(str(booked), "1")
        assert source.exists(booking) is Existence.THERE
        zammad.delete(booked)
        assert source.exists(booking) is Existence.GONE

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ({"kind": "html", "status": 404}, ProtocolError),
            ({"kind": "respond", "status": 404, "text": '{"detail": "Not Found"}'}, ProtocolError),
            ({"kind": "respond", "status": 404, "text": '{"error": "This page doesn\'t exist."}'}, ProtocolError),
            ({"kind": "respond", "status": 401, "text": '{"error": "Unauthorized"}'}, AuthenticationError),
            ({"kind": "respond", "status": 403, "text": '{"error": "Not authorized"}'}, PermissionDeniedError),
            ({"kind": "respond", "status": 500, "text": "{}"}, UnavailableError),
            ({"kind": "respond", "status": 200, "text": "{}"}, ProtocolError),
            ({"kind": "drop_before"}, UnavailableError),
        ],
    )
    def test_every_other_failure_is_an_error_and_no_absence(
        self, source: ZammadConnector, zammad_control: SandboxControl, fault: dict[str, Any], kind: type[Exception]
    ) -> None:
        zammad_control.add_fault(path=r"time_accountings/\d+$", **fault)
        with pytest.raises(kind):
            source.exists(BookingKey("1", "1"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "text", "kind", "remedy"),
        [
            (401, "Can't find User for Token", AuthenticationError, "new token"),
            (401, "Not authorized (token expired)!", AuthenticationError, "new token"),
            (403, "Authentication required", AuthenticationError, "new token"),
            (403, "API token access disabled!", AuthenticationError, "Switch on token access"),
            (403, "Maintenance mode enabled!", UnavailableError, "maintenance mode"),
            (403, "Token authorization failed.", PermissionDeniedError, "token the permission admin.time_accounting"),
            (
                403,
                "User authorization failed.",
                PermissionDeniedError,
                "role of the token's owner the permission admin",
            ),
            (403, "Not authorized", PermissionDeniedError, "both the token and a role of its owner the permission"),
        ],
    )
    def test_the_text_tells_what_a_refusal_means(
        self,
        source: ZammadConnector,
        zammad_control: SandboxControl,
        status: int,
        text: str,
        kind: type[ConnectorError],
        remedy: str,
    ) -> None:
        zammad_control.add_fault("respond", path="time_accountings", status=status, text=f'{{"error": "{text}"}}')
        with pytest.raises(kind) as caught:
            source.exists(BookingKey("1", "1"))
        assert remedy in caught.value.remedy
        assert text.rstrip(".!") in str(caught.value)
        assert zammad_control.requests().reads == 1

    @pytest.mark.parametrize(
        "text", ["Error ID x1y2z3a4: Please contact your administrator.", "PG::QueryCanceled: ERROR"]
    )
    def test_422_on_a_read_is_a_passing_failure(
        self, source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl, text: str
    ) -> None:
        booked = zammad.book(zammad.add_ticket("Printer on fire"), 1, 1, at=DAY)
        fault = {"status": 422, "text": json.dumps({"error": text})}
        zammad_control.add_fault("respond", path="time_accountings", times=2, **fault)
        assert source.exists(BookingKey(str(booked), "1")) is Existence.THERE
        zammad_control.add_fault("respond", path="time_accountings", **fault)
        with pytest.raises(UnavailableError, match=re.escape(text)):
            source.exists(BookingKey(str(booked), "1"))
        with pytest.raises(UnavailableError, match=re.escape(text)):
            source.fetch_of_ticket("1")

    def test_a_database_that_ends_every_statement_is_never_an_empty_answer(
        self, source: ZammadConnector, zammad: ZammadServer
    ) -> None:
        bookings = [TimeAccounting("1", "1", None, Decimal(1), None, "1", DAY, DAY, raw={})]
        zammad.configure({"database": "cancelling"})
        for read in (source.fetch_types, lambda: source.fetch_tickets(bookings), lambda: all_bookings(source)):
            with pytest.raises(UnavailableError):
                read()

    def test_the_text_may_stand_in_the_header_alone(
        self, source: ZammadConnector, zammad_control: SandboxControl
    ) -> None:
        headers = {"X-Failure": "Maintenance mode enabled!", "Content-Type": "text/plain"}
        zammad_control.add_fault("respond", path="time_accountings", status=403, headers=headers)
        with pytest.raises(UnavailableError, match="Maintenance"):
            source.exists(BookingKey("1", "1"))

    def test_a_refusal_of_a_proxy_is_told_apart(self, source: ZammadConnector, zammad_control: SandboxControl) -> None:
        zammad_control.add_fault("html", path="time_accountings", status=403)
        with pytest.raises(ProtocolError, match="not one of Zammad's") as caught:
            source.exists(BookingKey("1", "1"))
        assert "proxy" in caught.value.remedy
