"""The demo's Kimai before the first sync: people, projects, and time that others entered."""

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta

from zk_sandbox.demo.company import ACTIVITIES, AGENTS, KNOWN_IN_KIMAI, ORGANIZATIONS, PROJECT_ENDED, ZONE
from zk_sandbox.demo.month import BUSINESS_ZONE, HandTyped, Month
from zk_sandbox.kimai import KimaiServer

SAME_NAME_OTHER_NUMBER = "hartmann"
"""An organization that Kimai knows by name under its own number."""
FOREIGN_WORK = (
    ("anna.berger", time(8, 15), 30, "Teambesprechung"),
    ("jens.krueger", time(12, 30), 45, "Weiterbildung Netzwerktechnik"),
    ("clara.hofmann", time(17, 0), 60, "Angebote schreiben"),
    ("mehmet.yildiz", time(8, 15), 30, "Teambesprechung"),
    ("sofia.lindqvist", time(16, 15), 25, "Lager aufräumen, Raum 12"),
)


def filled_kimai(
    token: str, month: Month, typed: Iterable[HandTyped], numbers: Sequence[str], now: datetime
) -> KimaiServer:
    """A Kimai for the month; `numbers` are Zammad's ticket numbers in the demo's order."""
    opening = datetime.combine(month.first, time(7), BUSINESS_ZONE) - timedelta(days=60)
    kimai = KimaiServer({"now": opening.isoformat()})
    kimai.add_user("zk-sync", "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], ZONE, token)
    users = {
        agent.key: kimai.add_user(
            agent.kimai_email.split("@")[0].lower(),
            agent.kimai_email,
            timezone=ZONE,
            enabled=agent.kimai_enabled,
            alias=f"{agent.firstname} {agent.lastname}",
        )
        for agent in AGENTS
        if agent.kimai_email is not None
    }
    activities = {name: kimai.add_activity(name) for name in dict.fromkeys(ACTIVITIES.values())}
    internal = kimai.add_customer("Nordlicht IT (intern)", "INTERN")
    own_work = kimai.add_project("Intern", internal, "INT-1")
    by_hand = kimai.add_project("Kundensupport", internal, "INT-2")
    _add_known_customers(kimai, month)
    for work in typed:
        description = work.wording.format(number=numbers[work.ticket])
        end = work.begin + timedelta(minutes=work.minutes)
        kimai.add_timesheet(users[work.agent], by_hand, activities["Remote-Support"], work.begin, end, description)
    _add_foreign_work(kimai, users, own_work, activities["Sonstiges"], month, now)
    kimai.configure({"now": None})
    return kimai


def _add_known_customers(kimai: KimaiServer, month: Month) -> None:
    """One customer with our numbers, one whose project is over, and one that only shares its name with ours."""
    ids = {key: number for number, key in enumerate(ORGANIZATIONS, start=1)}
    two_months_before = month.before().before().last
    for key, end in ((KNOWN_IN_KIMAI, None), (PROJECT_ENDED, two_months_before)):
        customer = kimai.add_customer(ORGANIZATIONS[key], f"zammad-org-{ids[key]}")
        kimai.add_project("Support", customer, f"ZO{ids[key]}", end=end, timezone=ZONE)
    kimai.add_customer(ORGANIZATIONS[SAME_NAME_OTHER_NUMBER], "K-0815")


def _add_foreign_work(
    kimai: KimaiServer, users: dict[str, int], project: int, activity: int, month: Month, now: datetime
) -> None:
    """Time without a ticket: this month's, and last month's, which is already billed."""
    days = [(day, True) for day in month.before().working_days()[::4]]
    days += [(day, False) for day in month.working_days()]
    for number, (day, exported) in enumerate(days):
        agent, start, minutes, description = FOREIGN_WORK[number % len(FOREIGN_WORK)]
        begin = datetime.combine(day, start, BUSINESS_ZONE)
        if begin + timedelta(minutes=minutes) > now:
            continue
        kimai.add_timesheet(
            users[agent],
            project,
            activity,
            begin,
            begin + timedelta(minutes=minutes),
            description,
            exported=exported,
        )
