"""What was sent to an outside system in one attempt, and what came back, as people may see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt of a request, with its secrets masked.

    `path` holds the query, `asked` the JSON that was sent. `status` is `None` when no answer came; `answered` is the
    JSON of the answer, and `error` the sentence for an attempt that failed. `sent_at` is in UTC.
    """

    method: str
    path: str
    asked: Any
    status: int | None
    answered: Any
    error: str
    seconds: float
    sent_at: datetime
