"""Creating and changing users and their preferences (docs/kimai.md §8)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.errors import bad_request, forbidden, not_found
from zk_sandbox.kimai.forms import Form, scalar
from zk_sandbox.kimai.masterdata import ALREADY_USED, NOT_BLANK, zone_name
from zk_sandbox.kimai.model import User
from zk_sandbox.kimai.permissions import DEFAULTS, ROLE_USER
from zk_sandbox.kimai.selection import INVALID_CHOICE
from zk_sandbox.kimai.views import PREFERENCES, RATE_PREFERENCES

_PROFILE = ("alias", "title", "accountNumber", "color", "email", "language", "locale", "timezone")
_ADMINISTRATION = ("supervisor", "roles", "enabled", "systemAccount", "requiresPasswordReset")
_CREATION = ("username", *_PROFILE, "supervisor", "roles", "plainPassword", "plainApiToken", *_ADMINISTRATION[2:])
_GIVEN_ROLES = frozenset(DEFAULTS) - {ROLE_USER}


def visible_user(caller: Caller, user_id: int) -> User:
    """A user the caller may look at; 404 or 403 otherwise."""
    user = caller.kimai.users.get(user_id)
    if user is None:
        raise not_found()
    if user_id != caller.user.id:
        caller.require("view_other_profile")
    return user


def create(caller: Caller, data: Mapping[str, Any]) -> User:
    """POST a user; without `enabled` the account is disabled."""
    caller.require("create_user")
    form = Form(_CREATION, data)
    base = User(id=0, username="", email="", timezone=caller.kimai.settings.user_timezone, enabled=False)
    user = replace(
        _profile(form, base), username=_unique(caller, form, "username"), email=_unique(caller, form, "email")
    )
    if form.text("plainPassword") is None:
        form.break_rule("plainPassword", NOT_BLANK)
    user = replace(user, api_password=form.text("plainApiToken"))
    form.finish()
    return caller.kimai.users.put(replace(user, id=caller.kimai.users.new_id()))


def patch(caller: Caller, user_id: int, data: Mapping[str, Any]) -> User:
    """PATCH a user: one's own profile, or anything with permission."""
    user = _editable(caller, user_id)
    administrator = caller.may("edit_other_profile")
    form = Form(_PROFILE + (_ADMINISTRATION if administrator else ()), data)
    changed = _profile(form, user)
    form.finish()
    return caller.kimai.users.put(changed)


def set_preferences(caller: Caller, user_id: int, changes: Any) -> User:
    """PATCH preferences from a list of name and value; 404 for an unknown name, 403 for rates without permission."""
    user = _editable(caller, user_id)
    preferences = dict(user.preferences)
    for change in _items(changes):
        name = scalar(change.get("name"))
        if name not in PREFERENCES:
            raise not_found()
        if name in RATE_PREFERENCES:
            caller.require(f"hourly-rate_{'own' if user_id == caller.user.id else 'other'}_profile")
        preferences[name] = scalar(change.get("value")) or None
    return caller.kimai.users.put(replace(user, preferences=preferences))


def _items(changes: Any) -> list[dict[str, Any]]:
    if not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):  # pyright: ignore[reportUnknownVariableType]
        raise bad_request()
    return changes  # pyright: ignore[reportUnknownVariableType]


def _editable(caller: Caller, user_id: int) -> User:
    user = caller.kimai.users.get(user_id)
    if user is None:
        raise not_found()
    if not caller.may("edit_own_profile" if user_id == caller.user.id else "edit_other_profile"):
        raise forbidden()
    return user


def _profile(form: Form, user: User) -> User:
    return replace(
        user,
        alias=form.text("alias", user.alias),
        title=form.text("title", user.title),
        account_number=form.text("accountNumber", user.account_number),
        color=form.text("color", user.color),
        email=form.text("email", user.email) or "",
        language=form.text("language", user.language) or user.language,
        locale=form.text("locale", user.locale) or user.locale,
        timezone=zone_name(form, user.timezone),
        roles=_roles(form, user.roles),
        enabled=form.flag("enabled", present=user.enabled),
        system_account=form.flag("systemAccount", present=user.system_account),
    )


def _roles(form: Form, present: tuple[str, ...]) -> tuple[str, ...]:
    if not form.sent("roles"):
        return present
    roles = form.raw("roles")
    if isinstance(roles, list) and all(scalar(role) in _GIVEN_ROLES for role in roles):  # pyright: ignore[reportUnknownVariableType]
        return tuple(roles)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    form.refuse("roles", INVALID_CHOICE)
    return present


def _unique(caller: Caller, form: Form, field: str) -> str:
    value = form.text(field)
    if value is None:
        form.break_rule(field, NOT_BLANK)
        return ""
    if any(getattr(user, field) == value for user in caller.kimai.users):
        form.break_rule(field, f"The {field} is already used.")
        form.break_rule(field, ALREADY_USED)
    return value
