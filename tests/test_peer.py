"""Peer prediction and impartial selection: the theory's claims, its oracles, and the definitions as plain loops."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechlib.rules.peer import (
    bayesian_truth_serum,
    correlated_agreement,
    determinant_mi,
    output_agreement,
    peer_truth_serum,
    select_impartially,
)

IDENTITY = np.eye(2)
REPORTS = st.tuples(st.integers(2, 5), st.integers(1, 9), st.integers(1, 3)).flatmap(
    lambda s: arrays(np.int64, s[:2], elements=st.integers(-1, s[2] - 1))
)
REPORT_RULES = [output_agreement, correlated_agreement, peer_truth_serum]


def two_graders(accuracy: float, correlation: float, scale: int = 10_000) -> np.ndarray:
    """Two equally good graders of balanced binary tasks, their errors correlated, in exact proportions."""
    wrong = 1 - accuracy
    both = wrong**2 + correlation * wrong * accuracy
    counts = np.round(scale * np.array([1 - 2 * wrong + both, wrong - both, wrong - both, both])).astype(int)
    errors = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], counts, axis=0)
    return np.concatenate([errors, 1 - errors]).T


def independent_pair(first: float, second: float, scale: int = 100) -> np.ndarray:
    """Two graders with independent errors, in exact proportions."""
    a = np.arange(scale) >= round(first * scale)
    b = np.arange(scale) >= round(second * scale)
    errors = np.stack(np.meshgrid(a, b, indexing="ij")).reshape(2, -1).astype(int)
    return np.concatenate([errors, 1 - errors], axis=1)


def garbled(reports: np.ndarray, flip: float) -> np.ndarray:
    """Agent 0 turns every k-th of its answers round, the same share in each cell of the joint distribution."""
    out = reports.copy()
    step = round(1 / flip)
    for cell in range(4):
        where = np.flatnonzero(2 * reports[0] + reports[1] == cell)
        out[0, where[::step]] = 1 - out[0, where[::step]]
    return out


def test_all_saying_good_is_an_equilibrium_of_output_agreement_that_pays_the_maximum() -> None:
    lazy = np.zeros((4, 50), dtype=int)
    honest = np.random.default_rng(0).integers(0, 2, (4, 50))
    deviation = lazy.copy()
    deviation[0] = honest[0]
    assert np.all(output_agreement(lazy) == 1.0)
    assert output_agreement(deviation)[0] < 1.0
    assert np.all(output_agreement(honest) < 1.0)


def test_shared_errors_leave_truth_best_under_correlated_agreement() -> None:
    reports = two_graders(0.7, 0.7)
    truth = correlated_agreement(reports, signature=IDENTITY)[0]
    noisy = correlated_agreement(garbled(reports, 0.2), signature=IDENTITY)[0]
    constant = correlated_agreement(np.stack([0 * reports[0], reports[1]]), signature=IDENTITY)[0]
    assert truth == pytest.approx(0.374, abs=1e-3)
    assert noisy == pytest.approx(0.2244, abs=1e-3)
    assert constant == pytest.approx(0.0, abs=1e-12)


def test_shared_errors_break_the_ranking_under_correlated_agreement() -> None:
    expert_beside_copy = correlated_agreement(independent_pair(0.85, 0.70), signature=IDENTITY)[0]
    copy_beside_copy = correlated_agreement(two_graders(0.7, 0.7), signature=IDENTITY)[0]
    assert expert_beside_copy == pytest.approx(0.14, abs=1e-3)
    assert copy_beside_copy > expert_beside_copy + 0.2


def test_pairing_across_families_mends_the_ranking() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 40_000)
    family = rng.random(40_000) < 0.3
    copies = [truth ^ np.where(rng.random(40_000) < 0.8, family, rng.random(40_000) < 0.3) for _ in range(2)]
    others = [truth ^ (rng.random(40_000) < 0.15) for _ in range(2)]
    reports = np.array([*copies, *others])
    outside = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]], dtype=bool)
    one_expert = correlated_agreement(reports[:3])
    assert one_expert[:2].min() > one_expert[2]
    paired = correlated_agreement(reports, peers=outside)
    assert paired[2:].min() > paired[:2].max() - 0.01  # the pair term is symmetric: no copy is ahead of an expert
    assert np.ptp(paired) < 0.01
    one_outsider = np.arange(4)[None, :] == np.array([3, 3, 3, 2])[:, None]
    judged = correlated_agreement(reports, peers=one_outsider)
    assert judged[2] > judged[:2].max() + 0.1


def test_no_garbling_of_the_signal_beats_truth_under_correlated_agreement() -> None:
    reports = two_graders(0.8, 0.3, scale=1000)
    truth = correlated_agreement(reports)[0]
    for strategy in ([0, 0], [1, 1], [1, 0]):
        lie = np.stack([np.array(strategy)[reports[0]], reports[1]])
        assert correlated_agreement(lie, signature=IDENTITY)[0] < truth
    for flip in (0.5, 0.25, 0.1):
        assert correlated_agreement(garbled(reports, flip), signature=IDENTITY)[0] < truth


def naive_correlated_agreement(reports: np.ndarray, s: np.ndarray) -> np.ndarray:
    n, tasks = reports.shape
    pay = []
    for i in range(n):
        same, cross = [], []
        for j in range(n):
            for t in range(tasks):
                for u in range(tasks):
                    if i != j and reports[i, t] >= 0 and reports[j, u] >= 0:
                        (same if t == u else cross).append(s[reports[i, t], reports[j, u]])
        pay.append((np.mean(same) if same else 0.0) - (np.mean(cross) if cross else 0.0))
    return np.array(pay)


@settings(max_examples=60, deadline=None)
@given(REPORTS)
def test_correlated_agreement_is_the_papers_double_loop(reports: np.ndarray) -> None:
    signature = np.array([[1.0, 0.0, 0.5], [0.25, 1.0, 0.0], [0.0, 0.75, 0.25]])
    ours = correlated_agreement(reports, choices=3, signature=signature)
    np.testing.assert_allclose(ours, naive_correlated_agreement(reports, signature), atol=1e-12)
    all_peers = np.ones((len(reports), len(reports)))  # an agent is no peer of itself, whatever the diagonal says
    np.testing.assert_allclose(
        correlated_agreement(reports, all_peers, choices=3, signature=signature), ours, atol=1e-12)


@pytest.mark.no_cover
@settings(max_examples=60, deadline=None)
@given(REPORTS)
def test_a_learnt_signature_is_what_goes_together_more_often_than_by_chance(reports: np.ndarray) -> None:
    same, cross = np.zeros((3, 3)), np.zeros((3, 3))
    n, tasks = reports.shape
    for i, j in itertools.permutations(range(n), 2):
        for t, u in itertools.product(range(tasks), repeat=2):
            if reports[i, t] >= 0 and reports[j, u] >= 0:
                (same if t == u else cross)[reports[i, t], reports[j, u]] += 1
    signature = (same * cross.sum() > cross * same.sum()).astype(float)
    ours = correlated_agreement(reports, choices=3)
    np.testing.assert_allclose(ours, naive_correlated_agreement(reports, signature), atol=1e-12)


def test_correlated_agreement_learns_which_answers_go_together() -> None:
    rng = np.random.default_rng(2)
    signal = rng.integers(0, 2, 4000)
    reports = np.stack([signal, (signal + 1) % 2])  # opposite names for the same thing
    np.testing.assert_allclose(correlated_agreement(reports), [0.5, 0.5], atol=0.02)
    assert output_agreement(reports).max() == 0.0


@settings(max_examples=40, deadline=None)
@given(REPORTS.filter(lambda r: r.shape[1] > 1), st.integers(0, 4))
def test_a_constant_report_earns_nothing_across_tasks(reports: np.ndarray, value: int) -> None:
    everyone_answered = np.where(reports < 0, 0, reports)
    everyone_answered[0] = value
    pay = correlated_agreement(everyone_answered, signature=np.eye(5), choices=5)
    assert pay[0] == pytest.approx(0.0, abs=1e-12)


def test_a_random_report_earns_nothing_in_the_mean() -> None:
    rng = np.random.default_rng(3)
    reports = np.broadcast_to(two_graders(0.8, 0.0, scale=100), (400, 2, 200)).copy()
    reports[:, 0] = rng.integers(0, 2, (400, 200))
    agreement = correlated_agreement(reports, signature=IDENTITY)
    for pay in (agreement, determinant_mi(reports, 2), peer_truth_serum(reports)):
        assert abs(pay[:, 0].mean()) < 4 * pay[:, 0].std() / 20


def test_determinant_pays_the_squared_determinant_in_the_mean() -> None:
    rng = np.random.default_rng(4)
    joint = np.array([[0.4, 0.1], [0.15, 0.35]])
    cells = rng.choice(4, p=joint.ravel(), size=(4000, 12))
    pay = determinant_mi(np.stack([cells // 2, cells % 2], axis=1), 2)[:, 0]
    assert abs(pay.mean() - np.linalg.det(joint) ** 2) < 4 * pay.std() / np.sqrt(len(pay))


@pytest.mark.parametrize("flip", [1 / 9, 1 / 5, 1 / 3])  # odd steps: as much in both halves of the tasks
def test_turning_answers_round_costs_what_it_takes_off_the_determinant(flip: float) -> None:
    reports = two_graders(0.8, 0.3)
    truth, lie = determinant_mi(reports, 2)[0], determinant_mi(garbled(reports, flip), 2)[0]
    assert lie == pytest.approx((1 - 2 * flip) ** 2 * truth, abs=1e-4)


def test_determinant_pays_nothing_to_a_constant_and_ignores_the_names_of_the_answers() -> None:
    reports = np.random.default_rng(5).integers(0, 3, (4, 30))
    lazy = reports.copy()
    lazy[1] = 2
    assert determinant_mi(lazy, 3)[1] == 0.0
    renamed = reports.copy()
    renamed[0] = np.array([2, 0, 1])[reports[0]]
    np.testing.assert_allclose(determinant_mi(renamed, 3), determinant_mi(reports, 3), atol=1e-15)


def test_the_determinant_pays_nothing_where_nobody_says_anything_else() -> None:
    """Choices are part of the question: read off the reports there would be one, whose determinant counts tasks."""
    np.testing.assert_array_equal(determinant_mi(np.zeros((3, 4), int), 2), [0, 0, 0])
    with pytest.raises(TypeError, match="choices"):
        determinant_mi(np.zeros((3, 4), int))  # type: ignore[call-arg]


def test_determinant_skips_pairs_that_share_too_few_tasks() -> None:
    reports = np.array([[0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 1, 0, 1, 1], [0, 1, 1, 0, 1, 0, 1, 1]])
    with_stranger = reports.copy()
    with_stranger[2, 3:] = -1
    pay = determinant_mi(with_stranger, 2)
    assert pay[0] > 0
    np.testing.assert_allclose(pay[:2], determinant_mi(reports[:2], 2))
    assert pay[2] == 0.0


def naive_peer_truth_serum(reports: np.ndarray) -> np.ndarray:
    n, tasks = reports.shape
    pay = []
    for i in range(n):
        earned = []
        for t in range(tasks):
            here = [reports[j, t] for j in range(n) if j != i and reports[j, t] >= 0]
            if reports[i, t] < 0 or not here:
                continue
            away = [reports[j, u] for j in range(n) for u in range(tasks) if j != i and u != t and reports[j, u] >= 0]
            frequency = np.mean(np.array(away) == reports[i, t]) if away else 0.0
            earned.append(np.mean(np.array(here) == reports[i, t]) / frequency - 1 if frequency > 0 else 0.0)
        pay.append(np.mean(earned) if earned else 0.0)
    return np.array(pay)


@settings(max_examples=60, deadline=None)
@given(REPORTS)
def test_peer_truth_serum_is_its_definition(reports: np.ndarray) -> None:
    np.testing.assert_allclose(peer_truth_serum(reports), naive_peer_truth_serum(reports), atol=1e-12)


def test_peer_truth_serum_pays_a_rare_agreement_more_than_a_common_one() -> None:
    common = np.array([[0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1]])
    rare = np.array([[0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 1, 0]])
    assert peer_truth_serum(rare)[0] > peer_truth_serum(common)[0]


def naive_bayesian_truth_serum(reports: np.ndarray, forecasts: np.ndarray) -> np.ndarray:
    n, tasks = reports.shape
    earned: list[list[float]] = [[] for _ in range(n)]
    for t in range(tasks):
        who = [i for i in range(n) if reports[i, t] >= 0]
        for i in who:
            share = np.array([np.mean(reports[who, t] == k) for k in range(3)])
            forecast = np.log(forecasts[who, t]).mean(axis=0)
            k = reports[i, t]
            score = np.log(share[k]) - forecast[k]
            score += sum(x * (np.log(forecasts[i, t, j]) - np.log(x)) for j, x in enumerate(share) if x > 0)
            earned[i].append(score)
    return np.array([np.mean(scores) if scores else 0.0 for scores in earned])


@example(np.array([[0, -1], [1, 0], [0, 1]]), 0)  # who does not answer a task is not scored on it
@settings(max_examples=60, deadline=None)
@given(REPORTS, st.integers(0, 2**32 - 1))
def test_bayesian_truth_serum_is_its_definition(reports: np.ndarray, seed: int) -> None:
    forecasts = np.random.default_rng(seed).dirichlet(np.ones(3), size=reports.shape) * 0.97 + 0.01
    expected = naive_bayesian_truth_serum(reports, forecasts)
    np.testing.assert_allclose(bayesian_truth_serum(reports, forecasts), expected, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(REPORTS, st.integers(0, 2**32 - 1))
def test_bayesian_truth_serum_is_zero_sum_on_each_task(reports: np.ndarray, seed: int) -> None:
    forecasts = np.random.default_rng(seed).dirichlet(np.ones(3), size=reports.shape) * 0.97 + 0.01
    for t in range(reports.shape[1]):
        assert bayesian_truth_serum(reports[:, t : t + 1], forecasts[:, t : t + 1]).sum() == pytest.approx(0, abs=1e-9)


def test_truth_is_an_equilibrium_of_the_bayesian_truth_serum_with_many_agents() -> None:
    # two states, equally likely; a signal is right with .8; seeing s, one forecasts that .68 of the others see s
    tasks, people = 2, 2000
    state = np.array([0, 1])
    rng = np.random.default_rng(7)
    signals = state ^ (rng.random((people, tasks)) < 0.2)
    posterior = np.where(signals == 1, 0.68, 0.32)
    forecasts = np.stack([1 - posterior, posterior], axis=-1)
    honest = bayesian_truth_serum(signals, forecasts)
    lies = signals.copy()
    lies[:50] = 1 - lies[:50]
    flat = forecasts.copy()
    flat[:50] = 0.5
    assert bayesian_truth_serum(lies, forecasts)[:50].mean() < honest[:50].mean()
    assert bayesian_truth_serum(signals, flat)[:50].mean() < honest[:50].mean()


@pytest.mark.parametrize("rule", REPORT_RULES)
def test_leading_axes_are_batches(rule) -> None:  # type: ignore[no-untyped-def]
    batch = np.random.default_rng(8).integers(-1, 3, (2, 3, 4, 12))
    if rule is correlated_agreement:
        pay = rule(batch, signature=np.eye(3))
        alone = [[rule(batch[a, b], choices=3, signature=np.eye(3)) for b in range(3)] for a in range(2)]
    else:
        pay, alone = rule(batch), [[rule(batch[a, b]) for b in range(3)] for a in range(2)]
    np.testing.assert_allclose(pay, alone)
    np.testing.assert_allclose(determinant_mi(batch, 3)[1, 2], determinant_mi(batch[1, 2], 3))


def test_forecasts_beside_no_answer_are_not_read() -> None:
    reports = np.array([[0, -1], [1, 0], [0, 1]])
    forecasts = np.full((3, 2, 2), 0.5)
    paid = bayesian_truth_serum(reports, forecasts)
    for nonsense in ([-3.0, 7.0], [np.nan, np.nan], [0.0, 0.0]):
        forecasts[0, 1] = nonsense
        np.testing.assert_array_equal(bayesian_truth_serum(reports, forecasts), paid)


def test_forecasts_and_signatures_come_in_batches_too() -> None:
    rng = np.random.default_rng(9)
    batch, forecasts = rng.integers(-1, 3, (5, 4, 12)), rng.dirichlet(np.ones(3), (5, 4, 12))
    signatures = rng.random((5, 3, 3))
    serum, agreement = bayesian_truth_serum(batch, forecasts), correlated_agreement(batch, signature=signatures)
    for k in range(5):
        np.testing.assert_allclose(serum[k], bayesian_truth_serum(batch[k], forecasts[k]))
        np.testing.assert_allclose(
            agreement[k], correlated_agreement(batch[k], choices=3, signature=signatures[k]))


@settings(max_examples=60, deadline=None)
@given(REPORTS, st.sampled_from(REPORT_RULES))
def test_who_is_who_does_not_matter(reports: np.ndarray, rule) -> None:  # type: ignore[no-untyped-def]
    order = np.random.default_rng(0).permutation(len(reports))
    np.testing.assert_allclose(rule(reports)[order], rule(reports[order]), atol=1e-12)


def test_peers_restrict_whom_one_is_compared_with() -> None:
    reports = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    with_second = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(output_agreement(reports), [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(output_agreement(reports, peers=with_second), [1.0, 1.0, 0.0])


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.data())
def test_a_grader_cannot_change_its_own_chance(n: int, seed: int, data: st.DataObject) -> None:
    k, grader = data.draw(st.integers(0, n)), data.draw(st.integers(0, n - 1))
    scores = np.random.default_rng(seed).random((n, n))
    lie = scores.copy()
    lie[grader] = data.draw(arrays(np.float64, n, elements=st.floats(-9, 9)))
    honest = select_impartially(scores, k, np.random.default_rng(seed))
    dishonest = select_impartially(lie, k, np.random.default_rng(seed))
    assert (grader in honest) == (grader in dishonest)
    assert len(np.unique(honest)) == k


def test_a_batch_of_scores_is_chosen_from_in_one_deal() -> None:
    scores = np.random.default_rng(1).random((7, 5, 5))
    scores[2, :, 3] = np.nan
    chosen = select_impartially(scores, 2, np.random.default_rng(3))
    alone = [select_impartially(own, 2, np.random.default_rng(3)) for own in scores]
    np.testing.assert_array_equal(chosen, alone)
    assert len({*map(tuple, chosen)}) > 1


def test_impartial_selection_takes_the_best_of_each_group_and_everyone_if_k_is_n() -> None:
    scores = np.tile(np.arange(6.0), (6, 1))
    chosen = [select_impartially(scores, 2, np.random.default_rng(s)) for s in range(200)]
    assert all(5 in c for c in chosen)
    np.testing.assert_array_equal(select_impartially(scores[:5, :5], 5, np.random.default_rng(0)), np.arange(5))
    np.testing.assert_array_equal(np.unique([len(c) for c in chosen]), [2])


def test_either_group_may_hold_the_one_place() -> None:
    """Of three, the best is alone, or one of two: it gets half of the places, and two thirds if always of two."""
    scores = np.array([[0.0, 0.2, 0.9], [0.5, 0.0, 0.9], [0.5, 0.2, 0.0]])
    rng = np.random.default_rng(0)
    share = np.mean([2 in select_impartially(scores, 1, rng) for _ in range(2000)])
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(2000)


def test_equal_grades_go_to_the_lowest_index_in_a_group() -> None:
    assert all(0 in select_impartially(np.ones((2, 2)), 2, np.random.default_rng(s)) for s in range(5))
    first = [int(select_impartially(np.ones((3, 3)), 1, np.random.default_rng(s))[0]) for s in range(300)]
    assert np.bincount(first).tolist() == sorted(np.bincount(first), reverse=True) and first.count(0) > 120


def test_an_agent_nobody_graded_comes_last() -> None:
    scores = np.full((4, 4), 0.5)
    scores[:, 2] = np.nan
    assert all(2 not in select_impartially(scores, 2, np.random.default_rng(s)) for s in range(50))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: output_agreement([0, 1]), "reports has shape"),
        (lambda: output_agreement([[0.5, 1], [1, 1]]), "number the answers"),
        (lambda: output_agreement([[-2, 1], [1, 1]]), "-1 where missing"),
        (lambda: output_agreement([[0, 1], [1, 1]], peers=[[1]]), "peers has shape"),
        (lambda: determinant_mi(np.zeros((2, 9), int), 2, peers=[[1]]), "peers has shape"),
        (lambda: correlated_agreement([[0, 3], [1, 1]], choices=2), "give at least 4"),
        (lambda: correlated_agreement([[0, 1], [1, 1]], signature=np.eye(3)), "signature has shape"),
        (lambda: determinant_mi([[0, 1, 0], [1, 1, 0]], 2), "at least 4"),
        (lambda: determinant_mi(np.zeros((2, 9)), 1), "choices is 1"),
        (lambda: determinant_mi(np.zeros((2, 9)), 2.0), "choices is 2.0"),
        (lambda: determinant_mi([[0, 2, 0, 0], [1, 1, 0, 0]], 2), "give at least 3"),
        (lambda: output_agreement([["yes", "no"], ["yes", "yes"]]), "reports must be an array of real numbers"),
        (lambda: output_agreement(np.array([[0, "no"], [1, 1]], object)), "reports must be an array of real numbers"),
        (lambda: peer_truth_serum([[0, 1], [1]]), "reports must be an array of real numbers"),
        (lambda: correlated_agreement([[0, np.nan], [1, 1]]), "which is NaN"),
        (lambda: correlated_agreement([[0, 1], [1, 1]], peers=["a", "b"]), "peers must be an array of real numbers"),
        (lambda: correlated_agreement([[0, 1], [1, 1]], signature="eye"), "signature must be an array of real numbers"),
        (lambda: bayesian_truth_serum([[0], [1]], [["a"], ["b"]]), "forecasts must be an array of real numbers"),
        (lambda: bayesian_truth_serum([[0], [1]], [[[0.5, np.nan]], [[0.5, 0.5]]]), "strictly positive"),
        (lambda: select_impartially([["a", "b"], ["a", "b"]], 1, np.random.default_rng(0)), "scores must be an array"),
        (lambda: select_impartially(np.zeros((2, 2)), 0.5, np.random.default_rng(0)), "k is 0.5"),
        (lambda: bayesian_truth_serum([[0], [1]], np.ones((2, 2))), "forecasts has shape"),
        (lambda: bayesian_truth_serum([[0], [1]], [[[1, 0]], [[0.5, 0.5]]]), "strictly positive"),
        (lambda: select_impartially(np.zeros((2, 3)), 1, np.random.default_rng(0)), "square"),
        (lambda: select_impartially(np.zeros((3, 3)), 4, np.random.default_rng(0)), "k is 4"),
    ],
)
def test_errors_name_the_argument(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
