"""What each role may do through Dagster's GraphQL, decided on the parsed operation; anything not listed is refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    parse,
    visit,
)

from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.runtime.dagster_server import LOCATION, REPOSITORY
from zk_pipeline.runtime.run_tags import ACTOR_TAG, OUR_TAGS, REQUESTED_JOBS, UNDO_JOB, UNDO_STEP

MOST_TOKENS = 20_000
"""Of one document; the largest of Dagster's own pages has a tenth of that."""

MUTATIONS: Mapping[str, Role] = {
    "launchRun": Role.OPERATOR,
    "launchPipelineExecution": Role.OPERATOR,
    "launchMultipleRuns": Role.OPERATOR,
    "launchRunReexecution": Role.OPERATOR,
    "launchPipelineReexecution": Role.OPERATOR,
    "launchPartitionBackfill": Role.OPERATOR,
    "reexecutePartitionBackfill": Role.OPERATOR,
    "resumePartitionBackfill": Role.OPERATOR,
    "cancelPartitionBackfill": Role.OPERATOR,
    "terminateRun": Role.OPERATOR,
    "terminateRuns": Role.OPERATOR,
    "terminatePipelineExecution": Role.OPERATOR,
    "addDynamicPartition": Role.ADMIN,
    "deleteAppManagedComponent": Role.ADMIN,
    "deleteConcurrencyLimit": Role.ADMIN,
    "deleteDynamicPartitions": Role.ADMIN,
    "deletePipelineRun": Role.ADMIN,
    "deleteRun": Role.ADMIN,
    "freeConcurrencySlots": Role.ADMIN,
    "freeConcurrencySlotsForRun": Role.ADMIN,
    "logTelemetry": Role.ADMIN,
    "refreshComponentState": Role.ADMIN,
    "reloadRepositoryLocation": Role.ADMIN,
    "reloadWorkspace": Role.ADMIN,
    "reportAssetCheckEvaluations": Role.ADMIN,
    "reportRunlessAssetEvents": Role.ADMIN,
    "resetSchedule": Role.ADMIN,
    "resetSensor": Role.ADMIN,
    # A dry run evaluates the sensor, and ours record what they see.
    "scheduleDryRun": Role.ADMIN,
    "sensorDryRun": Role.ADMIN,
    "setAppManagedComponent": Role.ADMIN,
    "setAutoMaterializePaused": Role.ADMIN,
    "setConcurrencyLimit": Role.ADMIN,
    "setNuxSeen": Role.ADMIN,
    "setSensorCursor": Role.ADMIN,
    "shutdownRepositoryLocation": Role.ADMIN,
    "startSchedule": Role.ADMIN,
    "startSensor": Role.ADMIN,
    "stopRunningSchedule": Role.ADMIN,
    "stopSensor": Role.ADMIN,
    "wipeAssets": Role.ADMIN,
}
"""Every mutation of the installed Dagster, and the role that it takes."""

SUBSCRIPTIONS = frozenset({"pipelineRunLogs", "capturedLogs", "locationStateChangeEvents"})
"""The subscriptions that the websocket takes, from everybody who is signed in."""

JOBS_OF_OPERATORS = frozenset({"sync", "plan", "deep_check", "marts", "__ASSET_JOB"})
"""The jobs that operators launch; the last is Dagster's own, by which assets are materialized and checked."""

JUDGED = frozenset({"executionParams", "executionParamsList", "reexecutionParams", "backfillParams"})
"""The arguments that launch something; each is judged, and takes the tags of ours."""

_BACKFILLED = frozenset(f"{job}_partition_set" for job in JOBS_OF_OPERATORS)
_CANCELLING = frozenset({"terminateRun", "terminateRuns", "terminatePipelineExecution"})
_IN_CONSOLE = "An admin does it in the console or with `zk`"


JobOf = Callable[[str], str | None]
"""The job of a run, by its id; `None` for a run that is not there."""


