"""`/api/v1/tokens`: API tokens, one's own or, for admins, everybody's."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, Field

from zk_pipeline.identity import api_tokens
from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.queries import ApiToken
from zk_pipeline.web.api.common import PREFIX, Body, Page, Ready, Wanted
from zk_pipeline.web.authentication import Confirmed, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/tokens", tags=["API tokens"], route_class=KeyedRoute)


class TokenRow(BaseModel):
    """A token without the token itself; instants are in UTC."""

    id: int
    user_id: int
    email: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, token: ApiToken) -> Self:
        """The row of a token."""
        return cls.model_validate(token, from_attributes=True)


class NewToken(Body):
    """What a token is for, what it may do, and until when: an instant with its zone, a year ahead at most."""

    name: Annotated[str, Field(max_length=100)]
    role: Role
    expires_at: AwareDatetime


class FreshToken(TokenRow):
    """A new token, with the token itself, which is never shown again."""

    token: str


@router.get("", summary="List API tokens")
def list_tokens(actor: Viewer, ready: Ready, paging: Wanted) -> Page[TokenRow]:
    """The newest first; admins see everybody's."""
    with ready.database.transaction() as connection:
        tokens, total = api_tokens.list_tokens(connection, actor, offset=paging.offset, limit=paging.size)
    return paging.of([TokenRow.of(token) for token in tokens], total)


@router.post("", status_code=201, summary="Create an API token")
def create_token(given: NewToken, actor: Viewer, _: Confirmed, ready: Ready) -> FreshToken:
    """The answer shows the token, this once. Its role may not be above one's own.

    It needs the password again (403), and a token makes no further ones, which would outlive its revocation.
    """
    with ready.database.transaction() as connection:
        issued = api_tokens.issue(connection, actor, given.name, given.role, given.expires_at)
    return FreshToken(**TokenRow.of(issued.stored).model_dump(), token=issued.token)


@router.delete("/{token_id}", status_code=204, summary="Revoke an API token")
def revoke_token(token_id: Annotated[int, Path(ge=1, le=2**63 - 1)], actor: Viewer, ready: Ready) -> None:
    """The token ends at once."""
    with ready.database.transaction() as connection:
        api_tokens.revoke(connection, actor, token_id)
