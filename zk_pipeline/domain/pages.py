"""The pages of source and target on which people see a ticket or a time sheet."""


def ticket(base_url: str, ticket_id: int) -> str:
    """The ticket in Zammad."""
    return f"{base_url}/#ticket/zoom/{ticket_id}"


def timesheet(base_url: str, timesheet_id: int) -> str:
    """The form of a time sheet in Kimai."""
    return f"{base_url}/en/team/timesheet/{timesheet_id}/edit"