class RefusedError(Exception):
    """An operation that may not be done; the message says why and what to do instead.

    `field` is the mutation that was refused, by its name in the answer; empty where it is the whole operation.
    """

    field = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of ours that a launched run needs: for this job, about this (`store/runs.py`)."""

    job: str
    about: str
    tags: list[dict[str, Any]]
    """Where the request is to be added."""


@dataclass(slots=True)
class Judged:
    """An operation that may be done: what goes on to Dagster, and what it means for our own tables.

    `acts` are its mutations, each with what it is about; `cancelled` are the runs that it has stopped.
    """

    content: dict[str, Any]
    acts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    cancelled: list[str] = field(default_factory=list[str])
    requests: list[Request] = field(default_factory=list[Request])


def judged(actor: Actor, sent: Any, job_of: JobOf, kind: OperationType | None = None) -> Judged:
    """An operation that somebody sends, with their name in the tags of what it launches.

    `sent` is JSON that was read: `query`, and perhaps `variables`. With `kind` given it must be of that kind, else a
    query or a mutation. Raises `RefusedError`.
    """
    query, variables = _parts(sent)
    operation = _operation(query)
    if operation.operation is not kind if kind else operation.operation is OperationType.SUBSCRIPTION:
        wanted = kind.value if kind else "query or mutation"
        raise RefusedError(f"Here only a {wanted} is taken, and this is a {operation.operation.value}.")
    found = Judged({"query": query, "variables": variables})
    if operation.operation is OperationType.QUERY:
        return found
    for selected in operation.selection_set.selections:
        if not isinstance(selected, FieldNode):
            raise RefusedError("A fragment stands at the top. Write the fields of the operation there themselves.")
        name = selected.name.value
        if operation.operation is OperationType.SUBSCRIPTION:
            if name not in SUBSCRIPTIONS | {"__typename"}:
                raise RefusedError(f"The subscription {name} is not known here.")
        elif name != "__typename":
            try:
                _Judge(actor, operation, variables, job_of, found).mutation(selected)
            except RefusedError as error:
                error.field = selected.alias.value if selected.alias else name
                raise
    return found


class _Judge:
    """Judges the mutations of one operation; what is launched is changed where it stands in the variables."""

    def __init__(
        self,
        actor: Actor,
        operation: OperationDefinitionNode,
        variables: dict[str, Any],
        job_of: JobOf,
        found: Judged,
    ) -> None:
        self._actor, self._variables, self._job_of, self._found = actor, variables, job_of, found
        self._with_default = {
            definition.variable.name.value
            for definition in operation.variable_definitions or ()
            if definition.default_value is not None
        }

    def mutation(self, asked: FieldNode) -> None:
        """Raise `RefusedError` unless the actor may do it."""
        name = asked.name.value
        if name not in MUTATIONS:
            raise RefusedError(f"The mutation {name} is not known here, so nobody may do it.")
        if not self._actor.role.covers(MUTATIONS[name]):
            raise RefusedError(
                f"{name} needs the role {MUTATIONS[name]}; you have {self._actor.role}. Ask an admin to do it or for "
                "the role."
            )
        about: list[str] = []
        for argument in asked.arguments:
            given = argument.name.value
            if given in JUDGED or (name in _CANCELLING and given in {"runId", "runIds"}):
                value = self._value(argument.value, given)
                if value is not None:  # Dagster's pages write both forms of an argument, and send one.
                    about += self._argument(given, value, again="Reexecution" in name)
        self._found.acts.append((name, ", ".join(about)))

    def _argument(self, given: str, value: Any, *, again: bool) -> list[str]:
        """What an argument is about, with our tags in what it launches."""
        if given in {"runId", "runIds"}:
            ids = [str(run) for run in _listed(value)]
            self._found.cancelled += ids
            return ids
        if given == "executionParamsList":
            return [job for params in _listed(value) for job in self._launch(_as_object(params, given), again=again)]
        params = _as_object(value, given)
        if given == "executionParams":
            return self._launch(params, again=again)
        return self._launch_again(params) if given == "reexecutionParams" else self._backfill(params)

    def _launch(self, params: dict[str, Any], *, again: bool) -> list[str]:
        selector = _as_object(params.get("selector"), "selector")
        jobs = [str(selector[key]) for key in ("jobName", "pipelineName") if selector.get(key) is not None]
        if len(jobs) != 1:
            raise RefusedError("The selector names no job, or two. Name it in jobName.")
        self._require_ours(selector)
        (job,) = jobs
        self._require_role_for(job)
        metadata = _as_object(params.get("executionMetadata") or {}, "executionMetadata")
        again = again or metadata.get("parentRunId") is not None
        metadata["tags"] = self._tags(metadata.get("tags"), again=again)
        params["executionMetadata"] = metadata
        if job in REQUESTED_JOBS:
            self._found.requests.append(Request(job, _about(job, params.get("runConfigData")), metadata["tags"]))
        return [job]

    def _launch_again(self, params: dict[str, Any]) -> list[str]:
        parent = str(params.get("parentRunId", ""))
        job = self._job_of(parent)  # Of a backfill's id there is none; backfills are the jobs' of operators.
        if job is not None:
            self._require_role_for(job)
        if job in REQUESTED_JOBS:
            raise RefusedError(f"A run of {job} is asked for by a person each time. Launch a new one.")
        params["extraTags"] = self._tags(params.get("extraTags"), again=True)
        return [parent]

    def _require_role_for(self, job: str) -> None:
        if job not in JOBS_OF_OPERATORS and not self._actor.role.covers(Role.ADMIN):
            raise RefusedError(f"The job {job} is not for operators. {_IN_CONSOLE}.")

    def _backfill(self, params: dict[str, Any]) -> list[str]:
        selector = params.get("selector")
        about = "assets"
        if selector is not None:
            selector = _as_object(selector, "selector")
            about = str(selector.get("partitionSetName"))
            self._require_ours(_as_object(selector.get("repositorySelector"), "repositorySelector"))
            if about not in _BACKFILLED and not self._actor.role.covers(Role.ADMIN):
                raise RefusedError(f"A backfill of {about} is not for operators. {_IN_CONSOLE}.")
        params["tags"] = self._tags(params.get("tags"), again=False)
        return [about]

    def _require_ours(self, selector: Mapping[str, Any]) -> None:
        if (selector.get("repositoryLocationName"), selector.get("repositoryName")) != (LOCATION, REPOSITORY):
            raise RefusedError(f"The selector names another repository than {REPOSITORY} of {LOCATION}.")

    def _tags(self, given: Any, *, again: bool) -> list[dict[str, Any]]:
        """The tags that go on: those of others, and who it was. Ours are refused or, copied from a run, left out."""
        kept: list[dict[str, Any]] = []
        for entry in _listed(given):
            tag = _as_object(entry, "tags")
            key = str(tag.get("key"))
            if not key.startswith(OUR_TAGS):
                kept.append(tag)
            elif not again:
                raise RefusedError(f"The tag {key} cannot be set from outside. Take it out. {_IN_CONSOLE}.")
        return [*kept, {"key": ACTOR_TAG, "value": self._actor.name}]

    def _value(self, node: Any, name: str) -> Any:
        """The value of an argument, which must be a variable of its own: only there can it be read and changed."""
        if not isinstance(node, VariableNode) or node.name.value in self._with_default:
            raise RefusedError(
                f"{name} is not a variable. Write ({name}: $value), without default, and send the value."
            )
        return self._variables.get(node.name.value)


class _WithoutSchema(Visitor):
    """Refuses questions about the schema, which no page of Dagster's asks."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """Called for each field of a document."""
        if node.name.value in {"__schema", "__type"}:
            raise RefusedError("The schema is not available here. Dagster's documentation describes it.")


