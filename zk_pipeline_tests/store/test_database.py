"""Transactions, locks between processes and set-wise writes."""

import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from zk_pipeline.store.database import Database, DatabaseUnavailableError, among, not_among, upsert
from zk_pipeline.store.raw_tables import activities
from zk_pipeline.store.tables import day_requests, pushes


def activity(number: int, name: str) -> dict[str, object]:
    return {"connector": "kimai", "id": number, "name": name, "number": None, "project_id": None, "visible": True}


def test_rows_are_inserted_or_updated_by_their_key(database: Database) -> None:
    with database.transaction() as connection:
        upsert(connection, activities, [activity(1, "Support"), activity(2, "Travel")])
        upsert(connection, activities, [activity(2, "Driving"), activity(3, "Project")])
        names = connection.execute(select(activities.c.name).order_by(activities.c.id)).scalars().all()
    assert names == ["Support", "Driving", "Project"]


def test_kept_columns_stay_and_added_columns_add_up(database: Database) -> None:
    row = {
        "connector": "kimai",
        "source_id": "6",
        "state": "intended",
        "operation": "create",
        "entry_date": date(2025, 8, 16),
        "payload_hash": "a",
        "asked": {"seconds": 900},
        "attempts": 1,
        "run_id": "first",
    }
    with database.transaction() as connection:
        upsert(connection, pushes, [row])
        upsert(
            connection, pushes, [{**row, "asked": {"seconds": 1}, "run_id": "second"}], keep=["asked"], add=["attempts"]
        )
        stored = connection.execute(select(pushes.c.asked, pushes.c.attempts, pushes.c.run_id)).one()
    assert tuple(stored) == ({"seconds": 900}, 2, "second")


def test_unchanged_rows_are_not_written_again(database: Database) -> None:
    with database.transaction() as connection:
        upsert(connection, activities, [activity(1, "Support"), activity(2, "Travel")], only_if_changed=True)
        written = upsert(connection, activities, [activity(1, "Support"), activity(2, "Driving")], only_if_changed=True)
    assert written == 1


@pytest.mark.parametrize("name", ['O\'Brien "quoted"', "back\\slash", "emoji 🚀", "right-to-left שלום", "line\nbreak"])
def test_texts_survive_the_way_through_the_database(database: Database, name: str) -> None:
    with database.transaction() as connection:
        upsert(connection, activities, [activity(1, name)])
        assert connection.execute(select(activities.c.name)).scalar_one() == name


def test_amounts_and_instants_stay_exact(database: Database) -> None:
    with database.transaction() as connection:
        exact = connection.execute(
            text("SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(minutes numeric, at timestamptz)"),
            {"rows": '[{"minutes": "0.1234", "at": "2025-10-26T02:30:00+01:00"}]'},
        ).one()
    assert exact.minutes == Decimal("0.1234")
    assert exact.at == datetime(2025, 10, 26, 1, 30, tzinfo=UTC)


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def half_done() -> None:
        with database.transaction() as connection:
            upsert(connection, activities, [activity(1, "Support")])
            raise LookupError

    with pytest.raises(LookupError):
        half_done()
    with database.transaction() as connection:
        assert connection.execute(select(activities)).all() == []


def test_a_lock_is_held_by_one_at_a_time(database: Database) -> None:
    entered, order = threading.Event(), []

    def second() -> None:
        entered.wait()
        with database.lock("b", "a"):
            order.append("second")

    with database.lock("a", "b"):
        thread = threading.Thread(target=second)
        thread.start()
        entered.set()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_was_lost_with_its_connection_is_noticed(database: Database) -> None:
    def lose(database: Database) -> None:
        with database.lock("a") as held:
            held.require()
            with database.transaction() as connection:
                ours = "locktype = 'advisory' AND datname = current_database()"
                locks = f"pg_locks JOIN pg_database ON pg_database.oid = database WHERE {ours}"
                connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM {locks}"))
            held.require()

    with pytest.raises(DatabaseUnavailableError, match="ended the connection"):
        lose(database)
    with database.lock("a") as held:
        held.require()


def test_a_database_that_does_not_answer_is_named_with_the_remedy_and_without_the_password() -> None:
    database = Database("postgresql+psycopg://zk:secret@127.0.0.1:1/zk?connect_timeout=2")

    def connect() -> None:
        with database.transaction():
            pass

    with pytest.raises(DatabaseUnavailableError, match="correct ZK_DATABASE_URL") as raised:
        connect()
    assert "secret" not in str(raised.value)


def test_a_lost_connection_heals_with_the_next_transaction(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(select(day_requests))
    other = Database(database.engine.url.render_as_string(hide_password=False))
    with other.transaction() as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    other.close()
    with database.transaction() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_value_is_among_others_or_not(database: Database) -> None:
    with database.transaction() as connection:
        upsert(connection, activities, [activity(number, "Support") for number in (1, 2, 3)])
        number = activities.c.id
        found = [
            connection.execute(select(number).where(condition).order_by(number)).scalars().all()
            for condition in (
                among(number, {1, 3}),
                among(number, ()),
                not_among(number, [1, 3]),
                not_among(number, ()),
            )
        ]
    assert found == [[1, 3], [], [2], [1, 2, 3]]
