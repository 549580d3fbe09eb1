"""The two simulated systems, with demo data or empty except for the service accounts."""

import csv
import io
from datetime import date, datetime

from zk_sandbox.demo.company import ACTIVITIES, AGENTS, ZONE
from zk_sandbox.demo.kimai_side import filled_kimai
from zk_sandbox.demo.month import (
    BUSINESS_ZONE,
    OCTOBER_ENDS,
    Month,
    ordinary_bookings,
    special_bookings,
    twice_entered,
)
from zk_sandbox.demo.zammad_side import filled_zammad
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.zammad import ZammadServer

ZAMMAD_TOKEN = "zammad-sandbox-token"  # noqa: S105 - opens nothing but the sandbox
KIMAI_TOKEN = "kimai-sandbox-token"  # noqa: S105 - opens nothing but the sandbox
WORKLOAD = 0.97
MONTH_BEFORE_WORKLOAD = 0.15


def empty_systems() -> tuple[ZammadServer, KimaiServer]:
    """Both systems with the service accounts that the tokens belong to, and no data."""
    zammad, kimai = ZammadServer({"zone": ZONE}), KimaiServer()
    zammad.add_reader(ZAMMAD_TOKEN)
    kimai.add_user("zk-sync", "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], ZONE, KIMAI_TOKEN)
    return zammad, kimai


def demo_systems(ends: date = OCTOBER_ENDS) -> tuple[ZammadServer, KimaiServer]:
    """Both systems with the bookings of the month up to this day and a few of the month before, always the same.

    What would lie in the future is left out.
    """
    month, now = Month.ending(ends), datetime.now(BUSINESS_ZONE)
    doubles, typed = twice_entered(month)
    bookings = [
        *ordinary_bookings(month.before(), MONTH_BEFORE_WORKLOAD),
        *ordinary_bookings(month, WORKLOAD),
        *special_bookings(month),
        *doubles,
    ]
    zammad, numbers = filled_zammad(ZAMMAD_TOKEN, month, [booking for booking in bookings if booking.at <= now], now)
    return zammad, filled_kimai(KIMAI_TOKEN, month, typed, numbers, now)


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
