"""The unit of the bookings: minutes per unit against Zammad's label and the numbers themselves."""

from collections.abc import Iterator
from decimal import Decimal

from zk_pipeline.connectors.base import Endpoint
from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.zammad import ZammadConnector
from zk_pipeline.doctor import probes
from zk_pipeline.doctor.installation import Installation
from zk_pipeline.domain.plausibility import Fit, judge_unit, plain
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.store import quality

_LEVELS = {Fit.FITS: Level.PASS, Fit.UNKNOWN: Level.PASS, Fit.DOUBTFUL: Level.WARN, Fit.CONTRADICTED: Level.FAIL}


def examine(installation: Installation) -> Iterator[Finding]:
    """Judge ZK_MINUTES_PER_UNIT by the stored bookings; before there are any, by the newest ones in Zammad."""
    with installation.reached_source() as connector:
        endpoint = connector.endpoint if isinstance(connector, ZammadConnector) else None
    label = probes.unit_label(endpoint) if endpoint else None
    values = _stored(installation) or _newest(endpoint)
    judgement = judge_unit(values, installation.runtime.settings.minutes_per_unit, label)
    level = _LEVELS[judgement.fit]
    yield Finding("minutes per unit", level, judgement.text, "" if level is Level.PASS else _remedy(judgement.proposal))


def _stored(installation: Installation) -> list[Decimal]:
    with installation.runtime.database.transaction() as connection:
        return quality.newest_units(connection, installation.source_name, probes.NEWEST)


def _newest(endpoint: Endpoint | None) -> list[Decimal]:
    return probes.newest_units(endpoint) if endpoint else []


def _remedy(proposal: Decimal | None) -> str:
    if proposal is None:
        return "Ask in which unit the agents book, and set ZK_MINUTES_PER_UNIT to the minutes in it."
    return (
        f"Ask in which unit the agents book. If the proposal is right, set ZK_MINUTES_PER_UNIT={plain(proposal)}"
        " and run zk rederive for what is stored."
    )
