"""Reading a window of bookings: complete, in order, within its bound of requests, and honest when rows moved."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import log2
from urllib.parse import parse_qsl, urlencode

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from zk_pipeline.connectors.contract import Endpoint, Sweep
from zk_pipeline.connectors.errors import PermissionDeniedError, ProtocolError, UnavailableError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.connectors.zammad.errors import ZammadDialect
from zk_pipeline.connectors.zammad.window import FlatList, WindowSweep
from zk_pipeline.domain.records import TimeAccounting, Window
from zk_pipeline_tests.connectors.conftest import DAY, TOKEN
from zk_sandbox.client import SandboxControl
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

MANY = 7_300
LIST = "/api/v1/time_accountings$"


def minute(number: float) -> datetime:
    return DAY + timedelta(minutes=number)


def minutes(start: float, end: float) -> Window:
    return Window(minute(start), minute(end))


def rows_of(sweep: Sweep[TimeAccounting]) -> list[TimeAccounting]:
    return [row for page in sweep.pages() for row in page]


def ids_of(sweep: Sweep[TimeAccounting]) -> list[int]:
    return [int(row.id) for row in rows_of(sweep)]


def book(zammad: ZammadServer, count: int, *, at: Callable[[int], datetime] = minute) -> list[int]:
    """Book one unit a time, on a fresh ticket each thousand bookings, and give the ids."""
    agent = zammad.add_agent("agent@example.com")
    ids: list[int] = []
    for number in range(count):
        if number % 1000 == 0:
            ticket = zammad.add_ticket("Printer on fire")
        ids.append(zammad.book(ticket, agent, 1, at=at(number)))
    return ids


@pytest.fixture
def many(zammad: ZammadServer) -> list[int]:
    """Ids of bookings a minute apart; row n begins at minute n."""
    return book(zammad, MANY)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 1),
        (0, 1000),
        (999, 1001),
        (1000, 2000),
        (1500, 1501),
        (1001, 6500),
        (0, MANY),
        (MANY - 1, MANY + 60),
        (MANY, MANY + 60),
        (-60, 0),
    ],
)
def test_a_window_is_read_whole_within_its_bound_of_requests(
    source: ZammadConnector, many: list[int], start: int, end: int
) -> None:
    expected = many[max(start, 0) : max(end, 0)]
    sweep = source.fetch(minutes(start, end))
    assert ids_of(sweep) == expected
    assert sweep.report.complete
    assert sweep.report.rows_before == min(max(start, 0), MANY)
    assert source.requests.reads <= log2(MANY) + len(expected) / 1000 + 4


def test_more_than_5000_rows_cost_a_page_each_thousand(source: ZammadConnector, many: list[int]) -> None:
    sweep = source.fetch(minutes(500, 6500))
    assert ids_of(sweep) == many[500:6500]
    assert sweep.report.pages == 7
    assert source.requests.reads <= 7 + 3 + 2  # pages, probes among eight pages, totals


def test_a_good_hint_saves_the_search(source: ZammadConnector, many: list[int]) -> None:
    first = source.fetch(minutes(4100, 4200))
    rows_of(first)
    before = source.requests.reads
    again = source.fetch(minutes(4100, 4200), hint=first.report.rows_before)
    assert ids_of(again) == many[4100:4200]
    assert source.requests.reads - before == 2  # one total, one page


@pytest.mark.parametrize("hint", [0, 1, 1000, 2999, 3000, 3001, 4000, 4001, 5000, MANY, 10**9, -5])
def test_a_wrong_hint_costs_a_page_and_no_row(source: ZammadConnector, many: list[int], hint: int) -> None:
    sweep = source.fetch(minutes(3000, 4000), hint=hint)
    assert ids_of(sweep) == many[3000:4000]
    assert sweep.report.complete
    assert source.requests.reads <= log2(MANY) + 1 + 4


def test_rows_of_the_same_moment_across_pages_are_all_read(source: ZammadConnector, zammad: ZammadServer) -> None:
    ids = book(zammad, 2500, at=lambda number: minute(0 if number < 600 else 1 if number < 2200 else 2))
    sweep = source.fetch(minutes(1, 2))
    assert ids_of(sweep) == ids[600:2200]
    assert sweep.report.rows_before == 600


def test_late_bookings_with_early_dates_are_read_in_their_window(source: ZammadConnector, zammad: ZammadServer) -> None:
    ids = book(zammad, 1500, at=lambda number: minute(-number))
    assert ids_of(source.fetch(minutes(-1200, -100))) == ids[1200:100:-1]


def test_a_window_in_one_page_asks_for_the_total_once(source: ZammadConnector, zammad: ZammadServer) -> None:
    book(zammad, 20)
    sweep = source.fetch(minutes(0, 60))
    rows_of(sweep)
    assert source.requests.reads == 2
    assert sweep.report.total_before == sweep.report.total_after == 20


def test_an_empty_zammad_costs_one_request(source: ZammadConnector) -> None:
    sweep = source.fetch(minutes(0, 60))
    assert rows_of(sweep) == []
    assert sweep.report.complete
    assert source.requests.reads == 1


def test_a_type_edit_moves_the_high_water_mark(source: ZammadConnector, zammad: ZammadServer) -> None:
    ids = book(zammad, 3)
    zammad.edit(ids[0], minute(500), type_id=zammad.add_type("Remote"))
    sweep = source.fetch(minutes(0, 60))
    rows_of(sweep)
    assert sweep.report.high_water == minute(500)


@pytest.mark.parametrize("change", ["booked", "deleted"])
def test_a_sweep_during_which_the_total_moved_is_not_complete(
    source: ZammadConnector, zammad: ZammadServer, many: list[int], change: str
) -> None:
    sweep = source.fetch(minutes(0, 5000))
    pages = sweep.pages()
    seen = [int(row.id) for row in next(pages)]
    if change == "booked":
        zammad.book(1, 1, 1, at=minute(MANY))
    else:
        zammad.delete(many[10])
    seen += [int(row.id) for page in pages for row in page]
    assert not sweep.report.complete
    assert f"from {MANY} to" in sweep.report.reason
    assert sweep.report.total_after == MANY + (1 if change == "booked" else -1)
    assert len(seen) == len(set(seen)) >= 4999


def test_a_row_that_comes_twice_is_kept_once_and_spoils_the_proof(
    source: ZammadConnector, zammad: ZammadServer, many: list[int]
) -> None:
    sweep = source.fetch(minutes(0, 5000))
    pages = sweep.pages()
    seen = [int(row.id) for row in next(pages)]
    zammad.book(1, 1, 1, at=minute(0))
    zammad.delete(many[-1])
    seen += [int(row.id) for page in pages for row in page]
    assert seen == many[:5000]
    assert sweep.report.total_before == sweep.report.total_after
    assert not sweep.report.complete


class DeletingList(FlatList):
    """A list from which others delete the oldest rows while the search for a window is on."""

    def __init__(self, http: HttpClient, zammad: ZammadServer, ids: list[int]) -> None:
        super().__init__(http)
        self._zammad = zammad
        self._ids = ids

    def created_at(self, position: int) -> datetime | None:
        moment = super().created_at(position)
        for accounting_id in self._ids:
            self._zammad.delete(accounting_id)
        self._ids = []
        return moment


def test_rows_that_move_forward_during_the_search_are_not_missed(
    zammad: ZammadServer, many: list[int], zammad_service: tuple[ZammadServer, str]
) -> None:
    http = HttpClient(endpoint_of(zammad_service[1]), ZammadDialect())
    flat = DeletingList(http, zammad, many[:600])
    sweep = Sweep(lambda: WindowSweep(flat, minutes(4200, 4300), None).run())
    assert ids_of(sweep) == many[4200:4300]
    assert not sweep.report.complete
    http.close()


def altered(app: ASGIApp, alter: Callable[[dict[str, str]], dict[str, str]]) -> ASGIApp:
    """The app behind a proxy that changes the query of the flat list."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        query = dict(parse_qsl(scope.get("query_string", b"").decode()))
        await app({**scope, "query_string": urlencode(alter(query)).encode()}, receive, send)

    return proxy


