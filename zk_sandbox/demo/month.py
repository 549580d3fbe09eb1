"""The demo's bookings of a month as plain data: a normal working month and its special cases."""

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from zk_sandbox.demo.company import AGENTS, NOTES, TICKETS, TYPES, UNMAPPED_TYPE, ZONE, Agent

BUSINESS_ZONE = ZoneInfo(ZONE)
MINUTES = ("5", "10", "15", "15", "20", "30", "30", "45", "60", "60", "90", "120", "180", "240")
ODD_MINUTES = ("7.5", "12.5", "22.25", "37.5", "52.75")
LATEST_BOOKING = time(18, 45)
OCTOBER_ENDS = date(2025, 10, 31)
"""The end of the month that tests and docs show, with the night of 26 October, in which the clocks go back."""
DAYS = 31


@dataclass(frozen=True, slots=True)
class Month:
    """The days of the demo's month, or of the one before it. The same `seed` draws the same bookings."""

    first: date
    last: date
    seed: str

    @classmethod
    def ending(cls, last: date) -> "Month":
        """The month up to a day; of any end, all but the special cases of its dates are the same."""
        return cls(last - timedelta(days=DAYS - 1), last, "20251001-2025-10")

    def before(self) -> "Month":
        """The month before this one."""
        last = self.first - timedelta(days=1)
        return Month(last - timedelta(days=DAYS - 2), last, "20251001-2025-09")

    def working_days(self) -> list[date]:
        """Monday to Friday."""
        days = [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]
        return [day for day in days if day.weekday() < 5]


@dataclass(frozen=True, slots=True)
class Booking:
    """One booking: `at` is local time with its zone, `ticket` an index into TICKETS, `type` None for without."""

    at: datetime
    agent: str
    ticket: int
    minutes: Decimal
    type: str | None = "Remote-Support"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class HandTyped:
    """A time sheet that somebody typed into Kimai although Zammad has all, or nearly all, of the time too."""

    agent: str
    begin: datetime
    minutes: int
    ticket: int
    wording: str = "Ticket #{number}"


def ordinary_bookings(month: Month, workload: float) -> list[Booking]:
    """Working days of a month, with bookings one after another through each agent's day.

    `workload` scales every agent's share of days with bookings.
    """
    rng = random.Random(month.seed)  # noqa: S311 - demo data, the same each time
    bookings: list[Booking] = []
    for day in month.working_days():
        for agent in AGENTS:
            if rng.random() < agent.workload * workload:
                bookings += _agents_day(rng, agent, day)
    return bookings


def _agents_day(rng: random.Random, agent: Agent, day: date) -> list[Booking]:
    clock = datetime.combine(day, time(7, 40), BUSINESS_ZONE) + timedelta(minutes=rng.randrange(75))
    bookings: list[Booking] = []
    for _ in range(rng.choice((1, 2, 2, 3, 4))):
        minutes = Decimal(rng.choice(ODD_MINUTES if rng.random() < 0.12 else MINUTES))
        clock += timedelta(minutes=float(minutes) + rng.randrange(3, 40), seconds=rng.randrange(60))
        if clock.time() > LATEST_BOOKING:
            break
        bookings.append(
            Booking(
                clock.replace(microsecond=rng.randrange(1000) * 1000),
                agent.key,
                rng.randrange(len(TICKETS)),
                minutes,
                _some_type(rng),
                rng.choice(NOTES) if rng.random() < 0.6 else None,
            )
        )
    return bookings


def _some_type(rng: random.Random) -> str | None:
    draw = rng.random()
    if draw < 0.07:
        return None
    if draw < 0.11:
        return UNMAPPED_TYPE
    return rng.choice([name for name in TYPES if name != UNMAPPED_TYPE])


def special_bookings(month: Month) -> list[Booking]:
    """The special cases: corrections, zeros, midnights and, if the month has one, the night of a clock change."""
    days = month.working_days()
    return [
        *_corrections(days),
        *_around_midnight(month, days),
        *_around_clock_change(month),
        Booking(_local(days[9], 10, 5), "jens.krueger", 16, Decimal(0), note="Kulanz, nichts berechnet."),
        Booking(_local(days[9], 10, 20), "anna.berger", 3, Decimal(0), None),
        Booking(_local(days[2], 17, 0), "mehmet.yildiz", 5, Decimal(240), "Projektarbeit", "Racks umgezogen."),
        Booking(_local(days[2], 17, 30), "mehmet.yildiz", 5, Decimal("0.5"), "Projektarbeit"),
    ]


