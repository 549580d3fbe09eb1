"""`/api/v1/connectors`: the addresses of the two systems, and their tests. A token is never shown."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, SecretStr

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.operate import connectors
from zk_pipeline.operate.connectors import ConnectorActivity
from zk_pipeline.store.connectors import ConnectorRecord
from zk_pipeline.web.api.common import PREFIX, Body, Page, Ready, Wanted, also
from zk_pipeline.web.authentication import Admin, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/connectors", tags=["connectors"], route_class=KeyedRoute)

Id = Annotated[int, Path(ge=1, le=2**63 - 1, description="The connector's id, as the list has it.")]
Address = Annotated[str, Field(max_length=connectors.LONGEST_ADDRESS, examples=["https://support.example.com"])]
Token = Annotated[
    SecretStr,
    Field(max_length=connectors.LONGEST_TOKEN, description="The API token; it is encrypted and never shown."),
]


class NewConnector(Body):
    """A connector to store. Its name is part of the markers in time sheets and never changes."""

    name: Annotated[str, Field(max_length=100, examples=["zammad"])]
    kind: Annotated[str, Field(max_length=100, description="zammad, kimai, or an installed plug-in.")]
    base_url: Address
    token: Token


class ConnectorChange(Body):
    """What to change; what is left out stays. With a new address the token must be given again."""

    base_url: Address | None = None
    token: Token | None = None
    active: Annotated[bool | None, Field(description="Whether to use it, instead of any other of its role.")] = None


class TestView(BaseModel):
    """The findings of a connector's test about system and account; `ok` unless one failed."""

    ok: bool
    version: str | None
    account: str | None
    timezone: str | None
    findings: list[Finding]


@router.get("", summary="All connectors")
def list_connectors(_actor: Viewer, ready: Ready, paging: Wanted) -> Page[ConnectorRecord]:
    """All connectors, inactive ones included."""
    rows = connectors.list_connectors(ready)
    return paging.among(rows)


@router.post("", status_code=201, summary="Store a connector")
def create_connector(actor: Admin, ready: Ready, body: NewConnector) -> ConnectorRecord:
    """It becomes active if no other of its role is. Metadata and link-local addresses are refused."""
    token = body.token.get_secret_value()
    return connectors.create(ready, actor, name=body.name, kind=body.kind, base_url=body.base_url, token=token)


@router.get("/{connector_id}", summary="One connector")
def get_connector(_actor: Viewer, ready: Ready, connector_id: Id) -> ConnectorRecord:
    """Its address and state; never its token."""
    return connectors.one(ready, connector_id)


@router.patch("/{connector_id}", summary="Change a connector", responses=also(502))
def change_connector(actor: Admin, ready: Ready, connector_id: Id, body: ConnectorChange) -> ConnectorRecord:
    """Address, token, or whether it is active: all of it or, if anything is refused, nothing."""
    token = None if body.token is None else body.token.get_secret_value()
    return connectors.change(ready, actor, connector_id, base_url=body.base_url, token=token, active=body.active)


@router.delete("/{connector_id}", status_code=204, summary="Delete a connector")
def delete_connector(actor: Admin, ready: Ready, connector_id: Id) -> None:
    """Refused with 409 while bookings, ledger rows or mappings depend on it: deactivate it instead."""
    connectors.delete(ready, actor, connector_id)


@router.post("/{connector_id}/test", summary="Test a connector", responses=also(502))
def try_connector(_actor: Admin, ready: Ready, connector_id: Id) -> TestView:
    """Connection, version, account and permissions; what is wrong is a finding with its remedy. Writes nothing."""
    found = connectors.test(ready, connector_id)
    return TestView.model_validate(found, from_attributes=True)


@router.get(
    "/{connector_id}/activities",
    summary="Activities of a target, or activity types of a source",
    responses=also(409, 502),
)
def list_activities(_actor: Viewer, ready: Ready, connector_id: Id, paging: Wanted) -> Page[ConnectorActivity]:
    """As the system has them now, by name."""
    rows = connectors.activities(ready, connector_id)
    return paging.among(rows)