def endpoint_of(url: str) -> Endpoint:
    return Endpoint("zammad", url, TOKEN)


def test_a_server_with_smaller_pages_is_read_whole(zammad: ZammadServer, many: list[int]) -> None:
    def capped(query: dict[str, str]) -> dict[str, str]:
        size = min(int(query.get("per_page", 300)), 300)
        return query | {"per_page": str(size)}

    with ServerThread(altered(zammad.app(), capped)) as server, ZammadConnector(endpoint_of(server.url)) as source:
        sweep = source.fetch(minutes(4100, 6000))
        assert ids_of(sweep) == many[4100:6000]
        assert sweep.report.complete
        assert source.requests.reads <= log2(MANY) + 1900 / 300 + 6
        last = source.fetch(minutes(MANY - 10, MANY + 10))
        assert ids_of(last) == many[-10:]


def test_a_server_that_ignores_the_page_ends_the_sweep_without_proof(zammad: ZammadServer, many: list[int]) -> None:
    def first_page(query: dict[str, str]) -> dict[str, str]:
        return query | {"page": "1"}

    with ServerThread(altered(zammad.app(), first_page)) as server, ZammadConnector(endpoint_of(server.url)) as source:
        sweep = source.fetch(minutes(0, MANY))
        assert ids_of(sweep) == many[:1000]
        assert sweep.report.reason == "a page came twice"


