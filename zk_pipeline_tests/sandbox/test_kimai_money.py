"""What the simulated Kimai charges: rates, what resets them, breaks, exports and invoices."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline_tests.sandbox.kimai_world import World

MONDAY = date(2026, 3, 9)
NINE_TO_TEN = {"begin": "2026-03-09T09:00:00Z", "end": "2026-03-09T10:00:00Z"}


@pytest.fixture
def world() -> World:
    return World()


def _sheet(world: World, **fields: Any) -> dict[str, Any]:
    answer = world.post(**{"user": world.anna, **NINE_TO_TEN, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("rates", "charged"),
    [
        ([], 0.0),
        ([("customers", "100", False)], 100.0),
        ([("customers", "100", False), ("projects", "120", False)], 120.0),
        ([("customers", "100", False), ("projects", "120", False), ("activities", "90", False)], 90.0),
        ([("projects", "120", False), ("projects", "150", True)], 150.0),
        ([("activities", "90", False), ("projects", "150", True)], 90.0),
        ([("activities", "90", True), ("activities", "60", False)], 60.0),
    ],
    ids=["none", "customer", "project", "activity", "users-project", "activity-before-user", "everybody-only"],
)
def test_the_nearest_rate_holds_and_one_for_the_user_goes_first(
    world: World, rates: list[tuple[str, str, bool]], charged: float
) -> None:
    owners = {"customers": world.customer, "projects": world.project, "activities": world.activity}
    for kind, rate, for_anna in rates:
        foreign = kind == "activities" and for_anna
        world.server.add_rate(kind, owners[kind], rate, world.ben if foreign else world.anna if for_anna else None)
    assert _sheet(world)["rate"] == charged


def test_a_fixed_rate_is_charged_for_every_sheet_however_short(world: World) -> None:
    world.server.add_rate("projects", world.project, "250", is_fixed=True)
    short = _sheet(world, end="2026-03-09T09:05:00Z", hourlyRate=80)
    assert (short["rate"], short["fixedRate"], short["hourlyRate"]) == (250.0, 250.0, 80.0)


def test_the_rate_is_that_of_the_moment_of_saving(world: World) -> None:
    before = _sheet(world)
    assert (before["rate"], before["hourlyRate"]) == (0.0, 0.0)
    world.server.add_rate("projects", world.project, "120")
    assert world.get(f"/api/timesheets/{before['id']}").json()["rate"] == 0.0
    assert world.patch(before["id"], description="looked at").json()["rate"] == 120.0
    world.server.add_rate("activities", world.activity, "90")
    assert world.patch(before["id"], description="and again").json()["rate"] == 120.0


@pytest.mark.parametrize("moved", ["project", "activity", "user"])
def test_moving_a_sheet_resets_what_people_set_on_it(world: World, moved: str) -> None:
    world.server.add_rate("customers", world.customer, "140")
    elsewhere = {"project": world.other_project, "activity": world.server.add_activity("Travel"), "user": world.ben}
    sheet = _sheet(world, billable=False, hourlyRate=200)
    assert (sheet["billable"], sheet["rate"]) == (False, 200.0)
    kept = world.patch(sheet["id"], description="x", end="2026-03-09T11:00:00Z").json()
    assert (kept["billable"], kept["rate"]) == (False, 400.0)
    reset = world.patch(sheet["id"], **{moved: elsewhere[moved]}).json()
    assert (reset["billable"], reset["hourlyRate"], reset["rate"]) == (True, 140.0, 280.0)


def test_what_is_sent_with_a_move_is_kept_only_where_a_rate_changes(world: World) -> None:
    sheet = _sheet(world, billable=False, hourlyRate=200)
    same = world.patch(sheet["id"], project=world.other_project, billable=False, hourlyRate=200).json()
    assert (same["billable"], same["hourlyRate"]) == (True, 0.0)
    other = world.patch(sheet["id"], project=world.project, billable=False, hourlyRate=210).json()
    assert (other["billable"], other["hourlyRate"]) == (False, 210.0)


def test_billable_is_automatic_by_customer_project_and_activity(world: World) -> None:
    favour = world.server.add_activity("Favour", billable=False)
    free = world.server.add_project("Warranty", world.customer, billable=False)
    assert _sheet(world)["billable"] is True
    assert _sheet(world, activity=favour)["billable"] is False
    sheet = _sheet(world, project=free)
    assert sheet["billable"] is False
    assert world.patch(sheet["id"], billable=True).json()["billable"] is True


def test_a_break_shortens_the_sheet_and_the_form_has_no_field_for_it(world: World) -> None:
    world.server.add_rate("projects", world.project, "120")
    sheet = _sheet(world)
    assert world.patch(sheet["id"], **{"break": "0:15"}).status_code == 400
    world.server.edit_timesheet(sheet["id"], pause=900)
    seen = world.get(f"/api/timesheets/{sheet['id']}").json()
    assert (seen["break"], seen["duration"], seen["rate"]) == (900, 2700, 90.0)
    later = world.patch(sheet["id"], end="2026-03-09T11:00:00Z").json()
    assert (later["break"], later["duration"]) == (900, 6300)


class Billing:
    """A customer with three billable hours and one that is not, at 120 an hour."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.server.add_rate("customers", world.customer, "120")
        self.ids = [_sheet(world)["id"] for _ in range(3)]
        self.favour = _sheet(world, billable=False)["id"]

    @property
    def exported(self) -> list[int]:
        return [row.id for row in self.world.server.kimai.timesheets if row.exported]


