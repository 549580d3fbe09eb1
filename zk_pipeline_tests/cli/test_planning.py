"""A plan that a person asks for is made by Dagster's own processes, as `zk up` runs them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

from pydantic import SecretStr
from sqlalchemy import text

from zk_pipeline.decisions import plans
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate import runs
from zk_pipeline.operate.runs import KeyedRequest, StartedRun
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.dagster_server import dagster_server
from zk_pipeline.runtime.run_tags import ACTOR_TAG
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.encryption import TokenCipher
from zk_pipeline_tests.cli.conftest import ZONE, Home, Sandbox
from zk_pipeline_tests.cli.test_up import free_port, zk_up

DAY = date(2025, 10, 14)
OPERATOR = Actor("user:1", Role.OPERATOR)
SECONDS_TO_PLAN = 120


def test_a_plan_is_made_by_a_run_of_its_own_and_writes_nothing(zk_home: Home, sandbox: Sandbox) -> None:
    with zk_up(zk_home.path, zk_home.variables, free_port()) as up, zk_home.database() as database:
        up.wait_for("Press Ctrl-C")
        key = zk_home.variables["ZK_ENCRYPTION_KEY"]
        settings = Settings(timezone=ZONE, dagster_address=up.url, encryption_key=SecretStr(key))
        runtime = Runtime(settings, database, TokenCipher(key))

        def launched(_: int) -> tuple[StartedRun, ...]:
            with runs.act_context(KeyedRequest(OPERATOR, "a-key", "", b"")):
                return plans.launch(runtime, OPERATOR, DAY, DAY)

        with ThreadPoolExecutor(4) as pool:
            answers = set(pool.map(launched, range(4)))
        ((started,),) = answers  # One act starts one run, however often it is asked for at once.
        with database.transaction() as connection:
            connection.execute(text("UPDATE sync.launched_runs SET run_id = NULL"))
        assert launched(0) == (started,), "after a lost answer it is found by its key"
        assert dagster_server(runtime).run_with_tag(ACTOR_TAG, OPERATOR.name) == started.run_id
        assert started.url == f"{up.url}/runs/{started.run_id}"
        assert wait_until(
            lambda: runs.statuses(runtime, [started.run_id])[started.run_id] in {"success", "failure"}, SECONDS_TO_PLAN
        )
        run = runs.one(runtime, started.run_id)
        assert (run.status, run.first, run.last, run.carried_out) == ("success", DAY, DAY, False)
        assert plans.stored_plan(runtime, DAY, DAY, 10, 0).planned_days == 1
    assert sandbox.kimai.requests().writes == 0