def test_a_server_that_ignores_the_sorting_gives_no_proof(zammad: ZammadServer) -> None:
    def unsorted(query: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in query.items() if name not in {"sort_by", "order_by"}}

    book(zammad, 50, at=lambda number: minute(-number))
    with ServerThread(altered(zammad.app(), unsorted)) as server, ZammadConnector(endpoint_of(server.url)) as source:
        sweep = source.fetch(minutes(-50, 1))
        rows_of(sweep)
        assert not sweep.report.complete
        assert "sorted" in sweep.report.reason


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "respond", "status": 500}, UnavailableError),
        ({"kind": "respond", "status": 403, "text": '{"error": "Not authorized"}'}, PermissionDeniedError),
        ({"kind": "html", "status": 200}, ProtocolError),
        ({"kind": "truncate"}, ProtocolError),
    ],
)
def test_a_page_that_fails_raises_and_leaves_no_certificate(
    source: ZammadConnector,
    zammad_control: SandboxControl,
    many: list[int],
    fault: dict[str, object],
    kind: type[Exception],
) -> None:
    sweep = source.fetch(minutes(0, 3000))
    pages = sweep.pages()
    next(pages)
    zammad_control.add_fault(path=LIST, **fault)
    with pytest.raises(kind):
        list(pages)
    with pytest.raises(RuntimeError):
        _ = sweep.report


def test_a_row_without_its_number_is_a_protocol_error_that_names_the_field(
    source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl
) -> None:
    book(zammad, 1)
    zammad_control.add_fault("respond", path=LIST, status=200, skip=1, text='[{"id": 1, "ticket_id": 1}]')
    with pytest.raises(ProtocolError, match="without the field 'ticket_article_id'"):
        rows_of(source.fetch(minutes(0, 60)))


WHOLE = {
    "id": 4711,
    "ticket_id": 1,
    "ticket_article_id": None,
    "time_unit": "5.0",
    "type_id": None,
    "created_by_id": 3,
    "created_at": DAY.isoformat(),
    "updated_at": DAY.isoformat(),
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_unit", None),
        ("time_unit", "NaN"),
        ("time_unit", "1e12"),
        ("created_at", None),
        ("created_at", "0000-00-00"),
        ("updated_at", "soon"),
        ("ticket_id", "x"),
        ("created_by_id", 2**70),
        ("type_id", []),
    ],
)
def test_a_row_that_cannot_be_read_comes_with_its_id_and_costs_no_other(
    source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl, field: str, value: object
) -> None:
    book(zammad, 3)
    rows = [{**WHOLE, "id": 4710}, {**WHOLE, field: value}, {**WHOLE, "id": 4712}]
    zammad_control.add_fault("respond", path=LIST, status=200, skip=1, text=json.dumps(rows))
    sweep = source.fetch(minutes(-1, 60))
    before, parked, after = rows_of(sweep)
    assert (before.id, parked.id, after.id) == ("4710", "4711", "4712")
    assert (list(parked.faults), before.faults, after.faults) == ([field], {}, {})
    assert parked.created_at == DAY, "it stays where Zammad has it"


