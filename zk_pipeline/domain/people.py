"""Which user of the target an agent of the source is. Agents are known by their id."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from zk_pipeline.domain.records import Agent, TargetUser
from zk_pipeline.domain.source_ids import source_id_order


class Address(str):
    """The casefolded e-mail address of an agent, where an id could stand as well. No source has such ids."""

    __slots__ = ()


AgentKey = str | Address
"""An agent as mappings name them: the id, or the address of one who was unknown when the mapping was set."""

_Person = TypeVar("_Person")


class Way(StrEnum):
    """How the partner of something of the source is known in the target; or why it is not."""

    HAND = "hand"
    ADDRESS = "address"
    USERNAME = "username"
    BEFORE = "before"
    NUMBER = "number"
    NAME = "name"
    NEW = "new"
    FIXED = "fixed"
    GONE = "gone"
    UNMAPPED = "unmapped"
    NO_ADDRESS = "no_address"
    SEVERAL_AGENTS = "several_agents"
    SEVERAL_USERS = "several_users"
    UNKNOWN_ADDRESS = "unknown_address"
    DISPUTED = "disputed"
    NAMESAKES = "namesakes"

    @property
    def found(self) -> bool:
        """Whether it has a partner, if only once that is created."""
        return self in _SURE or self in _LIKELY

    @property
    def sure(self) -> bool:
        """Whether a person said so, or what is compared is unique; what is only likely may be looked at."""
        return self in _SURE


_SURE = {Way.HAND, Way.ADDRESS, Way.NUMBER, Way.NEW, Way.FIXED}
_LIKELY = {Way.USERNAME, Way.BEFORE, Way.NAME}


@dataclass(frozen=True, slots=True)
class FoundUser:
    """The user of an agent, or as a sentence why there is none."""

    user: TargetUser | str
    way: Way


class UserMatcher:
    """Finds users of the target for agents.

    A mapping decides first: `mapped` has users by the agent's id, or by the address of one who was unknown when it was
    set. Else the address decides, if exactly one active agent and one user have it. If no address matches, the agent
    stays the user whose time was written before (`carried`), so that a new address changes nothing.
    """

    def __init__(
        self,
        users: Iterable[TargetUser],
        agents: Iterable[Agent] = (),
        mapped: Mapping[AgentKey, int] | None = None,
        carried: Mapping[str, int] | None = None,
    ) -> None:
        self._users = {user.id: user for user in users}
        self._agents = {agent.id: agent for agent in agents}
        self._mapped, self._carried = mapped or {}, carried or {}
        self._by_email = _grouped((user.email or "", user) for user in self._users.values())
        self._by_username = _grouped((user.username, user) for user in self._users.values())
        self._holders = _grouped((agent.email, agent) for agent in self._agents.values())
        self._carried_for = _grouped((str(user), agent) for agent, user in self._carried.items())

    def user(self, agent_id: str, address: str | None = None, name: str = "") -> TargetUser | str:
        """The user for an agent, or why there is none, as a sentence.

        `address` is needed if it differs from the one in the source's directory; `name` for an agent who is not in it.
        """
        return self.found(agent_id, address, name).user

    def found(self, agent_id: str, address: str | None = None, name: str = "") -> FoundUser:
        """The same, and how it is known."""
        agent = self._agent(agent_id, address, name)
        mapped = self._mapping(agent)
        if mapped is not None:
            user = self._users.get(mapped)
            text = f"{_called(agent)} is mapped to Kimai user {mapped}, who is gone."
            return FoundUser(user, Way.HAND) if user else FoundUser(text, Way.GONE)
        found = self._match(agent)
        if isinstance(found.user, str):
            before = self._users.get(self._carried.get(agent_id, 0))
            return FoundUser(before, Way.BEFORE) if before else found
        other = self._carried_before(found.user, agent_id)
        if other is not None:
            user, owner = label(found.user), label(agent)
            text = f"Kimai user {user} has the address of {owner}, but got the time of {label(other)}."
            return FoundUser(text, Way.DISPUTED)
        return found

    def others(self, user_id: int, agent_id: str) -> list[Agent]:
        """The other agents who map to this user."""
        return [agent for agent in self._agents_of.get(user_id, []) if agent.id != agent_id]

    @cached_property
    def _agents_of(self) -> dict[int, list[Agent]]:
        found: dict[int, list[Agent]] = {}
        gone = (key for key in self._mapped if not isinstance(key, Address) and key not in self._agents)
        for agent in (*self._agents.values(), *map(self._agent, gone)):
            user = self.user(agent.id)
            if isinstance(user, TargetUser):
                found.setdefault(user.id, []).append(agent)
        return found

    def _agent(self, agent_id: str, address: str | None = None, name: str = "") -> Agent:
        agent = self._agents.get(agent_id)
        if agent is None:
            return Agent(agent_id, "", address or "", name or f"agent {agent_id}", active=False)
        return agent if address is None else replace(agent, email=address)

    def _mapping(self, agent: Agent) -> int | None:
        by_id = self._mapped.get(agent.id)
        if by_id is not None or not agent.email or self._rivals(agent):
            return by_id
        return self._mapped.get(Address(agent.email.casefold()))

    def _match(self, agent: Agent) -> FoundUser:
        """The user found by address alone."""
        if not agent.email:
            return FoundUser(f"{label(agent)} has no e-mail address in Zammad.", Way.NO_ADDRESS)
        rivals = self._rivals(agent)
        if rivals:
            both = ", ".join(label(one) for one in sorted((agent, *rivals), key=lambda one: source_id_order(one.id)))
            text = f"{agent.email} is the address of several agents in Zammad: {both}."
            return FoundUser(text, Way.SEVERAL_AGENTS)
        address = agent.email.casefold()
        by_email = self._by_email.get(address, [])
        found = by_email or self._by_username.get(address, [])
        if len(found) > 1:
            text = f"{agent.email} is the address of several Kimai users: {', '.join(map(label, found))}."
            return FoundUser(text, Way.SEVERAL_USERS)
        if not found:
            text = f"No Kimai user has the e-mail address or user name {agent.email} of {label(agent)}."
            return FoundUser(text, Way.UNKNOWN_ADDRESS)
        owners = [] if by_email else self._holders.get((found[0].email or "").casefold(), [])
        if any(owner.id != agent.id for owner in owners):
            text = f"Kimai user {label(found[0])} has the address of {label(owners[0])} and that of {label(agent)}."
            return FoundUser(text, Way.DISPUTED)
        return FoundUser(found[0], Way.ADDRESS if by_email else Way.USERNAME)

    def _rivals(self, agent: Agent) -> list[Agent]:
        """Other agents with this address; none if they are all inactive and this one is not."""
        others = [one for one in self._holders.get(agent.email.casefold(), []) if one.id != agent.id]
        return [] if agent.active and not any(one.active for one in others) else others

    def _carried_before(self, user: TargetUser, agent_id: str) -> Agent | None:
        """Another agent whose time the user got, and whom neither a mapping nor an address gives to someone else."""
        for other in self._carried_for.get(str(user.id), []):
            agent = self._agent(other)
            match = None if self._mapping(agent) is not None else self._match(agent).user
            if other != agent_id and (isinstance(match, str) or _is(match, user.id)):
                return agent
        return None


def label(person: Agent | TargetUser) -> str:
    """A person with the id, which distinguishes people of the same name."""
    if isinstance(person, TargetUser):
        return f"{person.username} (id {person.id}{'' if person.enabled else ', disabled'})"
    return f"{person.name or person.login} (id {person.id}{'' if person.active else ', inactive'})"


def _called(agent: Agent) -> str:
    return agent.email or label(agent)


def _is(found: TargetUser | str | None, user_id: int) -> bool:
    return isinstance(found, TargetUser) and found.id == user_id


def _grouped(named: Iterable[tuple[str, _Person]]) -> dict[str, list[_Person]]:
    """By casefolded address; people without one are left out."""
    found: dict[str, list[_Person]] = {}
    for address, person in named:
        if address:
            found.setdefault(address.casefold(), []).append(person)
    return found