def _parts(sent: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(sent, dict):
        raise RefusedError('The body is no object. Send {"query": …, "variables": {…}}; one operation at a time.')
    content: dict[str, Any] = sent
    query, variables = content.get("query"), content.get("variables") or {}
    if not isinstance(query, str) or not isinstance(variables, dict):
        raise RefusedError("query is no text, or variables is no object. Send both as GraphQL wants them.")
    return query, variables


def _operation(query: str) -> OperationDefinitionNode:
    """The one operation of a document."""
    try:
        document = parse(query, no_location=True, max_tokens=MOST_TOKENS)
    except GraphQLError as error:
        raise RefusedError(f"This is no GraphQL. {error.message}") from error
    except RecursionError as error:
        raise RefusedError("This is nested too deeply.") from error
    visit(document, _WithoutSchema())
    operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    others = [part for part in document.definitions if not isinstance(part, FragmentDefinitionNode)]
    if len(operations) != 1 or len(others) != 1:
        raise RefusedError("Send one operation at a time, and fragments beside it.")
    return operations[0]


def _listed(value: Any) -> list[Any]:
    """As GraphQL reads lists: one value is a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _as_object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError(f"{name} is no object.")
    return value


def _about(job: str, config: Any) -> str:
    """What a run that needs a request is about: of an undo, the run that is undone."""
    if job != UNDO_JOB:
        return ""
    try:
        content = yaml.safe_load(config) if isinstance(config, str) else config
        return str(content["ops"][UNDO_STEP]["config"]["run_id"])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise RefusedError(f"The configuration names no run to undo, at ops.{UNDO_STEP}.config.run_id.") from error
