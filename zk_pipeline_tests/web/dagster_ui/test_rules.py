"""What each role may do through GraphQL: every mutation of the installed Dagster, and every way around the tags."""

from functools import cache
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLSchema, OperationType

from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.web.dagster_ui.rules import JUDGED, MUTATIONS, SUBSCRIPTIONS, Judged, RefusedError, judged

JOBS = {"run-of-sync": "sync", "run-of-undo": "undo", "run-of-backup": "backup"}
OF_OPERATORS = {
    "launchRun",
    "launchPipelineExecution",
    "launchMultipleRuns",
    "launchRunReexecution",
    "launchPipelineReexecution",
    "launchPartitionBackfill",
    "reexecutePartitionBackfill",
    "resumePartitionBackfill",
    "cancelPartitionBackfill",
    "terminateRun",
    "terminateRuns",
    "terminatePipelineExecution",
}
LAUNCH = "mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }"
# As Dagster's pages write it, which send one of both.
AGAIN = """mutation ($e: ExecutionParams, $p: ReexecutionParams) {
  launchRunReexecution(executionParams: $e, reexecutionParams: $p) { __typename } }"""
BACKFILL = "mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename } }"
OURS = {"repositoryLocationName": "zk_pipeline", "repositoryName": "__repository__"}
WHO = {"key": "zk/actor", "value": "user:7"}

HIDDEN_MUTATIONS = [
    "mutation { __typename wipeAssets(assetPartitionRanges: []) { __typename } }",
    "mutation { harmless: wipeAssets(assetPartitionRanges: []) { __typename } }",
    "mutation { setNuxSeen wipeAssets(assetPartitionRanges: []) { __typename } }",
    "mutation ($no: Boolean!) { wipeAssets(assetPartitionRanges: []) @skip(if: $no) { __typename } }",
    "mutation { ...hidden } fragment hidden on Mutation { wipeAssets(assetPartitionRanges: []) { __typename } }",
    "mutation { ... { wipeAssets(assetPartitionRanges: []) { __typename } } }",
    "query ok { version } mutation bad { wipeAssets(assetPartitionRanges: []) { __typename } }",
    'subscription { pipelineRunLogs(runId: "1") { __typename } }',
    "type Query { a: Int }",
    "not graphql",
    "{" * 5000,
    "query { version " + "a " * 30_000 + "}",
]
"""Each is refused for an operator."""

SCHEMA_QUERIES = (
    "{ __schema { types { name } } }",
    '{ version a: __type(name: "Run") { name } }',
    "{ ...f } fragment f on Query { __schema { types { name } } }",
)


@cache
def schema() -> GraphQLSchema:
    """The schema of the installed Dagster."""
    from dagster_graphql.schema import create_schema  # noqa: PLC0415 (two seconds in each process that collects tests)

    return create_schema().graphql_schema


def mutations() -> dict[str, GraphQLField]:
    found = schema().mutation_type
    assert found is not None
    return found.fields


def judge(role: Role, query: str, kind: OperationType | None = None, **variables: Any) -> Judged:
    return judged(Actor("user:7", role), {"query": query, "variables": variables}, JOBS.get, kind)


def execution(job: str = "sync", tags: Any = None, **more: Any) -> dict[str, Any]:
    return {"selector": {**OURS, "jobName": job}, "executionMetadata": {"tags": tags}, **more}


def tags_of(found: Judged, *path: str) -> Any:
    value: Any = found.content["variables"]["p"]
    for name in path or ("executionMetadata", "tags"):
        value = value[name]
    return value


def called(name: str) -> tuple[str, dict[str, Any]]:
    """A call of a mutation with what it minimally needs, each argument a variable."""
    values = {
        "ExecutionParams": execution(),
        "[ExecutionParams": [execution()],
        "ReexecutionParams": {"parentRunId": "run-of-sync", "strategy": "ALL_STEPS"},
        "LaunchBackfillParams": {"assetSelection": [{"path": ["sync", "kimai_pushes"]}]},
    }
    arguments = {key: str(argument.type) for key, argument in mutations()[name].args.items()}
    declared = ", ".join(f"${key}: {kind}" for key, kind in arguments.items())
    passed = ", ".join(f"{key}: ${key}" for key in arguments)
    query = (
        f"mutation {f'({declared})' if declared else ''} {{ {name}{f'({passed})' if passed else ''} {{ __typename }} }}"
    )
    if name in {"launchRunReexecution", "launchPipelineReexecution"}:
        query = query.replace("executionParams: $executionParams, ", "")
    return query, {key: values.get(kind.rstrip("!]"), "any") for key, kind in arguments.items()}


