"""The requests of a run and their answers: heard for each booking, committed along with what the ledger says of them.

They take no commit of their own. A process that dies between a request and that commit leaves no exchange behind; the
intent that the ledger holds then tells that one may have been sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from zk_pipeline import logs
from zk_pipeline.connectors.exchanges import listening
from zk_pipeline.domain.exchanges import Exchange
from zk_pipeline.store import request_log
from zk_pipeline.store.database import Database


class Exchanges:
    """What one run sends to one target. Any thread may send; one thread commits."""

    def __init__(self, database: Database, target_name: str, run_id: str) -> None:
        self._database = database
        self._target = target_name
        self._run_id = run_id
        # Threads append while the book takes from the front: both are atomic on a list.
        self._waiting: list[tuple[str | None, Exchange]] = []

    @contextmanager
    def of(self, source_id: str | None, *, in_doubt: bool = False) -> Iterator[None]:
        """Hear what is sent within the block for this booking; with `in_doubt` the look-ups too.

        Where it is for no single booking, such as a new customer, `source_id` is `None`.
        """
        about = {} if source_id is None else {"entry_id": source_id}
        with (
            logs.about(**about),
            listening(lambda exchange: self._waiting.append((source_id, exchange)), in_doubt=in_doubt),
        ):
            yield

    @contextmanager
    def committed(self) -> Iterator[Connection]:
        """A transaction that takes along what was heard until its end; if it fails, the next one does."""
        with self._database.transaction() as connection:
            yield connection
            heard = self._waiting[:]
            request_log.append(connection, self._target, heard, self._run_id)
        del self._waiting[: len(heard)]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Commit at the end of the block, however it ends, what no transaction took along: a doubt, for example."""
        try:
            yield
        finally:
            if self._waiting:
                with self.committed():
                    pass
