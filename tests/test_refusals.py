"""What is refused is named: every argument that must hold numbers, in every rule and every attack."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from mechlib.attacks.audit import audit
from mechlib.attacks.learn import learn
from mechlib.attacks.sampled import audit_sampled
from mechlib.rules import auctions, budget, calibration, choice, paths, peer, revelation, scoring, vcg
from mechlib.settings import Values

EDGE, MARKS = [(0, 1)], np.ones((2, 2))
SHIPPED = partial(choice.score_auction, [0.5, 0.5])
LEARN = partial(learn, auctions.second_price, Values([0, 1], 2))
SAMPLE = partial(audit_sampled, auctions.second_price, Values([0, 1], 2))
WORDS = ["high", "low"]
ARRAYS: list[tuple[str, Callable[..., object]]] = [
    ("bids", auctions.first_price),
    ("bids", auctions.all_pay),
    ("bids", lambda x: auctions.posted_price(x, 1)),
    ("price", lambda x: auctions.posted_price([1, 2], x)),
    ("costs", lambda x: budget.budget_feasible(x, [1, 1], 1)),
    ("values", lambda x: budget.budget_feasible([1, 1], x, 1)),
    ("confidence", lambda x: calibration.auc(x, [1, 0])),
    ("correct", lambda x: calibration.auc([0.5, 0.5], x)),
    ("confidence", lambda x: scoring.quadratic(x, 1)),
    ("accuracy", lambda x: scoring.quadratic(1, x)),
    ("confidence", lambda x: scoring.expected_score(scoring.quadratic, x, 0.5)),
    ("belief", lambda x: scoring.expected_score(scoring.quadratic, 0.5, x)),
    ("accuracies", lambda x: scoring.expected_score(scoring.quadratic, 0.5, [0.5, 0.5], x)),
    ("reports", choice.highest),
    ("reports", lambda x: choice.best_mark(x, MARKS)),
    ("marks", lambda x: choice.best_mark([1, 1], x)),
    ("marks", lambda x: choice.impartial([1, 1], x)),
    ("reports", lambda x: choice.score_auction(x, [1, 1], [0, 0])),
    ("found", lambda x: SHIPPED(x, [0, 0])),
    ("costs", lambda x: SHIPPED([1, 1], x)),
    ("costs", lambda x: paths.vcg_path(EDGE, x, 0, 1)),
    ("edges", lambda x: paths.vcg_path(x, [1], 0, 1)),
    ("reports", peer.output_agreement),
    ("reports", peer.peer_truth_serum),
    ("reports", lambda x: peer.determinant_mi(x, 2)),
    ("peers", lambda x: peer.output_agreement(MARKS, x)),
    ("signature", lambda x: peer.correlated_agreement(MARKS, signature=x)),
    ("forecasts", lambda x: peer.bayesian_truth_serum(MARKS, x)),
    ("scores", lambda x: peer.select_impartially(x, 1, np.random.default_rng(0))),
    ("values", lambda x: revelation.first_price_equilibrium(2)(x)),
    ("valuations", vcg.vcg),
    ("values", vcg.vcg_assignment),
    ("values", lambda x: vcg.vcg_knapsack(x, [1, 1], 1)),
    ("sizes", lambda x: vcg.vcg_knapsack([1, 1], x, 1)),
    ("the bids' values", lambda x: vcg.vcg_combinatorial([(0, frozenset("a"), word) for word in x], "a")),
    ("feasible", lambda x: audit(auctions.second_price, Values([0, 1], 2), feasible=x)),
]
COUNTS: list[tuple[str, Callable[..., object]]] = [
    ("units", lambda k: auctions.vickrey([1, 2], k)),
    ("bins", lambda k: calibration.reliability([0.5], [1], k)),
    ("source", lambda k: paths.vcg_path(EDGE, [1], k, 1)),
    ("target", lambda k: paths.vcg_path(EDGE, [1], 0, k)),
    ("choices", lambda k: peer.correlated_agreement(MARKS, choices=k)),
    ("choices", lambda k: peer.determinant_mi(np.ones((2, 9)), k)),
    ("k", lambda k: peer.select_impartially(MARKS, k, np.random.default_rng(0))),
    ("n", revelation.first_price_equilibrium),
    ("capacity", lambda k: vcg.vcg_knapsack([1, 1], [1, 1], k)),
    ("bids[0]'s agent", lambda k: vcg.vcg_combinatorial([(k, frozenset("a"), 1.0)], "a")),
    ("rounds", lambda k: LEARN(rounds=k)),
    ("lives", lambda k: LEARN(rounds=10, lives=k)),
    ("samples", lambda k: SAMPLE(samples=k)),
    ("lies", lambda k: SAMPLE(samples=1, lies=k)),
]


@pytest.mark.parametrize(("name", "call"), ARRAYS, ids=[name for name, _ in ARRAYS])
def test_words_where_numbers_are_due_are_refused_by_the_argument_s_name(name: str, call: Callable[..., object]) -> None:
    with pytest.raises(ValueError) as refused:
        call(WORDS)
    assert str(refused.value).startswith(f"{name} must be an array")


@pytest.mark.parametrize(("name", "call"), [
    ("reserve", lambda x: auctions.vickrey([1, 2], 1, x)),
    ("budget", lambda x: budget.budget_feasible([1, 1], [1, 1], x)),
])  # fmt: skip
def test_words_where_one_number_is_due_are_refused_by_the_argument_s_name(
    name: str, call: Callable[..., object]
) -> None:
    with pytest.raises(ValueError) as refused:
        call(WORDS)
    assert str(refused.value).startswith(f"{name} is ['high', 'low']: it must be one number")


@pytest.mark.parametrize(("name", "call"), COUNTS, ids=[name for name, _ in COUNTS])
def test_a_number_that_counts_nothing_is_refused_by_the_argument_s_name(name: str, call: Callable[..., object]) -> None:
    for number in (-1, 1.5):
        with pytest.raises(ValueError) as refused:
            call(number)
        assert str(refused.value).startswith(f"{name} is {number}")
