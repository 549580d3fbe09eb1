"""The audit trail shows every tampering, and survives the erasure of personal data."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from zk_pipeline.store import audit, periods
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline_tests.databases import without_guards


def events(number: int) -> list[AuditEvent]:
    return [
        AuditEvent(
            "kimai.timesheet.created",
            "pipeline",
            f"booking:{id_}",
            {"b": {"z": 1, "a": "ü"}, "a": Decimal("7.5")},
            "run",
        )
        for id_ in range(number)
    ]


def test_an_untouched_trail_verifies(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(3))
        audit.append(connection, events(2))
    with database.transaction() as connection:
        found = audit.verify(connection)
    assert (found.rows, found.broken_at) == (5, None)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE sync.audit_logs SET actor = 'somebody' WHERE id = 3",
        "UPDATE sync.audit_logs SET created_at = created_at + interval '1 day' WHERE id = 3",
        "UPDATE sync.audit_details SET detail = '{}' WHERE id = 3",
        "DELETE FROM sync.audit_details WHERE id = 3; DELETE FROM sync.audit_logs WHERE id = 3",
    ],
)
def test_a_changed_or_missing_row_is_found(database: Database, tampering: str) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
    with database.transaction() as connection:
        without_guards(connection)
        for statement in tampering.split("; "):
            connection.execute(text(statement))
        assert audit.verify(connection).broken_at in {3, 4}


@pytest.mark.parametrize("afterwards", [0, 1, 3], ids=lambda number: f"{number} more")
@pytest.mark.parametrize(
    "head",
    ["", "DELETE FROM sync.audit_head", "UPDATE sync.audit_head SET number = 3"],
    ids=["head left", "head gone", "head put back"],
)
def test_rows_that_are_cut_off_the_end_are_missed_for_ever(database: Database, head: str, afterwards: int) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
    with database.transaction() as connection:
        without_guards(connection)
        for statement in (
            "DELETE FROM sync.audit_details WHERE id > 3",
            "DELETE FROM sync.audit_logs WHERE id > 3",
            head,
        ):
            connection.execute(text(statement or "SELECT 1"))
    with database.transaction() as connection:
        audit.append(connection, events(afterwards))
    with database.transaction() as connection:
        assert audit.verify(connection).broken_at in {4, 5, 6}


def test_the_head_that_a_closed_month_kept_is_missed_when_the_trail_is_cut_before_it(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
        _, head = audit.head(connection)
        values = {"actor": "cli:anna", "statement": {}, "statement_hash": "", "kept_hash": "", "waiting": Decimal(0)}
        periods.close(connection, date(2025, 8, 1), audit_head=head, **values)
        assert audit.verify(connection).broken_at is None
    with database.transaction() as connection:
        without_guards(connection)
        connection.execute(text("DELETE FROM sync.audit_logs WHERE id > 3"))
        last = "(SELECT hash FROM sync.audit_logs WHERE id = 3)"
        connection.execute(text(f"UPDATE sync.audit_head SET number = 3, hash = {last}"))
    with database.transaction() as connection:
        assert audit.verify(connection).broken_at == 4


def test_a_row_that_was_put_in_beside_the_product_is_found(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(2))
        connection.execute(text("CREATE TEMP TABLE head ON COMMIT DROP AS TABLE sync.audit_head"))
        audit.append(connection, events(1))
        without_guards(connection)
        connection.execute(
            text("UPDATE sync.audit_head SET number = head.number, hash = head.hash, seal = head.seal FROM head")
        )
        assert audit.verify(connection).broken_at == 3


REFUSED = (
    "UPDATE sync.audit_logs SET actor = 'somebody'",
    "DELETE FROM sync.audit_logs WHERE id = 5",
    "TRUNCATE sync.audit_logs CASCADE",
    "UPDATE sync.audit_details SET detail = '{}'",
    "DELETE FROM sync.audit_details",
    "TRUNCATE sync.audit_details",
    "UPDATE sync.audit_head SET number = number - 1",
    "UPDATE sync.audit_head SET hash = 'another'",
    "DELETE FROM sync.audit_head",
    "TRUNCATE sync.audit_head",
)
"""Every way to change the trail, which triggers refuse."""


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_refuses_every_change_of_the_trail(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
    with pytest.raises(ProgrammingError, match="the audit trail only grows"), database.transaction() as connection:
        connection.execute(text(statement))


def test_details_may_go_for_one_transaction_alone(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
        assert audit.remove_details(connection, [3], "pipeline", "retention") == 1
    with pytest.raises(ProgrammingError, match="the audit trail only grows"), database.transaction() as connection:
        connection.execute(text("DELETE FROM sync.audit_details WHERE id = 4"))


def test_details_that_go_with_a_row_that_says_so_leave_the_chain_whole(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(9))
        audit.remove_details(connection, [1, 3, 4, 5, 9], "user:2", "erasure")
        assert audit.verify(connection).broken_at is None
        last = connection.execute(text("SELECT event, actor, subject FROM sync.audit_logs ORDER BY id DESC LIMIT 1"))
        assert tuple(last.one()) == ("audit.details_removed", "user:2", "audit:1,3-5,9")


def test_a_detail_that_is_gone_without_a_word_is_missed(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
        audit.remove_details(connection, [2], "pipeline", "retention")
        without_guards(connection)
        connection.execute(text("DELETE FROM sync.audit_details WHERE id = 4"))
        found = audit.verify(connection)
    assert (found.broken_at, "no row names an erasure" in found.problem) == (4, True)


def test_no_rows_at_all_is_broken(database: Database) -> None:
    with database.transaction() as connection:
        assert audit.verify(connection).broken_at == 1


def test_the_first_start_leaves_a_row_and_the_next_ones_none(database: Database) -> None:
    for added in (True, False, False):
        with database.transaction() as connection:
            assert audit.bind(connection) is added
    with database.transaction() as connection:
        found = audit.verify(connection)
    assert (found.rows, found.broken_at) == (1, None)


def test_a_trail_that_was_emptied_does_not_begin_anew(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(3))
        connection.execute(
            text(
                "INSERT INTO sync.connectors (name, role, kind, base_url, token_encrypted) "
                "VALUES ('kimai', 'target', 'kimai', '', '')"
            )
        )
        without_guards(connection)
        connection.execute(text("TRUNCATE sync.audit_logs, sync.audit_details, sync.audit_head"))
    with database.transaction() as connection:
        assert not audit.bind(connection)
        assert audit.verify(connection).broken_at == 1


def test_without_a_key_nothing_is_written(database: Database) -> None:
    without = Database(database.engine.url.render_as_string(hide_password=False))
    with pytest.raises(audit.NoTrailKeyError), without.transaction() as connection:
        audit.append(connection, events(1))
    without.close()


def compute_again(connection: Connection) -> None:
    """Chain the rows as they are, with all that the database's owner knows: how rows are hashed, and no key."""
    previous = audit.GENESIS
    for row in connection.execute(text("SELECT * FROM sync.audit_logs ORDER BY id")).mappings().all():
        hashed = audit._plain_hash(audit._canonical({**row, "previous_hash": previous}))
        connection.execute(
            text("UPDATE sync.audit_logs SET previous_hash = :previous, hash = :hash WHERE id = :id"),
            {"previous": previous, "hash": hashed, "id": row["id"]},
        )
        previous = hashed
    last = "(SELECT max(id) FROM sync.audit_logs)"
    connection.execute(text(f"UPDATE sync.audit_head SET number = {last}, hash = :hash"), {"hash": previous})


