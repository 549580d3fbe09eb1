"""What a mapping can be about and lead to, by the names that both systems had when they were last read."""

from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.operations import mappings
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import mapping_choices as store
from zk_pipeline.store.mapping_choices import Choice

LIMIT = 8
"""So many are shown of what fits: who sees more of them types another letter."""


def of_zammad(runtime: Runtime, kind: Kind, wanted: str) -> list[Choice]:
    """Agents, activity types or organizations with this text in their name. Raises `SetupError`."""
    with runtime.database.transaction() as connection:
        return store.of_source(connection, kind, runtime.stored("source").name, wanted, LIMIT)


def of_kimai(runtime: Runtime, kind: Kind, wanted: str) -> list[Choice]:
    """Users, activities or customers with this text in their name. Raises `SetupError`."""
    with runtime.database.transaction() as connection:
        return store.of_target(connection, kind, runtime.stored("target").name, wanted, LIMIT)


def ensure_read(runtime: Runtime) -> None:
    """Read the names of both systems where they never were. Raises `SetupError` and the connectors' errors."""
    if mappings.stored_vocabulary(runtime) is None:
        mappings.current_vocabulary(runtime)
