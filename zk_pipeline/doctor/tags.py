"""Tags: Kimai drops unknown ones from a time sheet without a word, and hidden ones cannot be found again."""

from collections.abc import Iterator

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.kimai import KimaiConnector
from zk_pipeline.doctor.installation import Installation
from zk_pipeline.doctor.probes import tag_states
from zk_pipeline.domain.vital_figures import Level

_SUBJECT = "ZK_TAGS"


def examine(installation: Installation) -> Iterator[Finding]:
    """Tell which of ZK_TAGS are visible, hidden, or not there yet (docs/kimai.md §9)."""
    names = installation.runtime.settings.tags
    with installation.reached_target() as connector:
        endpoint = connector.endpoint if isinstance(connector, KimaiConnector) else None
    if endpoint is None or not names:
        yield Finding(_SUBJECT, Level.PASS, "No tags are to be looked at.")
        return
    tags = tag_states(endpoint, names)
    if tags.hidden:
        yield Finding(
            _SUBJECT,
            Level.FAIL,
            f"Hidden in Kimai: {', '.join(tags.hidden)}. Nothing can be written with a hidden tag.",
            "Let an administrator of Kimai make them visible under Tags, or name others in ZK_TAGS.",
        )
    if tags.missing:
        text = f"Not in Kimai yet: {', '.join(tags.missing)}. The first write creates them, visible."
        yield Finding(_SUBJECT, Level.PASS, text)
    if tags.visible:
        yield Finding(_SUBJECT, Level.PASS, f"Visible in Kimai: {', '.join(tags.visible)}.")
