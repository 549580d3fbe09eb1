"""Queries on the operator's mappings of agents, activity types and organizations."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.mapping import OWN_CUSTOMER, Mappings
from zk_pipeline.store.tables import activity_mappings, customer_mappings, user_mappings


@dataclass(frozen=True, slots=True)
class UserMapping:
    """An agent's e-mail and the target user who stands for it."""

    email: str
    kimai_user_id: int


@dataclass(frozen=True, slots=True)
class ActivityMapping:
    """A type (`None`: no type), optionally of one organization only, and its activity in the target."""

    type_id: int | None
    organization_id: int | None
    kimai_activity_id: int


@dataclass(frozen=True, slots=True)
class CustomerMapping:
    """An organization (0: none) and its customer in the target; `None` for a customer of its own."""

    organization_id: int
    kimai_customer_id: int | None


AnyMapping = UserMapping | ActivityMapping | CustomerMapping


def load(connection: Connection) -> Mappings:
    """All mappings, as the domain looks them up."""
    users = connection.execute(select(user_mappings.c.email, user_mappings.c.kimai_user_id))
    activities = connection.execute(select(activity_mappings))
    customers = connection.execute(select(customer_mappings))
    return Mappings(
        users={row.email.casefold(): row.kimai_user_id for row in users},
        activities={(row.type_id, row.organization_id): row.kimai_activity_id for row in activities},
        customers={row.organization_id: row.kimai_customer_id or OWN_CUSTOMER for row in customers},
    )


def save(connection: Connection, mappings: Iterable[AnyMapping]) -> None:
    """Set mappings; one that exists already is replaced."""
    for mapping in mappings:
        match mapping:
            case UserMapping(email, user_id):
                statement = insert(user_mappings).values(email=email.casefold(), kimai_user_id=user_id)
                keys, changed = [user_mappings.c.email], "kimai_user_id"
            case ActivityMapping(type_id, organization_id, activity_id):
                statement = insert(activity_mappings).values(
                    type_id=type_id, organization_id=organization_id, kimai_activity_id=activity_id
                )
                keys = [activity_mappings.c.type_id, activity_mappings.c.organization_id]
                changed = "kimai_activity_id"
            case CustomerMapping(organization_id, customer_id):
                statement = insert(customer_mappings).values(
                    organization_id=organization_id, kimai_customer_id=customer_id
                )
                keys, changed = [customer_mappings.c.organization_id], "kimai_customer_id"
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=keys, set_={changed: statement.excluded[changed], "updated_at": func.now()}
            )
        )


def clear(connection: Connection) -> None:
    """Remove all mappings."""
    for table in (user_mappings, activity_mappings, customer_mappings):
        connection.execute(delete(table))


def every(connection: Connection) -> list[AnyMapping]:
    """All mappings in a stable order, for export."""
    activities = connection.execute(
        select(activity_mappings).order_by(
            activity_mappings.c.type_id.nulls_first(), activity_mappings.c.organization_id
        )
    )
    users = connection.execute(select(user_mappings).order_by(user_mappings.c.email))
    customers = connection.execute(select(customer_mappings).order_by(customer_mappings.c.organization_id))
    return [
        *(ActivityMapping(row.type_id, row.organization_id, row.kimai_activity_id) for row in activities),
        *(UserMapping(row.email, row.kimai_user_id) for row in users),
        *(CustomerMapping(row.organization_id, row.kimai_customer_id) for row in customers),
    ]
