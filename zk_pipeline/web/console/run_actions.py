"""What can be done with a run from its row: approve what it left waiting."""

from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.runs import Run
from zk_pipeline.settings import PushMode
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.sync_dialog import SyncDialog
from zk_pipeline.web.console.visit import Visit

_LEFT_FOR_APPROVAL = ("unapproved", "left")


class RunActions:
    """The buttons of a run; what a role may not do, or what would do nothing, is not there."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def show(self, run: Run) -> None:
        """Draw the buttons of one run."""
        with parts.box("zk-row zk-row-actions"):
            if self._waits(run):
                self._button("runs.approve", "approval", lambda: self._approve(run))

    def _button(self, label: str, icon: str, handler: parts.Handler) -> None:
        parts.button(self._visit.words(label), self._visit.act(Role.OPERATOR, handler), kind="quiet", icon=icon)

    def _waits(self, run: Run) -> bool:
        in_review = self._visit.runtime.settings.push_mode is PushMode.REVIEW
        return in_review and self._visit.may(Role.OPERATOR) and any(run.counts.get(name) for name in _LEFT_FOR_APPROVAL)

    async def _approve(self, run: Run) -> None:
        if run.first and run.last:
            await SyncDialog(self._visit).show_plan((run.first, run.last))
