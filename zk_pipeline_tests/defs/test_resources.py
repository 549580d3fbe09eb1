"""The resources of Dagster, in an asset that somebody writes beside ours."""

import dagster as dg
import pytest

from zk_pipeline.defs.resources import DatabaseResource, KimaiResource, ZammadResource, resources_of_settings
from zk_pipeline_tests.defs.world import World

pytestmark = pytest.mark.dagster


def test_an_asset_of_ones_own_reads_both_systems_and_the_database(world: World) -> None:
    world.sync()
    before = world.desk.control.requests().reads, world.office.control.requests().reads

    @dg.asset
    def mine(database: DatabaseResource, zammad: ZammadResource, kimai: KimaiResource) -> dg.MaterializeResult:
        with zammad.connector() as source, kimai.connector() as target:
            types = source.fetch_types().activity_types
            users = target.fetch_directory().users
        with database.runtime.database.transaction() as connection:
            entries = connection.exec_driver_sql("SELECT count(*) FROM sync.normalized_entries").scalar()
        return dg.MaterializeResult(metadata={"types": len(types), "users": len(users), "entries": entries})

    with dg.DagsterInstance.get() as instance:
        done = dg.materialize([mine], resources=resources_of_settings(), instance=instance)
    (event,) = done.asset_materializations_for_node("mine")
    assert (event.metadata["types"].value, event.metadata["users"].value) == (1, 3)
    after = world.desk.control.requests().reads, world.office.control.requests().reads
    assert after > before


def test_no_resource_shows_a_password(world: World) -> None:
    secret = world.environment.runtime.settings
    assert secret.database_url is not None
    shown = repr(resources_of_settings())
    assert "/zk" in resources_of_settings()["database"].address
    for value in (secret.database_url, secret.zammad_token, secret.kimai_token):
        assert value.get_secret_value() not in shown