def test_an_invoice_takes_billable_sheets_and_marks_them(world: World) -> None:
    billing = Billing(world)
    world.server.configure({"now": "2026-03-11T08:00:00Z"})
    invoice = world.server.invoice(world.root, world.customer, MONDAY, MONDAY)
    assert invoice is not None
    assert (invoice.total, invoice.tax) == (Decimal("428.40"), Decimal("68.40"))
    assert billing.exported == billing.ids
    assert world.server.invoice(world.root, world.customer, MONDAY, MONDAY) is None
    assert world.get("/api/timesheets", user="all", modified_after="2026-03-11T00:00:00").json() == []


@pytest.mark.parametrize(
    ("billable", "mark", "marked"), [(None, True, 4), (True, True, 3), (None, False, 0)], ids=["all", "some", "no-box"]
)
def test_an_export_marks_other_sheets_too_and_only_with_its_box(
    world: World, billable: bool | None, mark: bool, marked: int
) -> None:
    billing = Billing(world)
    world.server.export(world.root, MONDAY, MONDAY, billable=billable, mark=mark)
    assert len(billing.exported) == marked


def test_neither_cancelling_nor_deleting_an_invoice_offers_its_sheets_again(world: World) -> None:
    billing = Billing(world)
    invoice = world.server.invoice(world.root, world.customer, MONDAY, MONDAY)
    assert invoice is not None
    world.server.change_invoice(invoice.id, "canceled")
    assert billing.exported == billing.ids
    world.server.delete_invoice(invoice.id)
    assert billing.exported == billing.ids
    assert world.get("/api/invoices").json() == []


def test_the_list_of_invoices_tells_amounts_and_status_and_no_sheets(world: World) -> None:
    Billing(world)
    invoice = world.server.invoice(world.root, world.customer, MONDAY, MONDAY)
    assert invoice is not None
    world.server.change_invoice(invoice.id, "paid")
    (row,) = world.get("/api/invoices").json()
    told = {name: row[name] for name in ("invoiceNumber", "total", "tax", "vat", "currency", "status", "dueDays")}
    assert told == {
        "invoiceNumber": "2026/001",
        "total": 428.4,
        "tax": 68.4,
        "vat": 19.0,
        "currency": "EUR",
        "status": "paid",
        "dueDays": 30,
    }
    assert (row["customer"]["id"], row["createdAt"]) == (world.customer, "2026-03-10T08:00:00-0400")
    assert row["paymentDate"] == "2026-03-10"
    assert "timesheets" not in row
    assert world.get(f"/api/invoices/{row['id']}").json() == row
    assert world.get("/api/invoices", **{"status[]": "canceled"}).json() == []


def test_invoices_take_a_permission_of_their_own_and_came_with_a_version(world: World) -> None:
    assert world.get("/api/invoices", "anna").status_code == 403
    assert world.get("/api/invoices", "lead").status_code == 200
    world.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_invoice": False}}})
    assert world.get("/api/invoices").json() == {"code": 403, "message": "Forbidden"}
    world.server.configure({"version": "2.21.0", "permissions": {}})
    assert world.get("/api/invoices").status_code == 404


def test_an_invoice_reads_the_days_in_the_zone_of_whoever_makes_it(world: World) -> None:
    world.server.add_rate("customers", world.customer, "120")
    late = world.entry(world.ben, "2026-03-10T02:00:00", "2026-03-10T03:00:00", rate=Decimal(120))
    assert world.server.invoice(world.ben, world.customer, MONDAY, MONDAY) is None
    assert world.server.invoice(world.root, world.customer, MONDAY, MONDAY) is not None
    assert world.server.kimai.timesheets.rows[late].exported


def test_a_customers_currency_is_that_of_its_invoices(world: World) -> None:
    swiss = world.server.add_customer("Helvetia", currency="CHF")
    world.project = world.server.add_project("Desk", swiss)
    world.server.add_rate("customers", swiss, "99.99")
    assert _sheet(world)["rate"] == 99.99
    invoice = world.server.invoice(world.root, swiss, MONDAY, MONDAY, vat="8.1")
    assert invoice is not None
    assert (invoice.currency, invoice.total, invoice.tax) == ("CHF", Decimal("108.09"), Decimal("8.10"))