def test_a_row_without_id_is_passed_over_and_nothing_counts_as_gone(
    source: ZammadConnector, zammad: ZammadServer, zammad_control: SandboxControl
) -> None:
    book(zammad, 2)
    zammad_control.add_fault("respond", path=LIST, status=200, skip=1, text=json.dumps([WHOLE, {**WHOLE, "id": None}]))
    sweep = source.fetch(minutes(-1, 60))
    assert ids_of(sweep) == [4711]
    assert not sweep.report.complete
    assert "id cannot be read" in sweep.report.reason


def test_the_bookings_hold_what_zammad_sent(source: ZammadConnector, zammad: ZammadServer) -> None:
    agent = zammad.add_agent("agent@example.com")
    ticket = zammad.add_ticket("Printer on fire")
    kind = zammad.add_type("Remote")
    booked = zammad.book(ticket, agent, "-0.25", kind, minute(1), article="Called the fire brigade")
    (row,) = rows_of(source.fetch(minutes(0, 60)))
    assert (row.id, row.ticket_id, row.agent_id, row.type_id) == tuple(map(str, (booked, ticket, agent, kind)))
    assert str(row.units) == "-0.25"
    assert row.created_at == row.updated_at == minute(1)
    assert row.article_id is not None
    assert row.raw["time_unit"] == "-0.25"


@pytest.mark.parametrize("count", [500, 501, 2300])
def test_all_bookings_of_a_ticket_are_read(source: ZammadConnector, zammad: ZammadServer, count: int) -> None:
    agent, ticket = zammad.add_agent("agent@example.com"), zammad.add_ticket("Yearly maintenance")
    ids = [zammad.book(ticket, agent, 1, at=minute(number)) for number in range(count)]
    assert [int(row.id) for row in source.fetch_of_ticket(str(ticket))] == ids
    assert source.requests.reads <= count // 1000 + 2


def test_changes_of_a_long_stop_are_read_in_turns_without_a_gap(source: ZammadConnector, zammad: ZammadServer) -> None:
    ids = book(zammad, 12_500)
    first = source.fetch_changes(minute(0))
    assert first.rest is not None
    assert source.requests.reads <= 12
    # Between the turns bookings come, are edited, and go.
    ticket, agent = zammad.add_ticket("Meanwhile"), zammad.add_agent("late@example.com")
    for number in range(40):
        zammad.book(ticket, agent, 1, at=minute(MANY * 2 + number))
    for gone in ids[-300:-200]:
        zammad.delete(gone)
    second = source.fetch_changes(minute(0), first.rest)
    assert second.rest is None
    assert {int(row.id) for row in (*first.rows, *second.rows)} >= set(ids) - set(ids[-300:-200])
    assert source.requests.reads <= 20


def test_the_list_is_read_at_any_place(source: ZammadConnector, zammad: ZammadServer) -> None:
    ids = book(zammad, 1_250)
    listing = source.listing()
    assert [int(row.id) for row in (listing.row_at(0), listing.row_at(1_249)) if row] == [ids[0], ids[-1]]
    assert listing.row_at(1_250) is None
    for position in (0, 999, 1_000, 1_249):
        first, rows = listing.rows_from(position)
        assert rows[position - first].id == str(ids[position])
    assert listing.rows_from(1_300)[1][100:] == []


def test_changed_tickets_come_by_their_change_with_their_sums(source: ZammadConnector, zammad: ZammadServer) -> None:
    since = datetime.now(UTC)
    ticket, agent = zammad.add_ticket("Printer"), zammad.add_agent("agent@example.com")
    quiet = zammad.add_ticket("Nothing booked")
    zammad.book(ticket, agent, "12.5", at=minute(0))
    found = source.fetch_changed_tickets(since - timedelta(minutes=1))
    assert found.complete
    assert {row.ticket.id: str(row.units) for row in found.rows} == {str(quiet): "0", str(ticket): "12.5"}
