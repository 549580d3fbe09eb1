"""Mappings: what was written for agents of one source says nothing about those of another."""

from sqlalchemy import insert

from zk_pipeline.domain.mapping_lines import UserMapping
from zk_pipeline.store import mappings
from zk_pipeline.store.database import Database
from zk_pipeline.store.tables import carried_agents


def test_agents_of_two_sources_with_one_id_are_two_people(database: Database) -> None:
    with database.transaction() as connection:
        for source, user in (("zammad", 10), ("jira", 11)):
            connection.execute(insert(carried_agents).values(source=source, agent_id="7", kimai_user_id=user))
        assert mappings.load(connection, "zammad").carried == {"7": 10}
        assert set(mappings.carried_since(connection, "jira", ["7"])) == {("7", 11)}
        mapped = [UserMapping("7", 12)]
        mappings.change(connection, mapped, actor="tests", source="jira", target="kimai")
        assert mappings.load(connection, "jira").carried == {}
        assert mappings.load(connection, "zammad").carried == {"7": 10}
        connection.rollback()
