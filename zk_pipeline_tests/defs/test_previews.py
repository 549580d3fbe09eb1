"""What Dagster keeps of a run names people, customers and tickets in previews alone, and there only if it may."""

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.privacy import erasure
from zk_pipeline_tests.defs.test_erasure import EMAIL, NAME, furnish
from zk_pipeline_tests.defs.world import World, at

pytestmark = pytest.mark.dagster

TITLES = ("Printer is out of paper", "VPN is slow")
OTHERS = ("Acme", "Globex", "stranger@example.com", "Carl Stranger")


def kept_by_dagster(world: World) -> str:
    """All text in Dagster's database, as it was meant before it was escaped."""
    url = make_url(world.environment.variables["ZK_DAGSTER_URL"]).set(drivername="postgresql")
    columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
    columns += "AND udt_name IN ('text', 'varchar', 'json', 'jsonb')"
    texts: list[str] = []
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        for table, column in connection.execute(columns).fetchall():
            query = sql.SQL("SELECT {}::text FROM {}").format(sql.Identifier(column), sql.Identifier(table))
            texts += [value for (value,) in connection.execute(query) if value]
    return "\n".join(texts).encode().decode("unicode_escape", errors="replace")


def named_in(kept: str) -> set[str]:
    return {name for name in (EMAIL, NAME, *TITLES, *OTHERS) if name in kept}


@pytest.mark.parametrize("settings", [{"ZK_PREVIEW_NAMES": "false"}], indirect=True)
def test_without_names_in_previews_dagster_keeps_none(world: World) -> None:
    furnish(world)
    stranger = world.desk.server.add_agent("stranger@example.com", firstname="Carl Stranger")
    world.desk.agents["carl"] = stranger
    world.desk.book(10, at("13:00"), agent="carl")
    for _ in range(2):  # The first one finds no time sheets yet.
        world.sync()
    assert "unmapped_user" in world.reasons()
    kept = kept_by_dagster(world)
    assert "(hidden)" in kept
    assert named_in(kept) == set()


def test_with_names_in_previews_dagster_shows_what_people_look_for(world: World) -> None:
    furnish(world)
    for _ in range(2):
        world.sync()
    assert {EMAIL, NAME} <= named_in(kept_by_dagster(world))


def test_an_erased_person_is_named_in_no_record_of_dagster(world: World) -> None:
    furnish(world)
    for _ in range(2):
        world.sync()
    runtime = world.environment.runtime
    plan = erasure.plan_erasure(runtime, EMAIL)
    assert "dagster.event_logs" in {line.table for line in plan.lines}
    erasure.erase(runtime, EMAIL, plan.hash, Actor("cli:root", Role.ADMIN))
    assert {EMAIL, NAME} & named_in(kept_by_dagster(world)) == set()
    assert "Call person-" in world.metadata(["kimai", "timesheets"])["preview"]