ATTACKS = {
    "a row forged and the chain computed again": "UPDATE sync.audit_logs SET actor = 'user:9' WHERE id = 2",
    "the last rows cut": "DELETE FROM sync.audit_details WHERE id > 3; DELETE FROM sync.audit_logs WHERE id > 3",
    "nothing changed, but all computed again": "SELECT 1",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_whoever_owns_the_database_cannot_compute_the_chain_again(database: Database, attack: str) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
    with database.transaction() as connection:
        without_guards(connection)
        for statement in attack.split("; "):
            connection.execute(text(statement))
        compute_again(connection)
    with database.transaction() as connection:
        assert not audit.bind(connection)
        assert audit.verify(connection).broken_at is not None


def test_rows_cut_with_the_head_put_back_are_missed(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(5))
        without_guards(connection)
        connection.execute(text("DELETE FROM sync.audit_details WHERE id > 3"))
        connection.execute(text("DELETE FROM sync.audit_logs WHERE id > 3"))
        last = "(SELECT hash FROM sync.audit_logs WHERE id = 3)"
        connection.execute(text(f"UPDATE sync.audit_head SET number = 3, hash = {last}"))
        assert audit.verify(connection).broken_at == 4


def test_an_anchor_misses_what_was_put_back_to_an_earlier_state_as_a_whole(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(3))
        connection.execute(text("CREATE TABLE public.kept AS TABLE sync.audit_head"))
        audit.append(connection, events(2))
        anchor = audit.anchor(connection)
        assert anchor is not None
        assert audit.verify(connection, [anchor]).broken_at is None
        without_guards(connection)
        connection.execute(text("DELETE FROM sync.audit_details WHERE id > 3"))
        connection.execute(text("DELETE FROM sync.audit_logs WHERE id > 3"))
        connection.execute(
            text("UPDATE sync.audit_head h SET number = k.number, hash = k.hash, seal = k.seal FROM public.kept k")
        )
        connection.execute(text("DROP TABLE public.kept"))
        assert audit.verify(connection).broken_at is None
        assert audit.verify(connection, [anchor]).broken_at == 4
        audit.append(connection, events(2))
        found = audit.verify(connection, [anchor])
    assert (found.broken_at, found.problem) == (5, "it differs from the row that an anchor names")


def opened(database: Database, *keys: bytes) -> Database:
    return Database(database.engine.url.render_as_string(hide_password=False), keys)


def test_after_a_change_of_the_key_the_old_one_is_no_longer_needed(database: Database) -> None:
    old, new = bytes(32), bytes([1] * 32)
    with database.transaction() as connection:
        audit.append(connection, events(3))
    both, alone = opened(database, new, old), opened(database, new)
    with alone.transaction() as connection:
        found = audit.verify(connection)
    assert (found.broken_at, "missing in ZK_ENCRYPTION_KEY" in found.problem) == (1, True)
    with both.transaction() as connection:
        assert audit.bind(connection)
    with alone.transaction() as connection:
        audit.append(connection, events(1))
        assert audit.verify(connection).broken_at is None
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_logs SET actor = 'user:9' WHERE id = 2"))
        assert audit.verify(connection).broken_at == 1
    both.close()
    alone.close()


def test_rows_from_before_there_was_a_key_verify_once_one_vouches_for_them(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(4))
        without_guards(connection)
        compute_again(connection)
        connection.execute(text("UPDATE sync.audit_head SET seal = ''"))
        connection.execute(text("DELETE FROM sync.audit_details WHERE id = 2"))
    # The tables as they were before: rows that anybody can hash.
    with database.transaction() as connection:
        legacy = connection.execute(text("SELECT count(*) FROM sync.audit_logs")).scalar_one()
        assert audit.verify(connection).broken_at == 1
        assert not audit.bind(connection)
        assert audit.bind(connection, upgrade=True)
        found = audit.verify(connection)
    assert (legacy, found.rows, found.broken_at) == (4, 6, None)
    with database.transaction() as connection:
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_logs SET actor = 'user:9' WHERE id = 3"))
        compute_again(connection)
        assert audit.verify(connection).broken_at == 1


def test_a_broken_trail_is_not_vouched_for(database: Database) -> None:
    with database.transaction() as connection:
        audit.append(connection, events(4))
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_logs SET actor = 'user:9' WHERE id = 2"))
    both = opened(database, bytes([1] * 32), bytes(32))
    with both.transaction() as connection:
        assert not audit.bind(connection)
        assert audit.verify(connection).broken_at == 2
    both.close()


def test_writers_at_once_make_one_chain(database: Database) -> None:
    def write(_: int) -> None:
        with database.transaction() as connection:
            audit.append(connection, events(4))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    with database.transaction() as connection:
        found = audit.verify(connection)
    assert (found.rows, found.broken_at) == (32, None)
