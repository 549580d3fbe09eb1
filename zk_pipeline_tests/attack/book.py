"""The book of attacks: what is tried, what came back, and whether it held."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import httpx

from zk_pipeline_tests.attack.place import Place

Tries = Callable[[Place], Iterable["Try"]]

ATTACKS: list["Attack"] = []
"""All of them, in the order in which they are carried out."""

_LONGEST_TOLD = 300


@dataclass(frozen=True, slots=True)
class Try:
    """One request, connection or command of an attacker, what came back, and whether it held."""

    sent: str
    came_back: str
    held: bool


@dataclass(frozen=True, slots=True)
class Attack:
    """What somebody wants that they must not get; `tries` carries it out.

    One that `waits` does little else, so that the others are carried out meanwhile.
    """

    name: str
    tries: Tries
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of an attack. Without any try it is broken as well: nobody knows whether it held."""

    attack: str
    tries: Sequence[Try]

    @property
    def held(self) -> bool:
        return bool(self.tries) and all(each.held for each in self.tries)

    @property
    def sent(self) -> str:
        """The first that was sent, or the first that did not hold."""
        shown = next((each for each in self.tries if not each.held), self.tries[0] if self.tries else None)
        more = f" (+{len(self.tries) - 1})" if len(self.tries) > 1 else ""
        return f"{shown.sent}{more}" if shown else "nothing"

    @property
    def came_back(self) -> str:
        """What came back, the most frequent first; of a broken one what did not hold."""
        shown = [each.came_back for each in self.tries if each.held == self.held]
        return ", ".join(told for told, _ in Counter(shown).most_common(3))


def attack(name: str, *, waits: bool = False) -> Callable[[Tries], Tries]:
    """Enter a function as an attack of this name."""

    def entered(tries: Tries) -> Tries:
        ATTACKS.append(Attack(name, tries, waits))
        return tries

    return entered


def carried_out(attack: Attack, place: Place) -> Verdict:
    """Carry out an attack. One that cannot be carried out did not hold."""
    tries: list[Try] = []
    try:
        tries.extend(attack.tries(place))
    except Exception as error:  # noqa: BLE001 (whatever it is, the others are still tried)
        tries.append(Try("not carried out", f"{type(error).__name__}: {error}"[:_LONGEST_TOLD], held=False))
    return Verdict(attack.name, tries)


def answered(sent: str, answer: httpx.Response, expected: int | Collection[int], *, without: str = "") -> Try:
    """A request that holds when it is answered with the expected status, and without a text that must not come out."""
    statuses = {expected} if isinstance(expected, int) else expected
    leaked = bool(without) and without in answer.text
    came_back = f"{answer.status_code}{' with what is hidden' if leaked else ''}"
    return Try(sent, came_back, held=answer.status_code in statuses and not leaked)
