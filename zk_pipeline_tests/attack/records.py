"""Attacks on what is kept: the audit trail by the owner of the database, names after an erasure, and exported files."""

from collections.abc import Iterator

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from zk_pipeline.identity.actors import Role
from zk_pipeline.store import audit
from zk_pipeline_tests.attack.book import Try, answered, attack
from zk_pipeline_tests.attack.place import Place
from zk_pipeline_tests.cli.test_gdpr import EMAIL, PEOPLE, bare, everything, know, stored_in_our_tables
from zk_pipeline_tests.databases import without_guards
from zk_pipeline_tests.domain.test_spreadsheets import calculated
from zk_pipeline_tests.store.test_audit import ATTACKS as TAMPERINGS
from zk_pipeline_tests.store.test_audit import REFUSED, compute_again
from zk_pipeline_tests.web.signing_in import ME

FORMULAS = ("=cmd|' /C calc'!A0", "x;=1+1", "\u3000\uff1d1", "@SUM(A1)", "-1;+2")
ERASURES = "/api/v1/gdpr/erasures"


@attack("The application changes the audit trail (by SQL injection)")
def changed_by_the_application(place: Place) -> Iterator[Try]:
    for statement in REFUSED:
        told = "done"
        try:
            with place.site.database.transaction() as connection:
                connection.execute(text(statement))
                connection.rollback()
        except ProgrammingError as error:
            refused = any(reason in str(error) for reason in ("the audit trail only grows", "permission denied"))
            told = "refused" if refused else "failed otherwise"
        yield Try(statement, told, held=told == "refused")


@attack("The database's owner forges, cuts or empties the audit trail")
def tampered_trail(place: Place) -> Iterator[Try]:
    emptied = "TRUNCATE sync.audit_logs, sync.audit_details, sync.audit_head"
    for name, statements in {**TAMPERINGS, "all rows gone": emptied}.items():
        with place.site.database.transaction() as connection:
            _tamper(connection, statements, again=statements != emptied)
            broken = audit.verify(connection).broken_at is not None
            connection.rollback()
        yield Try(name, "found" if broken else "unbroken", held=broken)
    told = place.client(Role.ADMIN).get("/api/v1/audit/verification").json()
    yield Try("nothing: all was taken back", told["text"], held=told["broken_at"] is None)


def _tamper(connection: Connection, statements: str, *, again: bool) -> None:
    without_guards(connection)
    for statement in statements.split("; "):
        connection.execute(text(statement))
    if again:
        compute_again(connection)


@attack("A table, a log or a file names somebody after their erasure")
def left_after_an_erasure(place: Place) -> Iterator[Try]:
    admin = place.client(Role.ADMIN)
    name, written = PEOPLE["ß"]
    know(place.zk, name)
    stored_in_our_tables(place.zk, written)
    log = place.site.home / "dagster" / "storage" / "r" / "compute_logs" / "step.err"
    log.parent.mkdir(parents=True)
    log.write_text(f"first\n{written}\n")
    plan = admin.post(f"{ERASURES}/plan", json={"email": EMAIL}).json()
    yield answered(
        f"the erasure of {name}", admin.post(ERASURES, json={"email": EMAIL, "plan_hash": plan["hash"]}), 200
    )
    left = bare(everything(place.zk))
    for wanted in (written, name, EMAIL):
        hits = left.count(bare(wanted))
        yield Try(f"a search for {wanted} in all tables and logs", f"{hits} hits", held=hits == 0)


@attack("A spreadsheet calculates what somebody typed (CSV formulas)")
def formulas(place: Place) -> Iterator[Try]:
    viewer = place.signed_in(Role.VIEWER)
    for typed in FORMULAS:
        answer = viewer.patch(ME, json={"name": typed}, headers=place.own)
        if answer.status_code != 200:
            yield answered(f"the name {typed!r}", answer, 422)
            continue
        for dialect in ("plain", "excel"):
            asked = {"format": "csv", "csv_dialect": dialect, "event": "user."}
            export = place.client(Role.ADMIN).get("/api/v1/audit/export", params=asked)
            cells = [cell for delimiter in ";,\t|" for cell in calculated(export.text, delimiter)]
            told = f"{len(cells)} cells calculated"
            yield Try(f"the name {typed!r} in {dialect} CSV", told, held=export.status_code == 200 and not cells)
