"""What can be done with a run from its row: cancel it, approve what it left waiting, and take back what it wrote."""

from zk_pipeline.operations import cancellations
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.runs import Run
from zk_pipeline.settings import PushMode
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.sync_dialog import SyncDialog
from zk_pipeline.web.console.undo_dialog import UndoDialog
from zk_pipeline.web.console.visit import Visit

_STOPPING = "canceling"
_WRITTEN = ("created", "updated", "deleted", "linked", "adopted", "customers", "projects")


class RunActions:
    """The buttons of a run; what a role may not do, or what would do nothing, is not there."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def show(self, run: Run) -> None:
        """Draw the buttons of one run."""
        if not self._visit.may(Role.OPERATOR):
            return
        with parts.box("zk-row zk-row-actions"):
            if run.is_under_way and run.status != _STOPPING:
                self._button("runs.cancel", "cancel", lambda: self._confirm_cancel(run))
            in_review = self._visit.runtime.settings.push_mode is PushMode.REVIEW
            if in_review and run.ahead:
                self._button("runs.approve", "approval", lambda: self._approve(run))
            if not run.is_under_way and not run.taken_back and any(run.counts.get(name) for name in _WRITTEN):
                self._button("runs.undo", "undo", UndoDialog(self._visit, run).show)

    def _button(self, label: str, icon: str, handler: parts.Handler) -> None:
        parts.button(self._visit.words(label), self._visit.act(Role.OPERATOR, handler), kind="quiet", icon=icon)

    def _confirm_cancel(self, run: Run) -> None:
        visit, words = self._visit, self._visit.words

        async def cancel() -> None:
            await visit.ask(cancellations.cancel, visit.runtime, visit.actor, run.run_id)
            visit.tell(words("runs.cancel.done"))

        title = words("runs.cancel.title", run=run.run_id[:8])
        effect, label = words("runs.cancel.effect"), words("runs.cancel.go")
        feedback.confirm(visit, Role.OPERATOR, title, effect, label, cancel, "danger")

    async def _approve(self, run: Run) -> None:
        if run.first and run.last:
            await SyncDialog(self._visit).show_plan((run.first, run.last))
