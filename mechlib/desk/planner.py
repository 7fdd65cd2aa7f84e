"""The planner: who works on a task. Places go by reputation, which is what the ledger knows of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mechlib.desk.ledger import Ledger
from mechlib.mechanism import counted, real


@dataclass(frozen=True)
class Planner:
    """Picks the team of each round. What its settings mean stands in `mechlib.Coordinator`, which takes the same.

    Attributes
    ----------
    ledger : Ledger
        Where results are written down.
    owners : mapping of str to str
        Who is behind each agent, by its name, in the order in which agents are listed.
    team_size : int
        How many owners have a place.
    seed : int
        With a round's number, the seed of the draws by which agents are trusted.

    Raises
    ------
    ValueError
        If a setting is out of range; it says which.
    """

    ledger: Ledger
    owners: Mapping[str, str]
    team_size: int
    exploration: float = 0.1
    discount: float = 0.95
    newcomer: float | Literal["known"] = "known"
    newcomer_weight: float = 1.0
    reputation: Literal["found", "reward"] = "found"
    trust: Literal["mean", "drawn"] = "mean"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, given, known in (("reputation", self.reputation, ("found", "reward")),
                                   ("trust", self.trust, ("mean", "drawn"))):
            if given not in known:
                raise ValueError(f'{name} must be "{known[0]}" or "{known[1]}"; it is {given!r}')
        counted("team_size", self.team_size)
        if self.team_size > len(self.owners):
            raise ValueError(f"team_size must lie in 1..{len(self.owners)}; it is {self.team_size}")
        real("exploration", self.exploration, "[0, 1]"), real("discount", self.discount, "(0, 1]")
        real("newcomer_weight", self.newcomer_weight, "[0, inf)")
        if not (isinstance(self.newcomer, str) and self.newcomer == "known"):
            real("newcomer", self.newcomer)
        seats = len(set(self.owners.values()))
        if self.team_size > seats:
            raise ValueError(f"owners are {seats}, and each takes one place in a team: team_size must lie in "
                             f"1..{seats}")

    def team(self, number: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Pick a team: each place goes to the best reputation left, or now and then to anybody."""
        names = list(self.owners)
        owned: dict[str, list[str]] = {}
        for name, owner in self.owners.items():
            owned.setdefault(owner, []).append(name)
        everybody = self.team_size == len(names)  # then nobody's reputation matters
        trust = dict.fromkeys(owned, 0.0) if everybody else self._trust(owned)
        if self.trust == "drawn" and not everybody:
            trust = self._drawn(trust, owned, np.random.default_rng([self.seed, number, 2]))
        of_an_owner = np.random.default_rng([self.seed, number, 3])  # so that more names change no other draw
        shuffled = [list(owned)[k] for k in rng.permutation(len(owned))]
        rest = sorted(shuffled, key=lambda owner: -trust[owner])
        team = []
        for _ in range(self.team_size):
            mine = owned[rest.pop(int(rng.integers(len(rest))) if rng.random() < self.exploration else 0)]
            team.append(mine[int(of_an_owner.integers(len(mine)))])
        return tuple(sorted(team, key=names.index))

    def _trust(self, owned: Mapping[str, list[str]]) -> dict[str, float]:
        """Return the reputation of every owner: that of one agent with all its names' results."""
        known: float | None
        if self.newcomer == "known":
            known = self.ledger.newcomers(of=self.reputation, owners=self.owners)
        else:
            known = float(self.newcomer)
        start = 0.0 if known is None else known
        return {owner: self.ledger.reputation(name, self.discount, start, self.reputation, self.newcomer_weight, also)
                for owner, (name, *also) in owned.items()}

    def _drawn(
        self, trust: Mapping[str, float], owned: Mapping[str, list[str]], rng: np.random.Generator
    ) -> dict[str, float]:
        """Return one draw for each owner of what it may be worth: a result varies by about a half."""
        known = [self.ledger.evidence(name, self.discount, self.reputation, also) for name, *also in owned.values()]
        wide = 0.5 / np.sqrt(np.array(known) + max(self.newcomer_weight, 1.0))
        draws = rng.normal([*trust.values()], wide)
        return {owner: float(draw) for owner, draw in zip(trust, draws, strict=True)}
