"""Why an operation was not done: errors whose message is a sentence for the person who asked."""


class OperationError(Exception):
    """What was asked for cannot be done; nothing was changed. The message names the field, the value and the remedy."""


class UnknownError(OperationError):
    """What it is about does not exist."""


class StaleError(OperationError):
    """It is no longer as it was when the person looked at it, or the state of something else forbids it."""


class DeniedError(OperationError):
    """The role of whoever asks does not allow it."""


class SignInError(OperationError):
    """Nobody was recognized; the message is the same whatever was wrong."""


class IncompleteError(OperationError):
    """It was done, but something is left, which the message names with what to do about it."""
