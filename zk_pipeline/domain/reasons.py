"""Reason codes: why an entry waits for a person, as a plain sentence, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an entry is not just in sync or created."""

    ZERO = "zero"
    CORRECTED_TO_ZERO = "corrected_to_zero"
    CORRECTION = "correction"
    ADJUSTED = "adjusted"
    UNMAPPED_USER = "unmapped_user"
    UNMAPPED_ACTIVITY = "unmapped_activity"
    UNMAPPED_CUSTOMER = "unmapped_customer"
    UNKNOWN_TICKET = "unknown_ticket"
    MALFORMED_BOOKING = "malformed_booking"
    RUNNING_TIMER = "running_timer"
    MALFORMED_TIMESHEET = "malformed_timesheet"
    DUPLICATE = "duplicate"
    AMBIGUOUS = "ambiguous"
    FUZZY_CANDIDATE = "fuzzy_candidate"
    KIMAI_EDITED = "kimai_edited"
    BOTH_CHANGED = "both_changed"
    DELETED_IN_KIMAI = "deleted_in_kimai"
    UNSEEN_IN_KIMAI = "unseen_in_kimai"
    DELETED_IN_ZAMMAD = "deleted_in_zammad"
    BILLED = "billed"
    CHANGED_AFTER_BILLING = "changed_after_billing"
    LOCKED_PERIOD = "locked_period"
    NO_FREE_PLACE = "no_free_place"
    UNMATCHED_CORRECTION = "unmatched_correction"
    REFUSED_BY_KIMAI = "refused_by_kimai"
    MARKER_CLONED = "marker_cloned"
    BILLED_COPY = "billed_copy"
    MERGED_TICKET = "merged_ticket"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means, and the operator's next step."""

    meaning: str
    next_step: str


EXPLANATIONS: dict[Reason, Explanation] = {
    Reason.ZERO: Explanation("The booking has zero minutes.", "Nothing to do."),
    Reason.CORRECTED_TO_ZERO: Explanation("Corrections left nothing of the booking.", "Nothing to do."),
    Reason.CORRECTION: Explanation("A correction, netted against earlier bookings.", "Nothing to do."),
    Reason.ADJUSTED: Explanation(
        "The booking changed after it was billed, and adjustments or credits make up for it.", "Nothing to do."
    ),
    Reason.UNMAPPED_USER: Explanation(
        "No Kimai user belongs to this agent.",
        "Map the agent, by e-mail, login or id:N: zk mappings set user AGENT KIMAI-USER. "
        "Or give the Kimai user the agent's e-mail, if no other agent has it.",
    ),
    Reason.UNMAPPED_ACTIVITY: Explanation(
        "No Kimai activity belongs to this activity type.",
        "Map the type: zk mappings set activity TYPE KIMAI-ACTIVITY (TYPE - is for bookings without type).",
    ),
    Reason.UNMAPPED_CUSTOMER: Explanation(
        "It is not clear which Kimai customer or project this belongs to.",
        "Map the organization: zk mappings set customer ORGANIZATION KIMAI-CUSTOMER (or new, for one of its own).",
    ),
    Reason.UNKNOWN_TICKET: Explanation(
        "The ticket of this booking cannot be read.",
        "Give the Zammad token's user read access to the ticket's group, then sync the day again.",
    ),
    Reason.MALFORMED_BOOKING: Explanation(
        "Nothing is written or changed while Zammad's data cannot be read.",
        "Correct it in Zammad, then sync the day again.",
    ),
    Reason.RUNNING_TIMER: Explanation(
        "Nothing is written or changed while the timer of the booking runs.",
        "Once the timer is stopped, the next run books the time.",
    ),
    Reason.MALFORMED_TIMESHEET: Explanation(
        "Nothing is written or changed while Kimai's time sheet cannot be read.",
        "Correct the time sheet in Kimai, or delete it there, then sync the day again.",
    ),
    Reason.DUPLICATE: Explanation(
        "A time sheet typed by hand says the same.", "Link it to the booking, or delete it in Kimai."
    ),
    Reason.AMBIGUOUS: Explanation(
        "Several time sheets or bookings fit each other equally well.",
        "Delete or change the surplus one, or link the right pair.",
    ),
    Reason.FUZZY_CANDIDATE: Explanation(
        "A time sheet typed by hand is very similar.", "Link it to the booking, or have the booking created beside it."
    ),
    Reason.KIMAI_EDITED: Explanation(
        "Somebody changed the time sheet in Kimai.", "Keep Kimai's version, or write Zammad's again."
    ),
    Reason.BOTH_CHANGED: Explanation(
        "The booking and its time sheet were changed differently.", "Choose the version that holds."
    ),
    Reason.DELETED_IN_KIMAI: Explanation(
        "Somebody deleted the time sheet in Kimai.", "Have it created again, or ignore the booking."
    ),
    Reason.UNSEEN_IN_KIMAI: Explanation(
        "Kimai does not show the time sheet that was written for this booking, yet does not say that it is gone.",
        "Give the Kimai token's user access to all time sheets, then sync the day again.",
    ),
    Reason.DELETED_IN_ZAMMAD: Explanation(
        "The booking is gone or was corrected to zero, the time sheet is still there.",
        "Delete the time sheet, or keep it.",
    ),
    Reason.BILLED: Explanation(
        "The booking changed after its time sheet was exported or locked.",
        "Adjust it: the difference is booked in the open period, or stands on the credit list.",
    ),
    Reason.CHANGED_AFTER_BILLING: Explanation(
        "Somebody changed the time sheet in Kimai after it was exported or closed.",
        "Keep it as it is now, or restore it in Kimai.",
    ),
    Reason.LOCKED_PERIOD: Explanation(
        "The booking belongs to a period that is closed.",
        "Adjust it: the time is booked in the open period. Or open the period: zk reopen, or ZK_LOCKED_BEFORE.",
    ),
    Reason.NO_FREE_PLACE: Explanation(
        "Kimai forbids overlaps or future times and the agent's day has no free place of this length.",
        "Shorten or move the agent's other time sheets of the day.",
    ),
    Reason.UNMATCHED_CORRECTION: Explanation(
        "A negative booking found no earlier booking of the same ticket, agent and type to reduce.",
        "Say which booking it reduces: zk conflicts resolve ID reduce --booking N. Or correct the booking in Zammad.",
    ),
    Reason.REFUSED_BY_KIMAI: Explanation(
        "Kimai refused the time sheet.",
        "Then sync the day again. Each sync tries it once more; to leave it out: zk conflicts resolve ID ignore.",
    ),
    Reason.MARKER_CLONED: Explanation(
        "A time sheet with our marker was duplicated in Kimai.", "Delete the copy, or remove the marker from it."
    ),
    Reason.BILLED_COPY: Explanation(
        "A time sheet with our marker was duplicated in Kimai, and the copy is billed or closed.",
        "Keep it, or correct the invoice in Kimai.",
    ),
    Reason.MERGED_TICKET: Explanation(
        "The ticket of this booking was merged into one that is billed differently; Zammad left the booking behind.",
        "Move the booking to that ticket, or keep it on its own. Until then it counts on its own.",
    ),
}
