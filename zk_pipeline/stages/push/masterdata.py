"""Customers, projects and tags of the target that entries need: found by number, created if missing."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import asdict, replace

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.errors import PermissionDeniedError, ValidationFailedError
from zk_pipeline.domain.ledger import JournalEntry, MasterDataName, Operation
from zk_pipeline.domain.mapping import ProjectPlan
from zk_pipeline.domain.plan import Draft
from zk_pipeline.domain.records import Customer, Project
from zk_pipeline.stages.push.delivery import RequestRecorder
from zk_pipeline.stages.push.outcomes import PushReport, refusal_of
from zk_pipeline.store import audit, ledger, target
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database


class MasterData:
    """Creates projects and their customers. Refusals are remembered, so that each project is tried only once."""

    def __init__(
        self, connector: TargetConnector, database: Database, request_recorder: RequestRecorder, run_id: str
    ) -> None:
        self._connector = connector
        self._database = database
        self._request_recorder = request_recorder
        self._run_id = run_id
        self._project_ids: dict[str, int] = {}
        self._customer_ids: dict[str, int] = {}
        self._refusals: dict[str, str] = {}
        self._tags: set[str] = set()
        self.created = PushReport()
        self._warnings: list[str] = []

    def prepare(self, drafts: Iterable[Draft]) -> None:
        """Create what these drafts need and the target lacks, one writer at a time: only look-ups keep numbers unique.

        Raises the connector's errors for a system's problem; a refusal is kept for `refusal`.
        """
        plans = {draft.project.number: draft.project for draft in drafts if draft.project.id is None}
        wanted = [plan for number, plan in sorted(plans.items()) if number not in self._project_ids]
        tags = {tag for draft in drafts for tag in draft.tags}
        if not wanted and tags <= self._tags:
            return
        with self._database.lock(f"zk:masterdata:{self._connector.endpoint.name}"), self._request_recorder.of(None):
            self._ensure_tags(tags - self._tags)
            for plan in wanted:
                self._create(plan)

    def refusal(self, draft: Draft) -> str | None:
        """Why the draft's project could not be created, or `None`."""
        return self._refusals.get(draft.project.number) if draft.project.id is None else None

    def with_project(self, draft: Draft) -> Draft:
        """The draft with the id of its project."""
        if draft.project.id is not None:
            return draft
        project_id = self._project_ids[draft.project.number]
        return replace(
            draft,
            desired=replace(draft.desired, project_id=project_id),
            project=replace(draft.project, id=project_id),
        )

    def take_warnings(self) -> list[str]:
        """Warnings for the operator; each is returned once."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _ensure_tags(self, tags: AbstractSet[str]) -> None:
        try:
            self._connector.ensure_tags(sorted(tags))
        except ValidationFailedError as error:
            # A hidden tag can still be assigned (docs/kimai.md §9), so the time sheets need not wait for it.
            self._warnings.append(str(error))
        self._tags |= tags

    def _create(self, plan: ProjectPlan) -> None:
        try:
            customer_id = plan.customer.id or self._customer(plan)
            # Where an administrator allows duplicate numbers, only the look prevents a second project.
            found = self._connector.find_project(plan.number)
            project = found or self._connector.create_project(
                name=plan.name, number=plan.number, customer_id=customer_id
            )
        except (ValidationFailedError, PermissionDeniedError) as error:
            self._refusals[plan.number] = refusal_of(
                error, f"Project {plan.number} {plan.name!r} could not be created."
            )
            return
        self._project_ids[plan.number] = project.id
        self._keep(project, new=found is None and project.customer_id == customer_id)

    def _customer(self, plan: ProjectPlan) -> int:
        customer = plan.customer
        if customer.number not in self._customer_ids:
            found = self._connector.find_customer(customer.number)
            made = found or self._connector.create_customer(name=customer.name, number=customer.number)
            self._customer_ids[customer.number] = made.id
            self._keep(made, new=found is None)
        return self._customer_ids[customer.number]

    def _keep(self, record: Customer | Project, *, new: bool) -> None:
        """Store what was found or created. Only what was created is journaled, so that only that can be undone."""
        with self._request_recorder.committed() as connection:
            if isinstance(record, Customer):
                target.save_customer(connection, self._connector.endpoint.name, record)
            else:
                target.save_project(connection, self._connector.endpoint.name, record)
            if new:
                self._journal(connection, record)
        if new:
            is_customer = isinstance(record, Customer)
            self.created += PushReport(customers=1) if is_customer else PushReport(projects=1)

    def _journal(self, connection: Connection, made: Customer | Project) -> None:
        operation = Operation.CREATE_CUSTOMER if isinstance(made, Customer) else Operation.CREATE_PROJECT
        kind = operation.removeprefix("create_")
        named = MasterDataName(made.number or "", made.name)
        entry = JournalEntry(operation, None, made.id, None, named=named)
        ledger.record(connection, self._connector.endpoint.name, [entry], self._run_id)
        event = AuditEvent(f"kimai.{kind}.created", "pipeline", f"kimai:{kind}:{made.id}", asdict(named), self._run_id)
        audit.append(connection, [event])
