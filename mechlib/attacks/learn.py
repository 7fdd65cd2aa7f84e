"""Where agents end that learn, by being paid, what to report under a rule."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from mechlib.attacks.learners import Exp3, Hedge
from mechlib.mechanism import Array, Floats, Ints, Rule, counted, function
from mechlib.settings import Setting, show

_KEPT = 2**23  # numbers that are kept of what profiles earned
_BATCH = 2**16  # profiles that are played at once
_TRIED = 4096  # random plays that find the range of payoffs


@dataclass(frozen=True, repr=False)
class Learned:
    """What came of learning.

    Attributes
    ----------
    setting : Setting
    chances : tuple of arrays (lives, k_i, r_i)
        How often each type of each agent makes each of its reports, on average over the second half of its life.
    path : array (10, lives, n)
        The report of each agent less its type, on average over each tenth of its life; NaN where those are no numbers.
    gain : array (lives, n)
        What an agent earned a round, over the second half, above what the truth would have earned in its place.
    revenue : array (10, lives)
        What the designer collected a round, by tenths.
    """

    setting: Setting
    chances: tuple[Floats, ...]
    path: Floats
    gain: Floats
    revenue: Floats

    def reports(self, agent: int = 0) -> Floats:
        """Return what each type of an agent came to report, (lives, k): the mean; silence counts as 0."""
        return np.asarray(self.chances[agent] @ np.nan_to_num(self.setting.grids[agent].astype(float)))

    def favourite(self, agent: int = 0) -> list[Any]:
        """Return the report that each type of an agent makes most often, over all lives, (k,)."""
        likeliest = self.chances[agent].mean(axis=0).argmax(axis=1)
        return [self.setting.grids[agent][k].item() for k in likeliest]

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the type, the mean report and its standard error, and the gain, for each type of agent 0."""
        types = self.setting.grids[0][: self.setting.honest[0]]
        said = self.reports() if np.issubdtype(types.dtype, np.number) else None
        lines = []
        for k, kind in enumerate(types):
            most = f"mostly {self.setting.by(0, self.favourite()[k])}"
            mean = "" if said is None else f"{said[:, k].mean():.2f} ± {_error(said[:, k]):.2f}"
            lines.append((self.setting.of(0, kind.item()), mean, most))
        return lines

    def __repr__(self) -> str:
        gain = f"gains {show(float(self.gain[:, 0].mean()))} ± {_error(self.gain[:, 0]):.2g} a round above the truth"
        return "\n".join([f"agent 0 {gain}", *(f"  {who:16}{mean:>14}  {most}" for who, mean, most in self.rows())])

    def _repr_html_(self) -> str:
        gain = f"{show(float(self.gain[:, 0].mean()))} ± {_error(self.gain[:, 0]):.2g}"
        body = "".join(f'<tr><th scope="row">{html.escape(who)}</th><td>{mean}</td><td>{html.escape(most)}</td></tr>'
                       for who, mean, most in self.rows())
        return (f"<table><caption>Agent 0 learns: it gains {gain} a round above the truth</caption><thead><tr>"
                f"<th>type</th><th>reports</th><th></th></tr></thead><tbody>{body}</tbody></table>")


