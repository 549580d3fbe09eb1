"""Sources that prove a deletion only by not listing a booking any more."""


class ProvesByAbsence:
    """A source that cannot be asked for one booking: its `exists` says "gone" where a complete list lacks it.

    One list may lack a row for a moment, so two runs one after the other must find the booking missing.
    """
