"""Connections, versions and permissions of both systems, as their connectors tell them."""

from collections.abc import Iterable

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.doctor.installation import Installation


def examine_source(installation: Installation) -> Iterable[Finding]:
    """Zammad: connection, version, permissions, groups."""
    return installation.source.findings


def examine_target(installation: Installation) -> Iterable[Finding]:
    """Kimai: connection, version, permissions. Its zones have an examination of their own, which names the users."""
    return (finding for finding in installation.target.findings if finding.subject != "time zones")
