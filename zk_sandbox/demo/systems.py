"""The two simulated systems, with demo data or empty except for the service accounts."""

import csv
import io
from datetime import date, timedelta

from zk_sandbox.demo.company import ACTIVITIES, AGENTS, ZONE
from zk_sandbox.demo.kimai_side import filled_kimai
from zk_sandbox.demo.month import ordinary_bookings, special_bookings, twice_entered
from zk_sandbox.demo.zammad_side import filled_zammad
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.zammad import ZammadServer

ZAMMAD_TOKEN = "zammad-sandbox-token"  # noqa: S105 - opens nothing but the sandbox
KIMAI_TOKEN = "kimai-sandbox-token"  # noqa: S105 - opens nothing but the sandbox
SEED = 20251001
WORKLOAD = 0.97
MONTH_BEFORE_WORKLOAD = 0.15


def empty_systems() -> tuple[ZammadServer, KimaiServer]:
    """Both systems with the service accounts that the tokens belong to, and no data."""
    zammad, kimai = ZammadServer({"zone": ZONE}), KimaiServer()
    zammad.add_reader(ZAMMAD_TOKEN)
    kimai.add_user("zk-sync", "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], ZONE, KIMAI_TOKEN)
    return zammad, kimai


def demo_systems(year: int = 2025, month: int = 10) -> tuple[ZammadServer, KimaiServer]:
    """Both systems with the bookings of a month and a few of the month before, always the same.

    The default month, October 2025, includes the night of 26 October, in which the clocks go back.
    """
    first = date(year, month, 1)
    before = (first - timedelta(days=1)).replace(day=1)
    doubles, typed = twice_entered(first)
    bookings = [
        *ordinary_bookings(before, SEED, MONTH_BEFORE_WORKLOAD),
        *ordinary_bookings(first, SEED, WORKLOAD),
        *special_bookings(first),
        *doubles,
    ]
    zammad, numbers = filled_zammad(ZAMMAD_TOKEN, before, bookings)
    return zammad, filled_kimai(KIMAI_TOKEN, first, typed, numbers)


def demo_mappings_csv() -> str:
    """The mappings an operator would import for the demo; the unmapped type is left out on purpose."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("kind", "zammad", "kimai"))
    writer.writerows(("activity", name or "-", activity) for name, activity in ACTIVITIES.items())
    for agent in AGENTS:
        if agent.kimai_email is not None and agent.kimai_email.lower() != agent.email:
            writer.writerow(("user", agent.email, agent.kimai_email))
    return text.getvalue()
