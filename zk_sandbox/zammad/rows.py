"""The JSON forms of Zammad's rows: plain, expanded with names, and as assets (docs/zammad.md §2, §5, §6)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zk_sandbox.zammad.desk import Desk
from zk_sandbox.zammad.records import (
    SYSTEM_USER,
    Accounting,
    ActivityType,
    Article,
    Group,
    Organization,
    Ticket,
    User,
    decimal_text,
    iso,
)

STATES = {1: "new", 2: "open", 3: "pending reminder", 4: "closed", 5: "merged"}
PRIORITIES = {1: "1 low", 2: "2 normal", 3: "3 high"}
ARTICLE_TYPES = {"email": 1, "phone": 5, "note": 10}
SENDERS = {"Agent": 1, "Customer": 2, "System": 3}
ROLES = {"admin": 1, "ticket.agent": 2, "ticket.customer": 3, "admin.time_accounting": 4}
ROLE_NAMES = {1: "Admin", 2: "Agent", 3: "Customer", 4: "Time Accounting"}

_UNKEPT_OF_TICKETS = (
    "note", "first_response_at", "first_response_escalation_at", "first_response_in_min", "first_response_diff_in_min",
    "close_escalation_at", "close_in_min", "close_diff_in_min", "update_escalation_at", "update_in_min",
    "update_diff_in_min", "last_owner_update_at", "escalation_at", "pending_time", "type", "checklist_id",
)  # fmt: skip
_UNKEPT_OF_USERS = (
    "image", "image_source", "department", "address", "last_login", "source", "out_of_office_start_at",
    "out_of_office_end_at", "out_of_office_replacement_id",
)  # fmt: skip
_UNKEPT_OF_ARTICLES = (
    "detected_language", "to", "cc", "reply_to", "message_id", "message_id_md5", "in_reply_to", "origin_by_id",
)  # fmt: skip
"""Columns that the desk does not keep and that are null on a fresh row."""

_CHANNELS = {"email": True, "online": True}
_OWN_AND_FREE = {"owned_by_me": True, "owned_by_nobody": True, "subscribed": True, "no": False}
_OWN = _OWN_AND_FREE | {"owned_by_nobody": False, "subscribed": False}
AGENT_PREFERENCES = {
    "notification_config": {
        "matrix": {
            "create": {"criteria": _OWN_AND_FREE, "channel": _CHANNELS},
            "update": {"criteria": _OWN_AND_FREE, "channel": _CHANNELS},
            "reminder_reached": {"criteria": _OWN, "channel": _CHANNELS},
            "escalation": {"criteria": _OWN, "channel": _CHANNELS},
        }
    }
}


class Rows:
    """Renders rows of a desk; names of related rows are looked up as they are now."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def accounting(self, row: Accounting, *, expand: bool = False) -> dict[str, Any]:
        """An accounting; expanded with its creator's login and, if typed, the type's name."""
        content = {
            "id": row.id,
            "ticket_id": row.ticket_id,
            "ticket_article_id": row.ticket_article_id,
            "time_unit": decimal_text(row.time_unit),
            "type_id": row.type_id,
            "created_by_id": row.created_by_id,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }
        if expand:
            content["created_by"] = self._login(row.created_by_id)
            if row.type_id is not None:
                content["type"] = self._desk.state.types[row.type_id].name
        return content

    def accounting_assets(self, rows: Iterable[Accounting]) -> dict[str, Any]:
        """Accountings and their creators, keyed by id as texts."""
        rows = list(rows)
        return self.assets("TicketTimeAccounting", rows, self.accounting, {row.created_by_id for row in rows})

    def activity_type(self, row: ActivityType, *, expand: bool = False) -> dict[str, Any]:
        """An activity type."""
        content = {"id": row.id, "name": row.name, "note": row.note, "active": row.active}
        return content | self._stamps(row, expand=expand)

    def group(self, row: Group, *, expand: bool = False) -> dict[str, Any]:
        """A group with those who hold rights on it."""
        users = [user for user in self._desk.state.users.values() if str(row.id) in user.group_rights]
        content: dict[str, Any] = {
            "id": row.id,
            "signature_id": 1 if row.id == 1 else None,
            "email_address_id": None,
            "name": row.name,
            "name_last": row.name.rpartition("::")[2],
            "parent_id": None,
            "assignment_timeout": None,
            "follow_up_possible": "yes",
            "reopen_time_in_days": None,
            "follow_up_assignment": True,
            "active": True,
            "shared_drafts": True,
            "note": row.note,
            "created_by_id": SYSTEM_USER,
            "updated_by_id": SYSTEM_USER,
            "created_at": iso(self._desk.state.users[SYSTEM_USER].created_at),
            "updated_at": iso(self._desk.state.users[SYSTEM_USER].updated_at),
            "user_ids": [user.id for user in users],
        }
        if expand:
            content |= {"users": [user.login for user in users], "created_by": "-", "updated_by": "-"}
        return content

    def ticket(self, row: Ticket) -> dict[str, Any]:
        """A ticket's own columns."""
        articles = self._desk.state.articles_of(row.id)
        seen = [article for article in articles if not article.internal]
        customer = [article for article in seen if article.sender == "Customer"]
        agent = [article for article in seen if article.sender == "Agent"]
        return dict.fromkeys(_UNKEPT_OF_TICKETS) | {
            "id": row.id,
            "group_id": row.group_id,
            "priority_id": row.priority_id,
            "state_id": row.state_id,
            "organization_id": row.organization_id,
            "number": row.number,
            "title": row.title,
            "owner_id": row.owner_id,
            "customer_id": row.customer_id,
            "close_at": iso(row.close_at),
            "last_close_at": iso(row.close_at),
            "last_contact_at": iso(seen[-1].created_at) if seen else None,
            "last_contact_agent_at": iso(agent[-1].created_at) if agent else None,
            "last_contact_customer_at": iso(customer[-1].created_at) if customer else None,
            "create_article_type_id": ARTICLE_TYPES[articles[0].type] if articles else 10,
            "create_article_sender_id": SENDERS[articles[0].sender] if articles else 1,
            "article_count": row.article_count,
            "time_unit": decimal_text(row.time_unit),
            "preferences": {},
            "updated_by_id": row.updated_by_id,
            "created_by_id": row.created_by_id,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }

    def ticket_with_ids(self, row: Ticket) -> dict[str, Any]:
        """A ticket with the ids of its articles and accountings, the plain search answer from 6.5."""
        return self.ticket(row) | {
            "referencing_checklist_ids": [],
            "article_ids": [article.id for article in self._desk.state.articles_of(row.id)],
            "ticket_time_accounting_ids": [entry.id for entry in self._desk.state.accountings.of_ticket(row.id)],
        }

    def ticket_expanded(self, row: Ticket) -> dict[str, Any]:
        """A ticket with names and id lists."""
        state = self._desk.state
        organization = state.organizations.get(row.organization_id or 0)
        first = next(iter(state.articles_of(row.id)), None)
        content = self.ticket_with_ids(row) | {
            "referencing_checklists": [],
            "group": state.groups[row.group_id].name,
            "customer": self._login(row.customer_id),
            "owner": self._login(row.owner_id),
            "state": STATES[row.state_id],
            "priority": PRIORITIES[row.priority_id],
            "created_by": self._login(row.created_by_id),
            "updated_by": self._login(row.updated_by_id),
            "create_article_type": first.type if first else "note",
            "create_article_sender": first.sender if first else "Agent",
        }
        if organization:
            content["organization"] = organization.name
        for names, ids in (("articles", "article_ids"), ("ticket_time_accounting", "ticket_time_accounting_ids")):
            if not content[ids]:
                content[names] = []
        return content

    def ticket_assets(self, rows: Iterable[Ticket]) -> dict[str, Any]:
        """Tickets, their people and organizations."""
        rows = list(rows)
        people = {
            user_id for row in rows for user_id in (row.customer_id, row.owner_id, row.created_by_id, row.updated_by_id)
        }
        return self.assets("Ticket", rows, self.ticket_with_ids, people)

    def article(self, row: Article) -> dict[str, Any]:
        """An article with the time booked on it, which may be none."""
        booked = self._desk.state.accountings.of_article(row.id)
        author = self._desk.state.users.get(row.created_by_id)
        return dict.fromkeys(_UNKEPT_OF_ARTICLES) | {
            "id": row.id,
            "ticket_id": row.ticket_id,
            "type_id": ARTICLE_TYPES[row.type],
            "sender_id": SENDERS[row.sender],
            "from": author.fullname if author else "-",
            "subject": row.subject or None,
            "body": row.body,
            "content_type": row.content_type,
            "internal": row.internal,
            "preferences": {},
            "type": row.type,
            "sender": row.sender,
            "attachments": [],
            "time_unit": decimal_text(booked.time_unit) if booked else None,
            "created_by_id": row.created_by_id,
            "updated_by_id": row.created_by_id,
            "created_by": self._login(row.created_by_id),
            "updated_by": self._login(row.created_by_id),
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }

    def user_columns(self, row: User) -> dict[str, Any]:
        """A user's own columns."""
        agent = "ticket.agent" in row.permissions
        return (
            dict.fromkeys(_UNKEPT_OF_USERS)
            | {
                "id": row.id,
                "organization_id": row.organization_id,
                "login": row.login,
                "firstname": row.firstname,
                "lastname": row.lastname,
                "email": row.email,
                "web": "",
                "phone": "",
                "fax": "",
                "mobile": "",
                "street": "",
                "zip": "",
                "city": "",
                "country": "",
                "vip": False,
                "verified": False,
                "active": row.active,
                "note": "",
                "login_failed": 0,
                "out_of_office": False,
                "preferences": AGENT_PREFERENCES if agent else {},
            }
            | self._stamps(row)
        )

    def user(self, row: User, *, expand: bool = False) -> dict[str, Any]:
        """A user as the directory shows one."""
        roles = [number for permission, number in ROLES.items() if permission in row.permissions]
        content = self.user_columns(row) | {
            "role_ids": roles,
            "two_factor_preference_ids": [],
            "organization_ids": [],
            "authorization_ids": [],
            "overview_sorting_ids": [],
            "group_ids": row.group_rights if row.active else {},
        }
        if not expand:
            return content
        state = self._desk.state
        organization = state.organizations.get(row.organization_id or 0)
        if organization:
            content["organization"] = organization.name
        return content | {
            "roles": [ROLE_NAMES[number] for number in roles],
            "two_factor_preferences": [],
            "organizations": [],
            "authorizations": [],
            "overview_sortings": [],
            "groups": {state.groups[int(group)].name: rights for group, rights in row.group_rights.items()},
            "created_by": "-",
            "updated_by": "-",
        }

    def organization_columns(self, row: Organization) -> dict[str, Any]:
        """An organization's own columns."""
        return {
            "id": row.id,
            "name": row.name,
            "shared": True,
            "domain": row.domain,
            "domain_assignment": False,
            "active": row.active,
            "vip": False,
            "note": row.note,
        } | self._stamps(row)

    def organizations(self, rows: Iterable[Organization], *, expand: bool = False) -> list[dict[str, Any]]:
        """Organizations with their members."""
        members: dict[int | None, list[User]] = defaultdict(list)
        for user in self._desk.state.users.values():
            members[user.organization_id].append(user)
        contents: list[dict[str, Any]] = []
        for row in rows:
            of_row = members[row.id]
            content = self.organization_columns(row) | {
                "member_ids": [user.id for user in of_row],
                "secondary_member_ids": [],
            }
            if expand:
                content |= {"members": [user.login for user in of_row], "created_by": "-", "updated_by": "-"}
            contents.append(content)
        return contents

    def assets(
        self,
        model: str,
        rows: Sequence[Any],
        content: Callable[[Any], dict[str, Any]],
        people: Iterable[int] = (),
    ) -> dict[str, Any]:
        """Rows and the people named, with their organizations and the members of those, keyed by id as texts."""
        state = self._desk.state
        people = set(people)
        rooted = [*rows, *(state.users[user_id] for user_id in people if user_id in state.users)]
        places = {place for row in rooted if (place := getattr(row, "organization_id", None)) is not None}
        if places:
            people |= {user.id for user in state.users.values() if user.organization_id in places}
        organizations = [state.organizations[place] for place in sorted(places) if place in state.organizations]
        assets: dict[str, dict[str, Any]] = {
            model: {str(row.id): content(row) for row in rows},
            "Organization": {str(row["id"]): row for row in self.organizations(organizations)},
            "User": {str(user_id): self.user(state.users[user_id]) for user_id in sorted(people & state.users.keys())},
        }
        return {name: found for name, found in assets.items() if found}

    def _stamps(self, row: Any, *, expand: bool = False) -> dict[str, Any]:
        """Who made and changed a row, and when; what keeps no such person was made by the system."""
        creator = getattr(row, "created_by_id", SYSTEM_USER)
        editor = getattr(row, "updated_by_id", SYSTEM_USER)
        content = {
            "created_by_id": creator,
            "updated_by_id": editor,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }
        if expand:
            content |= {"created_by": self._login(creator), "updated_by": self._login(editor)}
        return content

    def _login(self, user_id: int) -> str:
        user = self._desk.state.users.get(user_id)
        return user.login if user else "-"
