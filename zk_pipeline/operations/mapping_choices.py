"""What a mapping can be about and lead to, by the names that both systems had when they were last read."""

import logging

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.operations.vocabulary import current_vocabulary, stored_vocabulary
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import mapping_choices as store
from zk_pipeline.store.mapping_choices import Choice

SHORTEST_SEARCH = 3
LIMIT = 8
"""So many are shown of what fits: who sees more of them types another letter."""

_log = logging.getLogger(__name__)


def of_zammad(runtime: Runtime, kind: Kind, wanted: str) -> list[Choice]:
    """Agents, activity types or organizations with this text in their name. Raises `SetupError`.

    Those of bookings first; where none fits, the source is asked for others, who are not stored.
    """
    with runtime.database.transaction() as connection:
        known = store.of_source(connection, kind, runtime.stored("source").name, wanted, LIMIT)
    if known or kind is Kind.ACTIVITY or len(wanted) < SHORTEST_SEARCH:
        return known
    try:
        with runtime.source() as source:
            found = source.find(wanted)
    except ConnectorError as error:
        _log.warning("Nobody else can be offered for a mapping. %s", error)
        return []
    if kind is Kind.USER:
        return [Choice(f"id:{row.id}", row.name, row.email or row.login, row.active) for row in found.agents][:LIMIT]
    return [Choice(f"id:{row.id}", row.name, "", row.active) for row in found.organizations][:LIMIT]


def of_kimai(runtime: Runtime, kind: Kind, wanted: str) -> list[Choice]:
    """Users, activities or customers with this text in their name. Raises `SetupError`."""
    with runtime.database.transaction() as connection:
        return store.of_target(connection, kind, runtime.stored("target").name, wanted, LIMIT)


def ensure_read(runtime: Runtime) -> None:
    """Read the names of both systems where they never were. Raises `SetupError` and the connectors' errors."""
    if stored_vocabulary(runtime) is None:
        current_vocabulary(runtime)