def _corrections(days: list[date]) -> list[Booking]:
    """A corrected typing error, a booking taken back a day later, and a negative number without counterpart."""
    return [
        Booking(_local(days[4], 11, 0), "anna.berger", 4, Decimal(120), "Beratung", "Baugruppe geprüft."),
        Booking(_local(days[4], 11, 4), "anna.berger", 4, Decimal(-100), "Beratung", "Tippfehler: 20 statt 120."),
        Booking(_local(days[6], 15, 0), "clara.hofmann", 20, Decimal(30), "Remote-Support"),
        Booking(_local(days[7], 9, 10), "clara.hofmann", 20, Decimal(-30), "Remote-Support", "Falsches Ticket."),
        Booking(_local(days[10], 16, 0), "sofia.lindqvist", 33, Decimal(-15), "Wartung", "Gutschrift Vormonat."),
    ]


def _around_midnight(month: Month, days: list[date]) -> list[Booking]:
    """Both sides of midnight, inside the month and at its borders; in UTC these days look different."""
    night = days[8]
    return [
        Booking(_local(month.first, 0, 6), "jens.krueger", 13, Decimal(35), "Remote-Support", "Bereitschaft"),
        Booking(_local(night, 23, 57), "jens.krueger", 13, Decimal(45), "Remote-Support", "Bereitschaft"),
        Booking(_local(night + timedelta(days=1), 0, 4), "jens.krueger", 13, Decimal(10), "Remote-Support"),
        Booking(_local(month.last, 23, 55), "mehmet.yildiz", 15, Decimal(90), "Wartung", "Monatsabschluss"),
    ]


def _around_clock_change(month: Month) -> list[Booking]:
    """Half an hour before and after the clocks change: in October the wall clock shows the same time twice."""
    change = _clock_change(month)
    if change is None:
        return []
    return [
        Booking(change + timedelta(minutes=minutes), "mehmet.yildiz", 15, Decimal(25), "Wartung", "Nachtwartung")
        for minutes in (-30, 30)
    ]


def _clock_change(month: Month) -> datetime | None:
    """The instant in the month at which the business zone changes its offset."""
    hour = datetime.combine(month.first, time(0), BUSINESS_ZONE).astimezone(ZoneInfo("UTC"))
    offset = hour.astimezone(BUSINESS_ZONE).utcoffset()
    for _ in range(DAYS * 24):
        hour += timedelta(hours=1)
        if hour.astimezone(BUSINESS_ZONE).utcoffset() != offset:
            return hour
    return None


def twice_entered(month: Month) -> tuple[list[Booking], list[HandTyped]]:
    """Bookings that somebody typed into Kimai as well: exactly, twice the same, and only nearly the same."""
    days = month.working_days()
    bookings = [
        Booking(_local(days[3], 12, 10), "anna.berger", 0, Decimal(45), "Remote-Support", "Bondrucker getauscht."),
        Booking(_local(days[5], 14, 20), "jens.krueger", 6, Decimal(60), "Beratung"),
        Booking(_local(days[6], 16, 40), "clara.hofmann", 24, Decimal(90), "Projektarbeit"),
        # Two alike in Zammad, one in Kimai: it is ambiguous which one matches.
        Booking(_local(days[11], 10, 0), "sofia.lindqvist", 32, Decimal(30), "Remote-Support"),
        Booking(_local(days[11], 15, 0), "sofia.lindqvist", 32, Decimal(30), "Remote-Support"),
        # Near misses: four minutes more, a day later, another person.
        Booking(_local(days[12], 11, 30), "anna.berger", 9, Decimal(50), "Remote-Support"),
        Booking(_local(days[13], 13, 0), "mehmet.yildiz", 29, Decimal(75), "Vor-Ort-Einsatz"),
        Booking(_local(days[14], 9, 45), "jens.krueger", 22, Decimal(40), "Wartung"),
    ]
    typed = [
        HandTyped("anna.berger", _local(days[3], 11, 25), 45, 0),
        HandTyped("jens.krueger", _local(days[5], 13, 0), 60, 6, "#{number} VPN eingerichtet"),
        HandTyped("clara.hofmann", _local(days[6], 15, 0), 90, 24, "Ticket #{number}: LIMS"),
        HandTyped("sofia.lindqvist", _local(days[11], 9, 30), 30, 32),
        HandTyped("anna.berger", _local(days[12], 10, 30), 54, 9, "#{number} beA-Zertifikat"),
        HandTyped("mehmet.yildiz", _local(days[13] + timedelta(days=1), 11, 45), 75, 29),
        HandTyped("clara.hofmann", _local(days[14], 9, 0), 40, 22, "#{number} Warenwirtschaft"),
    ]
    return bookings, typed


def _local(day: date, hour: int, minute: int) -> datetime:
    return datetime.combine(day, time(hour, minute, 17, 315_000), BUSINESS_ZONE)
