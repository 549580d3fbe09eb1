"""What Kimai exported and invoiced beside what is stored of it, per customer and currency, to the cent."""

from datetime import date, timedelta

from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.invoicing import BillingState
from zk_pipeline.stages.read_target import check_invoices
from zk_pipeline.store import invoices
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at


def test_a_cancelled_invoice_and_a_mere_export_do_not_add_up_and_the_rest_does(world: World) -> None:
    office, runtime = world.office, world.environment.runtime
    server, maker = office.server, office.users["sync"]
    swiss = server.add_customer("Helvetia", currency="CHF")
    owners = {name: server.add_customer(name) for name in ("Paid", "Cancelled", "Exported")} | {"Helvetia": swiss}
    for owner in owners.values():
        server.add_rate("customers", owner, "99.99")
        project = server.add_project("Desk", owner)
        for day in range(3):
            office.server.edit_timesheet(_hour(world, project, MONDAY + timedelta(days=day)))
    last = MONDAY + timedelta(days=2)
    for name in ("Paid", "Cancelled", "Helvetia"):
        assert server.invoice(maker, owners[name], MONDAY, MONDAY + timedelta(days=1))
    server.change_invoice(2, "canceled")
    for row in [row for row in office.rows if server.kimai.projects.rows[row.project].customer == owners["Exported"]]:
        office.change(row, exported=True, billable=row.id % 3 != 0)
    world.sync(MONDAY, last)
    with runtime.target() as target:
        found, problem = check_invoices(runtime, target)
    assert problem == ""
    told = {row.customer_id: (row.currency, str(row.difference), row.state) for row in found}
    assert told[owners["Paid"]] == ("EUR", "0", BillingState.INVOICED)
    assert told[swiss] == ("CHF", "0", BillingState.INVOICED)
    assert told[owners["Cancelled"]] == ("EUR", "199.98", BillingState.EXPORTED_WITHOUT_INVOICE)
    assert told[owners["Exported"]][2] is BillingState.EXPORTED_WITHOUT_INVOICE
    with runtime.database.transaction() as connection:
        assert invoices.checks(connection, "kimai") == found
        figures = invoices.figures_within(connection, "kimai", days_window(MONDAY, last, ZONE))
    paid = [row for row in figures if row.customer_id == owners["Paid"]]
    of_paid = {row.state: (row.sheets, row.minutes, str(row.rates)) for row in paid}
    assert of_paid == {
        BillingState.INVOICED: (2, 120, "199.9800"),
        BillingState.TO_BE_BILLED: (1, 60, "99.9900"),
    }
    states = {row.state for row in figures if row.customer_id == owners["Exported"]}
    assert states == {BillingState.EXPORTED_WITHOUT_INVOICE, BillingState.EXPORTED_NOT_BILLABLE}


def test_without_the_permission_nothing_fails_and_the_absence_is_known(world: World) -> None:
    world.office.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_invoice": False}}})
    world.desk.book(30)
    assert world.sync().to_json()["created"] == 1
    runtime = world.environment.runtime
    problem = "The account may not read invoices: view_invoice is missing."
    with runtime.target() as target:
        assert check_invoices(runtime, target) == ([], problem)
    with runtime.database.transaction() as connection:
        assert invoices.load(connection, "kimai").problem == problem


def _hour(world: World, project: int, day: date) -> int:
    begin, office = at("09:00", day), world.office
    return office.server.add_timesheet(
        office.users["anna"], project, office.activity, begin, begin + timedelta(hours=1)
    )
