"""What is written into tickets: once, whatever dies when; only what is true, only ours is taken off, only if asked."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline.billing import periods
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.write_back import WriteBackState
from zk_pipeline.identity.actors import OperationError, StaleError, UnknownError
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.runtime.settings import SettingsError, load_settings
from zk_pipeline.store import invoices
from zk_pipeline.write_back import plans
from zk_pipeline.write_back.plans import LineState
from zk_pipeline.write_back.sending import require_writer
from zk_pipeline_tests.defs.billing import ADMIN, Books
from zk_pipeline_tests.defs.crashing import KILLED
from zk_pipeline_tests.defs.world import MONDAY, World, at
from zk_pipeline_tests.defs.writing_back import LATER, ON, PLACES, TAG, Tickets, empower, killed

NOTES = {"ZK_WRITE_BACK": "note=auto"}
PROPOSED = {"ZK_WRITE_BACK": "propose"}


@pytest.fixture
def settings(request: pytest.FixtureRequest, surroundings: pytest.MonkeyPatch) -> dict[str, Any]:
    """Tags are written at once, unless a test gives its own settings."""
    given: dict[str, Any] = getattr(request, "param", ON)
    for name, value in given.items():
        surroundings.setenv(name, str(value))
    return given


@pytest.fixture
def tickets(world: World) -> Tickets:
    empower(world)
    return Tickets(world)


@pytest.fixture
def books(tickets: Tickets) -> Books:
    """October with a booking of 60 minutes on a ticket, closed."""
    tickets.world.desk.book(60)
    tickets.world.sync()
    books = Books(tickets.world)
    books.close()
    return books


def reopen(books: Books) -> None:
    periods.reopen(books.world.environment.runtime, ADMIN, "2025-10", "a mistake")


# What is written


@pytest.mark.usefixtures("books")
def test_a_closed_month_tags_its_tickets_once_and_no_others(tickets: Tickets) -> None:
    report = tickets.write()
    assert (dict(report.done), report.left) == ({"tag.add": 1}, [])
    assert (tickets.tags(), tickets.tags("globex")) == ([TAG], [])
    assert tickets.write().done == {}
    assert tickets.sent() == {"POST /api/v1/tags/add": 1}
    assert tickets.states() == [("add", "confirmed")]


def test_an_open_month_tags_nothing_until_all_of_a_tickets_time_is_exported(tickets: Tickets) -> None:
    world = tickets.world
    first, second = world.desk.book(60), world.desk.book(30, agent="ben")
    world.sync()
    assert tickets.plan() == []
    world.office.change(world.office.sheet(first), exported=True)
    world.sync()
    assert tickets.plan() == []
    world.office.change(world.office.sheet(second), exported=True)
    world.sync()
    tickets.write()
    assert tickets.tags() == [TAG]
    world.office.change(world.office.sheet(second), exported=False)
    world.sync()
    tickets.write()
    assert tickets.tags() == []


def test_time_that_waits_for_a_person_keeps_an_open_ticket_untagged(tickets: Tickets) -> None:
    world = tickets.world
    first = world.desk.book(60)
    world.sync()
    world.office.change(world.office.sheet(first), exported=True)
    world.desk.server.add_agent("carl@example.com")
    world.desk.agents["carl"] = max(world.desk.server.state.users)
    world.desk.book(15, agent="carl")
    world.sync()
    assert world.reasons() == ["unmapped_user"]
    assert tickets.plan() == []


def test_a_reopened_month_takes_its_tags_off_and_closing_it_again_puts_them_back(
    books: Books, tickets: Tickets
) -> None:
    tickets.write()
    reopen(books)
    assert dict(tickets.write().done) == {"tag.remove": 1}
    assert tickets.tags() == []
    books.close()
    tickets.write()
    assert tickets.tags() == [TAG]
    assert tickets.states() == [("add", "removed"), ("remove", "confirmed"), ("add", "confirmed")]


def test_a_tag_that_was_there_before_is_neither_sent_nor_ever_taken_off(books: Books, tickets: Tickets) -> None:
    desk = tickets.world.desk
    desk.server.tag(desk.tickets["acme"], TAG)
    desk.server.tag(desk.tickets["acme"], "important")
    tickets.write()
    reopen(books)
    tickets.write()
    assert tickets.tags() == [TAG, "important"]
    assert tickets.sent() == {}


def test_the_time_of_a_merged_ticket_tags_the_one_into_which_it_was_merged(tickets: Tickets) -> None:
    world, desk = tickets.world, tickets.world.desk
    booking = desk.server.book(desk.tickets["globex"], desk.agents["anna"], "30", desk.support, at("09:00"), "a note")
    world.sync()
    world.office.change(world.office.sheet(booking), exported=True)
    desk.server.merge(desk.tickets["globex"], desk.tickets["acme"])
    world.sync()
    tickets.write()
    assert (tickets.tags(), tickets.tags("globex")) == ([TAG], [])


@pytest.mark.parametrize("settings", [{**ON, "ZK_WRITE_BACK_TAG": "Rechnung {month}"}], indirect=True)
@pytest.mark.usefixtures("books")
def test_the_name_of_the_tag_follows_the_template(tickets: Tickets, surroundings: pytest.MonkeyPatch) -> None:
    tickets.write()
    assert tickets.tags() == ["Rechnung 2025-10"]
    surroundings.setenv("ZK_WRITE_BACK_TAG", "billed:{month}")
    tickets.write()
    assert tickets.tags() == [TAG]


@pytest.mark.parametrize("settings", [{**ON, "ZK_WRITE_BACK_SINCE": "2025-11"}], indirect=True)
@pytest.mark.usefixtures("books")
def test_months_before_the_first_one_are_left_alone(tickets: Tickets) -> None:
    assert tickets.plan() == []


@pytest.mark.parametrize("settings", [NOTES], indirect=True)
def test_a_note_says_once_what_was_billed_and_stays(books: Books, tickets: Tickets) -> None:
    tickets.write()
    (note,) = tickets.notes()
    closing = periods.history(tickets.runtime)[0].statement_hash[:12]
    assert note == f"Billed 2025-10: 1 h 00, statement {closing}. [zk-billed-2025-10]"
    (article,) = tickets.world.desk.server.state.articles_of(tickets.world.desk.tickets["acme"])
    assert article.internal
    reopen(books)
    tickets.write()
    books.close()
    tickets.write()
    assert tickets.notes() == [note]
    assert tickets.tags() == []


@pytest.mark.parametrize("settings", [{**NOTES, "ZK_LANGUAGE": "de"}], indirect=True)
def test_a_note_names_the_invoice_where_it_is_certain(tickets: Tickets) -> None:
    world = tickets.world
    booking = world.desk.book(60)
    world.sync()
    sheet = world.office.sheet(booking)
    world.office.change(sheet, exported=True)
    world.sync()
    with world.environment.runtime.database.transaction() as connection:
        customer = connection.execute(
            text("SELECT customer_id FROM kimai.projects WHERE id = :id"), {"id": sheet.project}
        )
        values = {"customer": customer.scalar_one(), "at": at("12:00", MONDAY + timedelta(days=30))}
        connection.execute(
            text(
                "INSERT INTO kimai.invoices (connector, id, number, customer_id, currency, total, tax, vat, status,"
                " created_at, due_days) VALUES ('kimai', 1, 'R-2025-114', :customer, 'EUR', 0, 0, 0, 'new', :at, 30)"
            ),
            values,
        )
        connection.execute(
            text(
                "INSERT INTO kimai.invoice_checks (connector, customer_id, currency, sheets, rates, invoices, invoiced)"
                " VALUES ('kimai', :customer, 'EUR', 1, 0, ARRAY['R-2025-114'], 0)"
            ),
            {"customer": values["customer"]},
        )
        assert [row.state for row in invoices.checks(connection, "kimai")] == ["invoiced"]
    tickets.write()
    assert tickets.notes() == ["Abgerechnet 2025-10: 1 h 00, Rechnung R-2025-114. [zk-billed-2025-10]"]


# Exactly once


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("settings", [ON, NOTES], indirect=True, ids=["tag", "note"])
@pytest.mark.usefixtures("books")
def test_a_run_after_a_crash_leaves_each_write_exactly_once(tickets: Tickets, place: str) -> None:
    assert killed(place) == KILLED
    tickets.write(later=LATER)
    tickets.write(later=LATER)
    assert tickets.tags() + [note.rpartition(" ")[2] for note in tickets.notes()] in ([TAG], ["[zk-billed-2025-10]"])
    (row,) = [row for row in tickets.journal() if row.state is not WriteBackState.LAPSED]
    assert (row.state, row.ours) == (WriteBackState.CONFIRMED, True)


@pytest.mark.parametrize("place", [place for place in PLACES if place != "after the answer"])
def test_a_tag_that_was_being_taken_off_is_off_after_a_crash(books: Books, tickets: Tickets, place: str) -> None:
    tickets.write()
    reopen(books)
    assert killed(place) == KILLED
    tickets.write(later=LATER)
    assert tickets.tags() == []
    assert [state for state in tickets.states() if state[1] != "lapsed"] == [
        ("add", "removed"),
        ("remove", "confirmed"),
    ]


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "truncate", "html"])
@pytest.mark.parametrize("settings", [ON, NOTES], indirect=True, ids=["tag", "note"])
@pytest.mark.usefixtures("books")
def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(tickets: Tickets, fault: str) -> None:
    tickets.world.desk.control.add_fault(fault, path="/tags/add|/ticket_articles$", method="POST", times=1)  # type: ignore[arg-type]
    with pytest.raises(ConnectorError):
        tickets.write()
    sent = sum(tickets.sent().values())
    if fault == "drop_before":
        assert tickets.write().unsettled == 1
        assert sum(tickets.sent().values()) == sent
    tickets.write(later=LATER)
    assert len(tickets.tags()) + len(tickets.notes()) == 1
    assert [state for _, state in tickets.states() if state != "lapsed"] == ["confirmed"]
    assert all(row.ours for row in tickets.journal())


@pytest.mark.usefixtures("books")
def test_a_database_fault_of_zammad_is_no_refusal(tickets: Tickets) -> None:
    body = '{"error": "Error ID 7xz0NkTV: Please contact your administrator."}'
    tickets.world.desk.control.add_fault("respond", path="/tags/add", status=422, text=body, times=1)
    with pytest.raises(ConnectorError):
        tickets.write()
    assert tickets.states() == [("add", "intended")]
    tickets.write(later=LATER)
    assert tickets.tags() == [TAG]


# What cannot be written


@pytest.mark.usefixtures("books")
def test_a_refused_write_says_the_remedy_and_is_tried_again_later(tickets: Tickets) -> None:
    empower(tickets.world, "read")
    (left,) = tickets.write().left
    assert "right 'change' on the group" in left
    (row,) = plans.plan(tickets.runtime).rows
    assert (row.state, "right 'change'" in row.message) == (LineState.REFUSED, True)
    tickets.write()
    assert tickets.sent() == {"POST /api/v1/tags/add": 1}
    empower(tickets.world)
    tickets.write(later=LATER)
    assert tickets.tags() == [TAG]


@pytest.mark.usefixtures("books")
def test_a_tag_that_may_not_be_made_is_refused_and_a_ticket_that_is_gone_is_left(tickets: Tickets) -> None:
    tickets.world.desk.server.configure({"tag_new": False})
    (left,) = tickets.write().left
    assert "New Tags" in left
    tickets.world.desk.server.delete_ticket(tickets.world.desk.tickets["acme"])
    (left,) = tickets.write(later=LATER).left
    assert "The ticket is gone." in left


def test_the_tag_of_a_deleted_ticket_is_done_with(books: Books, tickets: Tickets) -> None:
    tickets.write()
    tickets.world.desk.server.delete_ticket(tickets.world.desk.tickets["acme"])
    reopen(books)
    assert dict(tickets.write().done) == {"tag.remove": 1}
    assert tickets.plan() == []


@pytest.mark.usefixtures("books")
def test_a_closed_ticket_is_tagged_and_stays_closed(tickets: Tickets) -> None:
    desk = tickets.world.desk
    desk.server.reassign(desk.tickets["acme"], state_id=4)
    tickets.write()
    assert (tickets.tags(), desk.server.state.tickets[desk.tickets["acme"]].state_id) == ([TAG], 4)


def test_a_source_that_is_only_read_says_so(world: World) -> None:
    with world.environment.runtime.target() as kimai, pytest.raises(SetupError, match="its connector only reads"):
        require_writer(kimai)  # type: ignore[arg-type]


# Off, proposals, limits


@pytest.mark.parametrize("settings", [{}], indirect=True)
@pytest.mark.usefixtures("books")
def test_off_plans_nothing_and_asks_nothing(tickets: Tickets) -> None:
    tickets.world.desk.control.reset_requests()
    assert plans.plan(tickets.runtime) == plans.WriteBackPlan()
    tickets.write()
    assert (tickets.tags(), tickets.world.desk.control.requests().by_route) == ([], {})


def test_another_value_is_refused_in_a_sentence(surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_WRITE_BACK", "yes")
    with pytest.raises(SettingsError, match=r"^ZK_WRITE_BACK='yes': is neither off, propose or auto, nor one of these"):
        load_settings()


@pytest.mark.parametrize("settings", [PROPOSED], indirect=True)
@pytest.mark.usefixtures("books")
def test_a_proposal_waits_for_approval_which_holds_for_what_was_shown(tickets: Tickets) -> None:
    tickets.write()
    assert tickets.sent() == {}
    waiting = tickets.plan(LineState.WAITS)
    assert [str(line.kind) for line in waiting] == ["note", "tag"]
    tag = next(line for line in waiting if line.kind == "tag")
    with pytest.raises(StaleError):
        plans.approve(tickets.runtime, ADMIN, hashes=["another"])
    assert plans.approve(tickets.runtime, ADMIN, hashes=[plans.line_hash(tag)]) == 1
    tickets.write()
    assert (tickets.tags(), tickets.notes()) == ([TAG], [])
    (row,) = tickets.journal()
    assert row.approved_by == ADMIN.name
    assert plans.approve(tickets.runtime, ADMIN, month=MONDAY.replace(day=1)) == 1
    tickets.write()
    assert len(tickets.notes()) == 1
    with pytest.raises(StaleError, match="Nothing of that waits"):
        plans.approve(tickets.runtime, ADMIN)


@pytest.mark.parametrize("settings", [PROPOSED], indirect=True)
def test_an_approval_lapses_with_its_facts(books: Books, tickets: Tickets) -> None:
    plans.approve(tickets.runtime, ADMIN)
    reopen(books)
    tickets.write()
    assert tickets.sent() == {}
    assert {state for _, state in tickets.states()} == {"lapsed"}


@pytest.mark.parametrize("settings", [{**ON, "ZK_WRITE_BACK_LIMIT": "1"}], indirect=True)
def test_more_than_the_limit_waits_for_a_person(tickets: Tickets) -> None:
    world = tickets.world
    world.desk.book(60)
    world.desk.book(30, ticket="globex", agent="ben")
    world.sync()
    Books(world).close()
    assert plans.plan(tickets.runtime).exceeded
    tickets.write()
    assert tickets.sent() == {}
    assert plans.approve(tickets.runtime, ADMIN) == 2
    tickets.write()
    assert tickets.tags() == tickets.tags("globex") == [TAG]


@pytest.mark.parametrize("settings", [{**ON, "ZK_MAX_DELETES": "0"}], indirect=True)
def test_taking_tags_off_has_the_limit_of_deletions(books: Books, tickets: Tickets) -> None:
    tickets.write()
    reopen(books)
    tickets.write()
    assert (tickets.tags(), plans.plan(tickets.runtime).exceeded) == ([TAG], True)


# Taking back


@pytest.mark.parametrize("settings", [{"ZK_WRITE_BACK": "auto"}], indirect=True)
def test_what_a_run_wrote_is_taken_back_and_stays_so_until_the_facts_change(books: Books, tickets: Tickets) -> None:
    desk = tickets.world.desk
    tickets.write()
    run_id = tickets.journal()[0].run_id or ""
    taken = plans.take_back(tickets.runtime, ADMIN, run_id[:8])
    assert (taken.writes, taken.left) == (2, ())
    tickets.write()
    assert (tickets.tags(), tickets.notes()) == ([], [])
    tickets.write(later=LATER)
    assert (tickets.tags(), tickets.notes()) == ([], [])
    assert plans.take_back(tickets.runtime, ADMIN, run_id).writes == 0
    reopen(books)
    books.close()
    tickets.write()
    assert (len(tickets.tags()), len(tickets.notes())) == (1, 1)
    assert desk.server.state.tickets[desk.tickets["acme"]].tags == [TAG]


def test_a_tag_that_was_taken_off_can_be_put_back_by_a_person_and_is_left_then(books: Books, tickets: Tickets) -> None:
    tickets.write()
    reopen(books)
    tickets.write()
    run_id = tickets.journal()[-1].run_id or ""
    assert plans.take_back(tickets.runtime, ADMIN, run_id).writes == 1
    tickets.write()
    tickets.write()
    assert tickets.tags() == [TAG]


@pytest.mark.usefixtures("books")
def test_what_was_there_before_is_not_taken_back_and_an_unknown_run_is_said(tickets: Tickets) -> None:
    desk = tickets.world.desk
    desk.server.tag(desk.tickets["acme"], TAG)
    tickets.write()
    taken = plans.take_back(tickets.runtime, ADMIN, tickets.journal()[0].run_id or "")
    assert (taken.writes, "had billed:2025-10 before" in taken.left[0]) == (0, True)
    with pytest.raises(UnknownError, match="has written into tickets"):
        plans.take_back(tickets.runtime, ADMIN, "unknown")
    with pytest.raises(OperationError, match="too short"):
        plans.take_back(tickets.runtime, ADMIN, "ab")


# What is kept


@pytest.mark.usefixtures("books")
def test_each_write_is_in_the_audit_trail_and_in_the_request_log(tickets: Tickets) -> None:
    tickets.write()
    ticket = tickets.world.desk.tickets["acme"]
    assert (
        tickets.world.value("SELECT subject FROM sync.audit_logs WHERE event = 'ticket.written'") == f"ticket:{ticket}"
    )
    assert (
        tickets.world.value(f"SELECT path FROM sync.request_log WHERE source_id = 'ticket:{ticket}'")
        == "/api/v1/tags/add"
    )
