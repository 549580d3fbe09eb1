"""Mending in the target what makes it refuse time sheets, at a person's request: shown again, or ended later."""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.domain.ledger import JournalEntry, Operation
from zk_pipeline.domain.records import MasterDataKind, MasterDataState
from zk_pipeline.stages.push.delivery import RequestRecorder
from zk_pipeline.stages.push.undo import REFUSED
from zk_pipeline.store import audit, ledger, target
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database


class Mend(StrEnum):
    """What can be mended in the target."""

    EXTEND_PROJECT = "extend_project"
    SHOW_PROJECT = "show_project"
    SHOW_ACTIVITY = "show_activity"
    SHOW_CUSTOMER = "show_customer"

    @property
    def kind(self) -> MasterDataKind:
        """What it is about."""
        return MasterDataKind(self.rpartition("_")[2])


class NothingToMendError(Exception):
    """It is gone, or the target did not do it; the message says what to do."""


@dataclass(frozen=True, slots=True)
class MendRequest:
    """A mend of one record; `until` is when a project ends that is extended."""

    mend: Mend
    record_id: int
    until: date | None = None

    def __str__(self) -> str:
        return f"{self.mend}:{self.record_id}" + (f":{self.until}" if self.until else "")

    @classmethod
    def parse(cls, text: str) -> "MendRequest":
        """The request from its text. Raises `ValueError`."""
        mend, record_id, *until = text.split(":")
        return cls(Mend(mend), int(record_id), date.fromisoformat(until[0]) if until else None)

    def wanted(self, current: MasterDataState) -> MasterDataState:
        """The state after it; a project that ends later already keeps its end."""
        if self.mend is not Mend.EXTEND_PROJECT:
            return replace(current, visible=True)
        is_later = current.end is None or self.until is None or current.end >= self.until
        return current if is_later else replace(current, end=self.until)


class Mender:
    """Mends for one run. What is changed is read first, and journaled like every write, so that it can be undone."""

    def __init__(self, database: Database, target_connector: TargetConnector, run_id: str) -> None:
        self._database, self._target, self._run_id = database, target_connector, run_id
        self._name = target_connector.endpoint.name
        self._request_recorder = RequestRecorder(database, self._name, run_id)

    def carry_out(self, request: MendRequest) -> MasterDataState:
        """The state afterwards. Raises `NothingToMendError` and the connector's errors."""
        kind, record_id = request.mend.kind, request.record_id
        with (
            self._database.lock(f"zk:masterdata:{self._name}"),
            self._request_recorder.kept(),
            self._request_recorder.of(None),
        ):
            current = self._target.state_of(kind, record_id)
            if current is None:
                raise NothingToMendError(f"The {kind} {record_id} is gone in Kimai. Sync its days again.")
            wanted = request.wanted(current)
            found = current if wanted == current else self._mend(request, current, wanted)
            self._commit(request, current, found)
        if (found.visible, found.end) != (wanted.visible, wanted.end):
            raise NothingToMendError(f"Kimai did not change the {kind} {found.name} as asked. Change it in Kimai.")
        return found

    def _mend(self, request: MendRequest, current: MasterDataState, wanted: MasterDataState) -> MasterDataState:
        """Journal it, then send it: what reached the target can be undone, wherever the process dies."""
        kind, record_id = request.mend.kind, request.record_id
        intended = JournalEntry(Operation.mending(kind), None, record_id, None, mended_from=current, mended_to=wanted)
        with self._request_recorder.committed() as connection:
            ledger.record(connection, self._name, [intended], self._run_id)
        try:
            return self._target.mend(kind, record_id, current, wanted)
        except REFUSED:
            with self._request_recorder.committed() as connection:
                ids = [row.id for row in ledger.of_run(connection, self._name, self._run_id)]
                ledger.mark_undone(connection, ids, self._run_id)
            raise

    def _commit(self, request: MendRequest, before: MasterDataState, after: MasterDataState) -> None:
        kind, record_id = request.mend.kind, request.record_id
        detail = {
            "name": after.name,
            "visible": [before.visible, after.visible],
            "end": [str(state.end) if state.end else None for state in (before, after)],
        }
        event = AuditEvent(f"kimai.{kind}.mended", "pipeline", f"kimai:{kind}:{record_id}", detail, self._run_id)
        with self._request_recorder.committed() as connection:
            target.note_state(connection, self._name, kind, record_id, after)
            if after != before:
                audit.append(connection, [event])
