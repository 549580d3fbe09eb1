"""What the operator does about each sentence with which Kimai refuses a write; it sends no codes (docs/kimai.md §3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

ANY_FIELD = None
LOCKED_PERIOD = "period is locked"
RULES = "Kimai's settings under System > Settings > Timesheet"


@dataclass(frozen=True, slots=True)
class Remedy:
    """The next step after a refusal of `field` (`ANY_FIELD`: of any) whose sentence has this pattern."""

    field: str | None
    pattern: str
    text: str

    def fits(self, field: str, sentence: str) -> bool:
        """Whether it is about this refusal."""
        return self.field in {ANY_FIELD, field} and re.search(self.pattern, sentence, re.IGNORECASE) is not None


REMEDIES = (
    Remedy(
        ANY_FIELD,
        "project is locked",
        "Unlock the project in Kimai, or adjust the booking, so that its minutes are billed in the open period.",
    ),
    Remedy(
        ANY_FIELD,
        LOCKED_PERIOD,
        "Open the period in Kimai's lockdown, or give a role of the account the permission "
        "lockdown_override_timesheet. Or adjust the booking, so that its minutes are billed in the open period.",
    ),
    Remedy(
        ANY_FIELD,
        "already have an entry for this time",
        f"Move or shorten the user's other time sheet of that time, or allow overlapping entries in {RULES}.",
    ),
    Remedy(
        ANY_FIELD, "budget", "Raise the budget of the project, activity or customer, or allow to exceed it in Kimai."
    ),
    Remedy(
        ANY_FIELD,
        r"maximum (duration|\S+ hours)",
        "Divide the booking in Zammad into shorter ones, or correct it there if it is a typing error; "
        f"or raise the longest duration in {RULES}.",
    ),
    Remedy(
        ANY_FIELD,
        "empty duration",
        f"Give the booking its minutes in Zammad, or allow empty durations in {RULES}.",
    ),
    Remedy(
        ANY_FIELD,
        "cannot be in the future",
        f"Wait until the time has come, or allow future times in {RULES}.",
    ),
    Remedy(
        ANY_FIELD,
        "project is finished|project has not started",
        "Change the begin and end of the project in Kimai, or map the organization to another customer.",
    ),
    Remedy(
        ANY_FIELD,
        "disabled (project|activity)|deactivated",
        "Make the project, its customer and the activity visible in Kimai, or change the mapping.",
    ),
    Remedy(
        "user",
        "choice is invalid",
        "Enable the user in Kimai, or map the agent to another: zk mappings set user AGENT KIMAI-USER.",
    ),
    Remedy(
        "project",
        "choice is invalid",
        "Make the project and its customer visible in Kimai, see that its dates contain today and that the account's "
        "teams may use it. Or map the organization: zk mappings set customer ORGANIZATION KIMAI-CUSTOMER.",
    ),
    Remedy(
        "activity",
        "choice is invalid",
        "Make the activity visible in Kimai and usable in the project. Or map the type to another: "
        "zk mappings set activity TYPE KIMAI-ACTIVITY.",
    ),
    Remedy(
        ANY_FIELD,
        "project mismatch",
        "Map the type to a global activity or to one of that project: zk mappings set activity TYPE KIMAI-ACTIVITY.",
    ),
    Remedy(
        ANY_FIELD,
        "cannot be stopped automatically",
        "Stop the user's running time sheet in Kimai.",
    ),
    Remedy(
        ANY_FIELD,
        "extra fields",
        "Run zk doctor: it names the permissions that a role of the account lacks.",
    ),
)
"""The first that fits holds."""


def remedy_of(fields: Mapping[str, tuple[str, ...]]) -> str:
    """The next steps for what Kimai refused, each once; nothing where it is not known what helps."""
    refused = [(field, sentence) for field, sentences in fields.items() for sentence in sentences]
    found = (next((remedy.text for remedy in REMEDIES if remedy.fits(*refusal)), "") for refusal in refused)
    return " ".join(dict.fromkeys(text for text in found if text))