def may(role: Role, name: str) -> bool:
    query, variables = called(name)
    try:
        judge(role, query, **variables)
    except RefusedError as error:
        if f"{name} needs the role" in str(error):
            return False
        raise
    return True


def test_the_rules_name_every_mutation_and_subscription_of_the_installed_dagster() -> None:
    found = schema().subscription_type
    assert found is not None
    assert set(MUTATIONS) == set(mutations()), "Dagster has changed: decide who may do what is new."
    assert set(found.fields) == SUBSCRIPTIONS


def test_what_launches_takes_tags_in_the_arguments_that_are_judged() -> None:
    launching = {
        name
        for name, field in mutations().items()
        if JUDGED & set(field.args) or "ExecutionTag" in str([str(a.type) for a in field.args.values()])
    }
    assert launching == {name for name in OF_OPERATORS if "aunch" in name or name == "reexecutePartitionBackfill"}


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_each_mutation_is_for_the_roles_that_may_do_it(name: str) -> None:
    assert not may(Role.VIEWER, name)
    assert may(Role.OPERATOR, name) == (name in OF_OPERATORS)
    assert may(Role.ADMIN, name)


@pytest.mark.parametrize("role", Role)
def test_a_mutation_that_is_not_known_is_refused_for_everybody(role: Role) -> None:
    with pytest.raises(RefusedError, match="The mutation dropEverything is not known here, so nobody may do it"):
        judge(role, "mutation { dropEverything { ok } }")


@pytest.mark.parametrize("query", HIDDEN_MUTATIONS)
def test_no_spelling_hides_a_mutation(query: str) -> None:
    with pytest.raises(RefusedError):
        judge(Role.OPERATOR, query)


@pytest.mark.parametrize(
    "sent", [[{"query": "{version}"}], "{version}", {"query": 1}, {"query": "{v}", "variables": "{}"}]
)
def test_what_is_no_single_operation_is_refused(sent: Any) -> None:
    with pytest.raises(RefusedError):
        judged(Actor("user:7", Role.ADMIN), sent, JOBS.get)


def test_viewers_read() -> None:
    query = "query ($id: ID!) { runOrError(runId: $id) { ...r } } fragment r on Run { status }"
    assert judge(Role.VIEWER, query, id="1").content == {"query": query, "variables": {"id": "1"}}


@pytest.mark.parametrize("query", SCHEMA_QUERIES)
def test_the_schema_is_told_to_nobody(query: str) -> None:
    with pytest.raises(RefusedError, match="The schema is not available here"):
        judge(Role.ADMIN, query)


def test_the_socket_takes_the_known_subscriptions_alone() -> None:
    logs = 'subscription { pipelineRunLogs(runId: "1") { __typename } }'
    assert judge(Role.VIEWER, logs, OperationType.SUBSCRIPTION).content["query"] == logs
    for query in ("subscription { everything }", "{ version }", "mutation { reloadWorkspace { __typename } }"):
        with pytest.raises(RefusedError):
            judge(Role.ADMIN, query, OperationType.SUBSCRIPTION)


@pytest.mark.parametrize("job", ["sync", "plan", "deep_check", "marts", "__ASSET_JOB"])
def test_operators_launch_the_jobs_of_the_chain_and_are_named_in_the_tags(job: str) -> None:
    found = judge(Role.OPERATOR, LAUNCH, p=execution(job, [{"key": "team", "value": "a"}]))
    assert tags_of(found) == [{"key": "team", "value": "a"}, WHO]
    assert found.acts == [("launchRun", job)]


@pytest.mark.parametrize(
    "job", ["undo", "tag_billed", "mend", "apply_retention", "backup", "rehearse_backup", "verify_audit"]
)
@pytest.mark.parametrize("name", ["jobName", "pipelineName"])
def test_operators_launch_no_job_of_admins(job: str, name: str) -> None:
    with pytest.raises(RefusedError, match=f"The job {job} is not for operators"):
        judge(Role.OPERATOR, LAUNCH, p={"selector": {**OURS, name: job}})