def learn(
    rule: Rule, setting: Setting, *, learner: Literal["hedge", "bandit"] = "hedge", who: Sequence[int] | None = None,
    rounds: int = 2000, lives: int = 100, seed: int = 0,
) -> Learned:
    """Let simulated agents play a rule over and over and learn, for each of their types apart, what to report.

    Each round types are drawn afresh, and what turns out with them. Hedge learns from what every report would have
    earned against the reports that were made (Freund & Schapire 1997); a bandit, Exp3, from what its own earned alone,
    and tries something at random a tenth of the time (Auer et al. 2002). Payoffs are scaled by the range that random
    plays find. A progress bar comes up after a second.

    Parameters
    ----------
    rule : callable
        As in `audit`, with the same setting.
    setting : Setting
    learner : {"hedge", "bandit"}
    who : sequence of int, optional
        The agents that learn; the others are honest. By default all of them do.
    rounds, lives : int
        A multiple of ten rounds; so many independent copies of the whole play run side by side.
    seed : int

    Returns
    -------
    Learned

    Raises
    ------
    ValueError
        For an unknown learner or agent, for rounds that are no multiple of ten, and for what `audit` refuses.
    """
    function("rule", rule)
    if not isinstance(setting, Setting):
        raise TypeError(f"setting is {setting!r:.80}: it must be a Setting, such as Values(types, n)")
    n = len(setting.grids)
    if who is not None and (isinstance(who, str | bytes) or not isinstance(who, Iterable)):
        raise TypeError(f"who is {who!r:.80}: it must be the numbers of the agents that learn")
    learning = [*range(n)] if who is None else [counted("who", agent, 0) for agent in who]
    if learner not in ("hedge", "bandit"):
        raise ValueError(f"learner is {learner!r}: it must be 'hedge' (sees what every report would have earned) or "
                         "'bandit' (sees what its own earned)")
    counted("lives", lives, most=10**6), counted("seed", seed, 0)
    if counted("rounds", rounds, most=10**8) % 10 or not set(learning) <= {*range(n)} or not learning:
        raise ValueError(f"rounds is {rounds} and who {learning}: take a multiple of ten, and agents from 0 to {n - 1}")
    rng, plays = np.random.default_rng(seed), _Plays(rule, setting)
    plays.fill_all(most=rounds * lives)
    plays.find_range(rng)
    learning = [*dict.fromkeys(learning)]
    kinds = itertools.groupby(learning, key=lambda i: (plays.honest[i], plays.sizes[i]))
    groups = [_Alike([*agents], learner, plays, rounds, lives) for _, agents in kinds]
    lived, every = _Lived(plays, learning, lives), rounds // 10
    for now in tqdm(range(rounds), desc="learning", unit="round", delay=1.0, leave=False):
        (window, turn), late = divmod(now, every), now >= rounds // 2
        if turn == 0:
            drawn, turned_out = (table.reshape(every, lives, n) for table in plays.draw(rng, every * lives))
            profiles = np.concatenate([drawn, turned_out], axis=2)  # the truth has the number of the type
            for group in groups:
                group.find(drawn)
        types, profile = drawn[turn], profiles[turn]
        for group in groups:
            profile[:, group.agents] = group.choose(rng, turn)
        for group in groups:
            if late:
                group.count()
            group.learn(types, profile)
        if turn == every - 1:
            lived.add(window, drawn, profiles, late)
    half = rounds - rounds // 2
    often = {agent: table / half for group in groups for agent, table in zip(group.agents, group.often, strict=True)}
    truth = (np.tile(np.eye(plays.honest[i], plays.sizes[i]), (lives, 1, 1)) for i in range(n))
    chances = tuple(often.get(i, honest) for i, honest in enumerate(truth))
    return Learned(setting, chances, lived.path * 10 / rounds, lived.gain / half, lived.revenue * 10 / rounds)


