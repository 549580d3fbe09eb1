"""Answers other than success, as exceptions that know their body (docs/kimai.md §3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """A refusal whose body is `{"code", "message"}` with the standard phrase of the status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The request is answered with status {status}.")
        self.status = status

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"code": self.status, "message": HTTPStatus(self.status).phrase}


def bad_request() -> ApiError:
    """A malformed body or query parameter; Kimai never names the culprit."""
    return ApiError(400)


def forbidden() -> ApiError:
    """A missing permission."""
    return ApiError(403)


def not_found() -> ApiError:
    """An unknown id, or a page past the end."""
    return ApiError(404)


def internal_error() -> ApiError:
    """What Kimai answers where it fails itself."""
    return ApiError(500)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule; `path` is a form field, a property of the entry, or empty for the form as a whole."""

    path: str
    message: str


class FormError(ApiError):
    """A refused form: every field is a child, errors of other paths are global."""

    def __init__(self, fields: Sequence[str], violations: Sequence[Violation]) -> None:
        super().__init__(400)
        self.fields = fields
        self.violations = violations

    def body(self) -> dict[str, Any]:
        """The tree of errors; `errors.errors` is absent when nothing is global."""
        children: dict[str, dict[str, list[str]]] = {name: {} for name in self.fields}
        general: list[str] = []
        for violation in self.violations:
            child = children.get(violation.path)
            messages = general if child is None else child.setdefault("errors", [])
            messages.append(violation.message)
        errors: dict[str, Any] = {"errors": general} if general else {}
        return {"code": 400, "message": "Validation Failed", "errors": errors | {"children": children}}


class EntityError(ApiError):
    """A refused save outside a form (/stop, /duplicate, ...): only broken properties, and the code is a string."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(400)
        self.violations = violations

    def body(self) -> dict[str, Any]:
        """The errors by property."""
        children: dict[str, dict[str, list[str]]] = {}
        for violation in self.violations:
            children.setdefault(violation.path, {"errors": []})["errors"].append(violation.message)
        return {"code": "400", "message": "There was a problem saving.", "errors": {"children": children}}


class TokenError(ApiError):
    """An unknown token or a disabled user: 401 with an empty body (docs/kimai.md §1)."""

    HEADER = 'Bearer error="invalid_token",error_description="Invalid credentials."'

    def __init__(self) -> None:
        super().__init__(401)


class PasswordError(ApiError):
    """A wrong legacy API password: 403 without a code (docs/kimai.md §1)."""

    def __init__(self) -> None:
        super().__init__(403)

    def body(self) -> dict[str, Any]:
        """The message alone."""
        return {"message": "Invalid credentials"}
