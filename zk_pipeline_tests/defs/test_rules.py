"""Rules over the tickets of Zammad, and what a change of them asks for."""

from dataclasses import replace

import pytest

from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline_tests.defs.world import World


def test_a_group_decides_the_customer_and_a_field_the_activity(
    surroundings: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    surroundings.setenv("ZK_ACTIVITY_RULES", "field:priority, type")
    surroundings.setenv("ZK_CUSTOMER_RULES", "group, organization")
    world: World = request.getfixturevalue("world")
    booking = world.desk.book(60)
    world.sync()
    assert world.reasons() == ["unmapped_activity"]
    kind = world.value("SELECT activity_type_id FROM sync.normalized_entries")
    assert kind.startswith("field:")
    world.execute(
        "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (:kind, :activity)",
        kind=kind,
        activity=world.office.activity,
    )
    world.sync()
    [sheet] = world.office.rows
    tables = world.office.server.kimai.tables
    customer = tables["customers"].rows[tables["projects"].rows[sheet.project].customer]
    group = next(iter(world.desk.server.state.groups.values()))
    assert customer.name == group.name
    assert world.value("SELECT trace->>'organization_id' FROM sync.normalized_entries") == "by the ticket's group"
    assert booking


def test_changed_rules_stop_until_what_is_stored_was_derived_again(world: World) -> None:
    world.desk.book(60)
    world.sync()
    runtime = world.environment.runtime
    world.execute("UPDATE sync.decided_settings SET value = value - 'activity_rules' - 'customer_rules'")
    runtime.require_decided()  # Recorded before there were rules.
    changed = replace(runtime, settings=runtime.settings.model_copy(update={"customer_rules": "group"}))
    with pytest.raises(SetupError, match="ZK_CUSTOMER_RULES was 'organization' and is 'group'"):
        changed.require_decided()