class _Alike:
    """Agents with as many types and reports as each other: one batch of learners, a replica for each type in each life.

    ``often`` sums the chances of their reports, (agents, lives, types, reports).
    """

    def __init__(self, agents: list[int], learner: str, plays: _Plays, rounds: int, lives: int) -> None:
        self.agents, self.plays = agents, plays
        types, reports = plays.honest[agents[0]], plays.sizes[agents[0]]
        self.often = np.zeros((len(agents), lives, types, reports))
        self.first = types * np.arange(len(agents) * lives).reshape(len(agents), lives)
        self.player: Hedge | Exp3
        if learner == "bandit":
            self.player = Exp3(reports, 0.1, (self.first.size * types,))
        else:
            rate = Hedge.best_rate(reports, max(rounds // types, 1))
            self.player = Hedge(reports, rate, (self.first.size * types,))

    def find(self, drawn: Ints) -> None:
        """Find the replicas that will play in each of the coming rounds, by the types drawn, (rounds, lives, n)."""
        self.rows = (self.first + drawn[:, :, self.agents].swapaxes(1, 2)).reshape(len(drawn), -1)

    def choose(self, rng: np.random.Generator, turn: int) -> Ints:
        """Draw what these agents report in one of these rounds, (lives, agents)."""
        self.at = self.rows[turn]
        self.told = self.player.choose(rng, at=self.at)
        return self.told.reshape(self.first.shape).T

    def count(self) -> None:
        """Count the chances of this round in."""
        self.often += self.player.probabilities.reshape(self.often.shape)

    def learn(self, types: Ints, profile: Ints) -> None:
        """Learn from a round that was played: Hedge from what every report would have earned."""
        if isinstance(self.player, Hedge):
            would = [self.plays.shares(agent, types, profile) for agent in self.agents]
            self.player.update(np.concatenate(would), at=self.at)
        else:
            earned, _ = self.plays.earned(self.agents, types, profile)
            self.player.update(self.told, self.plays.scaled(earned.ravel()), at=self.at)


class _Lived:
    """What came of the rounds that were lived: sums over rounds of what `Learned` holds as means."""

    def __init__(self, plays: _Plays, learning: list[int], lives: int) -> None:
        self.plays, self.learning = plays, learning
        self.path, self.gain = np.zeros((10, lives, plays.n)), np.zeros((lives, plays.n))
        self.revenue = np.zeros((10, lives))
        grids = plays.setting.grids
        if all(np.issubdtype(grid.dtype, np.number) and grid.ndim == 1 for grid in grids):
            self.values = [np.nan_to_num(grid.astype(float)) for grid in grids]
        else:
            self.values = [np.full(len(grid), math.nan) for grid in grids]

    def add(self, window: int, drawn: Ints, profiles: Ints, late: bool) -> None:
        """Add the rounds of a tenth of a life: the types and the profiles, (rounds, lives, ...)."""
        lives = len(self.gain)
        some = max(_BATCH // lives, 1)
        for first in range(0, len(drawn), some):
            types, profile = (table[first : first + some].reshape(-1, table.shape[2]) for table in (drawn, profiles))
            earned, paid = self.plays.earned(self.learning, types, profile)
            self.revenue[window] += paid.reshape(-1, lives).sum(axis=0)
            for mine, i in zip(earned, self.learning, strict=True):
                above = self.values[i][profile[:, i]] - self.values[i][types[:, i]]
                self.path[window, :, i] += above.reshape(-1, lives).sum(axis=0)
                if late:
                    gained = mine - self.plays.honestly(i, types, profile)
                    self.gain[:, i] += gained.reshape(-1, lives).sum(axis=0)


class _Plays:
    """What profiles earn; kept where there are few enough of them.

    A profile is what each agent reports, by number, and after that what turns out for each, (batch, 2n). ``worth[i]``
    holds what agent i earns, (what is beside it, its type, its report); `places` turns a profile into its own number
    and those of what is beside each agent. Learners are told payoffs as shares of the range that random plays find.
    """

    def __init__(self, rule: Rule, setting: Setting) -> None:
        self.setting, self.play = setting, setting.ex_post(rule)
        self.low, self.span = 0.0, 1.0
        self.sizes, self.honest = [len(grid) for grid in setting.grids], [*setting.honest]
        self.n, self.full = len(self.sizes), False
        self.levels = [*self.sizes, *[1 + setting.uncertain] * self.n]
        size = math.prod(self.levels)
        self.kept = size * sum(self.honest) <= _KEPT
        if not self.kept:
            return
        beside = [size // reports for reports in self.sizes]
        self.known, self.complete = np.zeros(size, bool), [np.zeros(count, bool) for count in beside]
        self.worth = [np.zeros(shape) for shape in zip(beside, self.honest, self.sizes, strict=True)]
        self.paid = np.zeros(size)
        self.places = np.stack([_strides(self.levels, left_out) for left_out in (None, *range(self.n))], axis=1)

    def draw(self, rng: np.random.Generator, lives: int) -> tuple[Ints, Ints]:
        """Draw types, by number, and what turns out with them, both (lives, n)."""
        drawn = self.setting.draw(rng, lives)
        found = self.setting.turn_out(rng, drawn)
        return self._numbers(drawn), found

    def _numbers(self, drawn: Array) -> Ints:
        columns = []
        for i, honest in enumerate(self.honest):
            same = drawn[:, i, None] == self.setting.grids[i][:honest]
            columns.append((same if same.ndim == 2 else same.all(axis=2)).argmax(axis=1))
        return np.stack(columns, axis=1)

    def earned(self, agents: Sequence[int], types: Ints, profile: Ints) -> tuple[Floats, Floats]:
        """Return what some agents earn (agents, batch), and what the designer collects (batch,)."""
        if not self.kept:
            played = self._play(profile)
            own = [played.own(i, self.setting.grids[i][types[:, i]]) for i in agents]
            return np.array(own), self._collected(played)
        code, *beside = (profile @ self.places).T
        self._fill(code)
        own = [self.worth[i][beside[i], types[:, i], profile[:, i]] for i in agents]
        return np.array(own), self.paid[code]

    def honestly(self, agent: int, types: Ints, profile: Ints) -> Floats:
        """Return what one agent would have earned by the truth (batch,); the others' reports are as they were."""
        honest = profile.copy()
        honest[:, agent] = types[:, agent]
        return np.asarray(self.earned([agent], types, honest)[0][0])

    def scaled(self, payoffs: Floats) -> Floats:
        """Return payoffs as shares of the range."""
        return np.minimum(np.maximum((payoffs - self.low) / self.span, 0.0), 1.0)  # np.clip takes twice as long

    def shares(self, agent: int, types: Ints, profile: Ints) -> Floats:
        """Return what `each` does, as shares of the range."""
        if not self.full:
            return self.scaled(self.each(agent, types, profile))
        rows = (profile @ self.places[:, agent + 1]) * self.honest[agent] + types[:, agent]
        return np.asarray(self.known_shares[agent].take(rows, axis=0))

    def each(self, agent: int, types: Ints, profile: Ints) -> Floats:
        """Return what one agent would have earned by each of its reports (batch, m); the others' are as they were."""
        if self.kept:
            beside = profile @ self.places[:, agent + 1]
            if not self.complete[agent][beside].all():
                self._fill(self._tried(agent, profile) @ self.places[:, 0])
                self.complete[agent][beside] = True
            return np.asarray(self.worth[agent][beside, types[:, agent]])
        own = self.setting.grids[agent][np.repeat(types[:, agent], self.sizes[agent])]
        return np.asarray(self._play(self._tried(agent, profile)).own(agent, own).reshape(len(profile), -1))

    def _tried(self, agent: int, profile: Ints) -> Ints:
        """Return the profiles in which an agent makes each of its reports, (batch * m, 2n)."""
        reports = self.sizes[agent]
        tried = np.repeat(profile, reports, axis=0)
        tried[:, agent] = np.tile(np.arange(reports), len(profile))
        return tried

    def find_range(self, rng: np.random.Generator) -> None:
        """Find the lowest payoff of random plays, and how far the highest is above it."""
        types, found = self.draw(rng, _TRIED)
        told = np.stack([rng.integers(size, size=_TRIED) for size in self.sizes], axis=1)
        earned, _ = self.earned(range(self.n), types, np.concatenate([told, found], axis=1))
        if not np.isfinite(earned).all():
            raise ValueError("some reports earn an infinite amount, from which nobody can learn: bound the rule, or "
                             "keep its reports off the ends")
        self.low, self.span = float(earned.min()), max(float(np.ptp(earned)), 1e-12)
        if self.full:
            self.known_shares = [self.scaled(worth).reshape(-1, worth.shape[2]) for worth in self.worth]

    def fill_all(self, most: int) -> None:
        """Play every profile at once, if there are no more of them than `most` and the rule takes batches."""
        if self.kept and self.play.batched and len(self.known) <= most:
            for first in range(0, len(self.known), _BATCH):
                self._fill(np.arange(first, min(first + _BATCH, len(self.known))))
            self.full = True

    def _fill(self, codes: Ints) -> None:
        """See to it that it is known what profiles, given by number, earn."""
        if not (self.full or (known := self.known[codes]).all()):
            fresh = np.unique(codes[~known])
            profile = np.stack(np.unravel_index(fresh, self.levels), axis=1)
            played = self._play(profile)
            _, *beside = (profile @ self.places).T
            for i, honest in enumerate(self.honest):
                self.worth[i][beside[i], :, profile[:, i]] = played.utility(i, self.setting.grids[i][:honest]).T
            self.paid[fresh], self.known[fresh] = self._collected(played), True

    def _play(self, profile: Ints) -> Any:
        columns = zip(self.setting.grids, profile.T[: self.n], strict=True)
        return self.play(np.stack([grid[told] for grid, told in columns], axis=1), profile[:, self.n :].astype(float))

    def _collected(self, played: Any) -> Floats:
        return np.asarray(played.mean if len(played.mean) else np.zeros(len(played)))


def _strides(levels: Sequence[int], left_out: int | None) -> list[int]:
    """Return by what each part of a profile counts in the number of the profile, or of what is beside one agent."""
    counts = [1 if k == left_out else size for k, size in enumerate(levels)]
    return [math.prod(counts[k + 1 :]) * (k != left_out) for k in range(len(levels))]


def _error(sample: Floats) -> float:
    return float(sample.std(ddof=1) / math.sqrt(len(sample))) if len(sample) > 1 else math.nan