def test_a_job_is_named_once_and_is_ours() -> None:
    for selector in (
        {**OURS, "jobName": "sync", "pipelineName": "undo"},
        {**OURS},
        {**OURS, "repositoryName": "other", "jobName": "sync"},
        {**OURS, "repositoryLocationName": "other", "jobName": "sync"},
    ):
        with pytest.raises(RefusedError):
            judge(Role.ADMIN, LAUNCH, p={"selector": selector})


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
@pytest.mark.parametrize(
    "tags",
    [
        [{"key": "zk/override-limits", "value": "yes"}],
        {"key": "zk/override-limits", "value": "yes"},
        [{"key": "zk/actor", "value": "user:1"}],
        [{"key": "zk/request", "value": "taken from another run"}],
        [{"key": "zk/target", "value": "other"}],
    ],
)
def test_our_tags_are_not_set_from_outside(role: Role, tags: Any) -> None:
    with pytest.raises(RefusedError, match=r"The tag zk/.* cannot be set from outside"):
        judge(role, LAUNCH, p=execution(tags=tags))
    with pytest.raises(RefusedError, match=r"The tag zk/.* cannot be set from outside"):
        judge(role, BACKFILL, p={"assetSelection": [], "tags": tags})


def test_a_literal_and_a_default_cannot_slip_past_the_tags() -> None:
    literal = "mutation { launchRun(executionParams: {executionMetadata: {tags: []}}) { __typename } }"
    default = LAUNCH.replace("ExecutionParams!)", "ExecutionParams! = {executionMetadata: {tags: []}})")
    nested = "mutation ($s: JobOrPipelineSelector!) { launchRun(executionParams: {selector: $s}) { __typename } }"
    for query in (literal, default, nested):
        with pytest.raises(RefusedError, match="executionParams is not a variable"):
            judge(Role.ADMIN, query, p=execution(), s={})


def test_whoever_runs_something_again_is_named_and_copies_none_of_our_tags() -> None:
    copied = [
        {"key": "zk/override-limits", "value": "yes"},
        {"key": "zk/actor", "value": "user:1"},
        {"key": "a", "value": "b"},
    ]
    found = judge(Role.OPERATOR, AGAIN, p={"parentRunId": "run-of-sync", "extraTags": copied})
    assert tags_of(found, "extraTags") == [{"key": "a", "value": "b"}, WHO]
    found = judge(Role.OPERATOR, LAUNCH, p=execution() | {"executionMetadata": {"parentRunId": "x", "tags": copied}})
    assert tags_of(found) == [{"key": "a", "value": "b"}, WHO]


def test_a_run_of_an_admins_job_is_not_run_again_by_operators_nor_what_takes_a_request_by_anybody() -> None:
    with pytest.raises(RefusedError, match="The job backup is not for operators"):
        judge(Role.OPERATOR, AGAIN, p={"parentRunId": "run-of-backup"})
    assert judge(Role.ADMIN, AGAIN, p={"parentRunId": "run-of-backup"}).acts == [
        ("launchRunReexecution", "run-of-backup")
    ]
    with pytest.raises(RefusedError, match="A run of undo is asked for by a person each time"):
        judge(Role.ADMIN, AGAIN, p={"parentRunId": "run-of-undo"})


def test_operators_backfill_assets_and_the_jobs_of_the_chain() -> None:
    assets = judge(Role.OPERATOR, BACKFILL, p={"assetSelection": [{"path": ["sync", "kimai_pushes"]}]})
    assert tags_of(assets, "tags") == [WHO]
    selector = {"partitionSetName": "sync_partition_set", "repositorySelector": OURS}
    assert judge(Role.OPERATOR, BACKFILL, p={"selector": selector}).acts == [
        ("launchPartitionBackfill", "sync_partition_set")
    ]
    with pytest.raises(RefusedError, match="not for operators"):
        judge(Role.OPERATOR, BACKFILL, p={"selector": {**selector, "partitionSetName": "backup_partition_set"}})


def test_runs_that_are_cancelled_are_told_so_that_their_days_are_held_in_the_name() -> None:
    found = judge(Role.OPERATOR, "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }", id="1")
    assert (found.cancelled, found.acts) == (["1"], [("terminateRun", "1")])
    found = judge(Role.OPERATOR, "mutation ($ids: [String!]!) { terminateRuns(runIds: $ids) { __typename } }", ids="2")
    assert found.cancelled == ["2"]


def test_what_admins_launch_of_the_jobs_that_take_a_request_is_told() -> None:
    for config in ({"ops": {"take_back": {"config": {"run_id": "abc"}}}}, "ops: {take_back: {config: {run_id: abc}}}"):
        (request,) = judge(Role.ADMIN, LAUNCH, p=execution("undo", runConfigData=config)).requests
        assert (request.job, request.about) == ("undo", "abc")
    with pytest.raises(RefusedError, match="names no run to undo"):
        judge(Role.ADMIN, LAUNCH, p=execution("undo"))
    (request,) = judge(Role.ADMIN, LAUNCH, p=execution("apply_retention")).requests
    assert (request.job, request.about) == ("apply_retention", "")
