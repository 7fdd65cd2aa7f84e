"""A router's log: its rule is found again, its lie pays, other rules are replayed, and what is missing is said."""

import asyncio
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mechlib.attacks.audit import audit
from mechlib.attacks.replay import Recorded, replay
from mechlib.attacks.router import audit_router
from mechlib.attacks.router_log import read_log
from mechlib.attacks.router_rules import FAMILIES, explain
from mechlib.mechanism import Award
from mechlib.rules.calibration import auc, reliability
from mechlib.rules.choice import highest, score_auction
from mechlib.settings import Beliefs

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "router.jsonl"
NAMES = ["large", "middle", "small"]


def log(choose, decisions=200, seed=0, names=NAMES, costs=True, judged="all"):
    """Return a simulated log: dearer models are right more often; `choose` maps scores and costs to a preference."""
    rng = np.random.default_rng(seed)
    price = np.geomspace(200, 500, len(names))[::-1] * rng.uniform(0.5, 1.5, (decisions, len(names)))
    score = rng.random((decisions, len(names))).round(3)
    found = (rng.random(score.shape) < np.linspace(0.8, 0.3, len(names))).astype(int)
    chosen = np.argmax(choose(score, price), axis=1)
    rows = []
    for t in range(decisions):
        tables = {"scores": score[t], "found": found[t], **({"costs": price[t]} if costs else {})}
        row = {name: dict(zip(names, table.tolist(), strict=True)) for name, table in tables.items()}
        row["chosen"] = names[chosen[t]]
        if judged == "chosen":
            row["found"] = row["found"][row["chosen"]]
        rows.append(row)
    return rows


def rows(report, title):
    """Return a section's table by the first word of what it asks."""
    (section,) = [each for each in report.sections if each.title.startswith(title)]
    return section.rows


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("number", "choose", "parameter"),
    [
        (0, lambda s, c: np.tile([0, 1, 0], (len(s), 1)), 1),
        (1, lambda s, c: s, None),
        (2, lambda s, c: -c, None),
        (3, lambda s, c: s - c / 900, 900),
        (4, lambda s, c: np.where(s >= 0.6, -c, s - 1e9), 0.6),
        (5, lambda s, c: np.where(c <= 400, s, -c - 1e9), 400),
    ],
)
def test_the_rule_in_force_is_found_again_with_its_parameter(number, choose, parameter, seed):
    read = read_log(log(choose, seed=seed))
    best, *others = explain(read)
    assert best.family is FAMILIES[number] and best.share > 0.97
    assert best.interval[0] < best.share and all(other.share <= best.share + 0.01 for other in others)
    if number >= 3:
        assert best.low <= parameter <= best.high
    assert best.choose(read.scores, read.costs)[np.arange(200), read.chosen].mean() > 0.97


def test_a_rule_that_reads_something_else_is_not_explained():
    rng = np.random.default_rng(5)
    report = audit_router(log(lambda s, c: rng.random(s.shape), decisions=400))
    assert report.rule.share < 0.5
    assert "less than four in five" in repr(report) and "log whatever else the router reads" in repr(report)


@pytest.mark.no_cover
def test_parameters_are_judged_on_choices_to_which_they_were_not_fitted():
    """A floor fitted to pure noise explains no more than chance where it was not fitted, over 100 logs."""
    shares = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = explain(read_log(log(lambda s, c, rng=rng: rng.random(s.shape), decisions=40, seed=seed)))
        shares.append(next(rule.share for rule in found if rule.family is FAMILIES[4]))
    error = np.std(shares, ddof=1) / 10
    assert abs(np.mean(shares) - 1 / 3) < 3 * error


def test_a_tie_counts_as_a_share_of_a_choice_and_simple_rules_come_first():
    tied = [{"scores": {"a": 0.9, "b": 0.9}, "chosen": "b"}] * 10
    found = [(rule.name, rule.share) for rule in explain(read_log(tied))]
    assert found == [("always b", 1.0), ("the highest score", 0.5)]
    equal = [{"scores": {"a": 0.9, "b": 0.1}, "costs": {"a": 1, "b": 2}, "chosen": "a"}] * 10
    assert [rule.name for rule in explain(read_log(equal))][:3] == ["always a", "the highest score", "the lowest cost"]


def test_silence_is_never_chosen():
    quiet = [{"scores": {"a": None, "b": 0.1}, "chosen": "b"}, {"scores": {"a": 0.9, "b": 0.1}, "chosen": "a"}] * 5
    read = read_log(quiet)
    best = explain(read)[0]
    assert best.name == "the highest score" and best.share == 1.0
    assert best.choose(read.scores, read.costs).tolist() == read.choices.tolist()


def test_the_sample_is_made_of_real_replies_and_its_rule_is_found():
    spec = importlib.util.spec_from_file_location("sample", ROOT / "examples" / "make_router_log.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert asyncio.run(made.lines()) == SAMPLE.read_text(encoding="utf-8").splitlines()
    report = audit_router(SAMPLE)
    assert report.rule.family is FAMILIES[3] and report.rule.low < made.WORTH < report.rule.high
    assert report.worth == report.rule.parameter


def test_the_lie_that_pays_is_the_auditors_and_the_auction_has_none():
    report = audit_router(SAMPLE, prize=100)
    read = read_log(SAMPLE)
    costs = [read.costs[~np.isnan(read.scores[:, i]), i].mean() for i in range(3)]

    def in_force(reports, found, costs):
        chosen = highest(reports - costs / report.worth)
        return Award(chosen, chosen * 100.0)

    oracle = audit(in_force, Beliefs([0.1, 0.3, 0.5, 0.7, 0.9], n=3, costs=costs))
    (force, auction, bonus) = rows(report, "What lie")
    assert not oracle.is_dsic and oracle.regret == pytest.approx(100)
    assert force[1:3] == ("no", oracle.sentence.replace("agent 0", "smollm2-135m"))
    assert auction[1] == bonus[1] == "yes" and float(force[3].split()[0]) > 0
    assert "being chosen 100 to" in repr(report)


def test_a_bonus_holds_only_while_it_outweighs_being_chosen_and_the_auction_always():
    for prize, holds in ((100, "yes"), (3000, "no")):
        (_, auction, bonus) = rows(audit_router(SAMPLE, prize=prize), "What lie")
        assert auction[1] == "yes" and bonus[1] == holds


def test_whom_other_rules_choose_and_pay_is_what_replay_says():
    report, read = audit_router(SAMPLE, worth=5000), read_log(SAMPLE)
    assert report.worth == 5000 and "(as you said)" in repr(report)

    def auction(reports, found, costs):
        return score_auction(5000 * reports, 5000 * found, costs)

    oracle = replay(auction, Recorded(read.scores, np.nan_to_num(read.found), read.costs))
    assert np.array_equal(report.replayed["score auction"].rewards, oracle.rewards)
    logged = report.replayed["as logged"]
    assert np.array_equal(logged.allocation, read.choices)
    assert logged.paid.sum() == pytest.approx(read.costs[np.arange(len(read)), read.chosen].sum())
    assert logged.right.sum() == read.found[np.arange(len(read)), read.chosen].sum()
    table = {row[0]: row for row in rows(report, "Who")}
    more, low, high = oracle.against(logged)
    assert table["score auction"][5] == f"{more:+.2f} ({low:+.2f} to {high:+.2f})"
    assert table["as logged"][1:4] == tuple(f"{x:.0%}" for x in read.choices.mean(axis=0))


def test_the_track_record_is_of_earlier_decisions_alone():
    """Models that are right once each, in turn: the record of the first decision is empty, and ties go to the cheap."""
    given = [
        {"scores": {"a": 0.5, "b": 0.9}, "costs": {"a": 1, "b": 2}, "chosen": "b", "found": {"a": 0, "b": 1}},
        {"scores": {"a": 0.5, "b": 0.9}, "costs": {"a": 1, "b": 2}, "chosen": "b", "found": {"a": 1, "b": 0}},
        {"scores": {"a": 0.9, "b": 0.5}, "costs": {"a": 1, "b": 2}, "chosen": "a", "found": {"a": 1, "b": 0}},
    ]
    report = audit_router(given)
    assert report.rule.name == "the highest score"
    played = report.replayed["the same, by track record"]
    assert played.allocation.tolist() == [[1, 0], [0, 1], [1, 0]] and played.right.tolist() == [0, 0, 1]


def test_a_model_that_was_never_judged_counts_as_right_half_of_the_time():
    """The other one was right twice in five: with one right and one wrong before, 3/7, which is less than 1/2."""
    alone = [{"scores": {"a": None, "b": 0.5}, "costs": {"b": 2}, "chosen": "b", "found": right}
             for right in (1, 1, 0, 0, 0)]
    both = {"scores": {"a": 0.9, "b": 0.5}, "costs": {"a": 1, "b": 2}, "chosen": "a", "found": {"a": 1, "b": 1}}
    report = audit_router([*alone, both])
    assert report.rule.name == "the highest score"
    assert report.replayed["the same, by track record"].allocation.tolist() == [[0, 1]] * 5 + [[1, 0]]


def test_calibration_is_of_the_answers_that_were_judged():
    read, report = read_log(SAMPLE), audit_router(SAMPLE)
    for i, row in enumerate(rows(report, "Is a score")):
        known = ~np.isnan(read.scores[:, i])
        score, found = read.scores[known, i], read.found[known, i]
        assert row[:3] == (read.models[i], str(known.sum()), f"{score.mean():.2f}")
        assert row[4] == f"{score.mean() - found.mean():+.2f}"
        assert row[5:] == (f"{reliability(score, found).calibration_error:.2f}", f"{auc(score, found):.2f}")


def test_where_only_the_chosen_answer_is_judged_no_payment_is_made_up():
    report = audit_router(log(lambda s, c: s - c / 900, judged="chosen"))
    assert not report.replayed and "Nothing is known of the answers that were not chosen" in repr(report)
    table = {row[0]: row for row in rows(report, "Who")}
    bonus = "costs and a bonus for calibration"
    assert set(table) == {"as logged", "the same, by track record", "score auction", bonus}
    assert "not a fair sample" in repr(report) and "judge every answer" in repr(report)


def test_a_log_without_costs_or_verdicts_is_read_for_what_it_holds():
    bare = [{key: row[key] for key in ("scores", "chosen")} for row in log(lambda s, c: s, costs=False)]
    report = audit_router(bare)
    assert report.rule.name == "the highest score" and (report.worth, report.prize) == (1.0, 1.0)
    assert {rule[0] for rule in rows(report, "Which")} <= {"the highest score", "always large", "always small",
                                                          "always middle"}
    wanted = repr(rows(report, "What to log"))
    assert "not every cost is known" in wanted and "0 answers of small are judged" in wanted
    assert [row[1] for row in rows(report, "Is a score")] == ["0", "0", "0"]


def test_what_to_log_next_names_the_models():
    never = log(lambda s, c: np.tile([1, 0, 0], (len(s), 1)))
    for row in never:
        row["scores"]["small"] = 0.9
    wanted = dict(rows(audit_router(never), "What to log"))
    assert "middle was never chosen" in wanted and "small states one number most of the time" in wanted
    assert "large was never chosen" not in wanted and "middle states one number most of the time" not in wanted


@pytest.mark.no_cover
def test_of_many_models_those_that_were_chosen_most_are_audited():
    names = [f"m{i}" for i in range(7)]
    report = audit_router(log(lambda s, c: s * [1, 1, 1, 1, 1, 0.1, 0.1], names=names, decisions=120))
    assert "The 5 models that were chosen most are in it." in repr(report)
    always = audit_router(log(lambda s, c: np.tile([0, 0, 1], (len(s), 1))))
    assert always.rule.name == "always small" and rows(always, "What lie")[0][1] == "yes"


def test_the_report_is_text_and_a_page_that_loads_nothing_and_runs_nothing():
    names = ["<script>alert(1)</script>", "b", "c"]
    report = audit_router(log(lambda s, c: s, names=names, decisions=40))
    page = report.page()
    assert "<script" not in page and "&lt;script&gt;" in page and "http" not in page
    assert page.count("<h2>") == repr(report).count("====\n") == len(report.sections) == 5
    assert report._repr_html_() in page


GOOD = {"scores": {"a": 0.5, "b": 0.6}, "chosen": "a"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": {"a": 1.5, "b": 0}}, r"decision 2: scores of 'a' is 1.5; give a number in \[0, 1\], or null"),
        ({"scores": {"a": "high", "b": 0}}, "scores of 'a' is 'high'"),
        ({"scores": [0.5, 0.6]}, "decision 2 must be an object with scores"),
        ({"chosen": "c"}, "'c' was chosen, and has no score; it has scores of a, b"),
        ({"scores": {"a": None, "b": 0.5}}, "'a' was chosen, and has no score"),
        ({"costs": {"a": -1, "b": 0}}, "costs of 'a' is -1; give a number of at least 0"),
        ({"costs": {"a": float("inf"), "b": 0}}, "costs of 'a' is inf"),
        ({"costs": 3}, "costs is 3; give a number for each model"),
        ({"found": 2}, "found of 'a' is 2"),
        ({"found": {"c": 1}}, "found has a model 'c' of which there is no score"),
    ],
)
def test_a_line_that_is_no_decision_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        read_log([GOOD, {**GOOD, **change}])


def test_a_file_that_is_no_log_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n{half")
    with pytest.raises(ValueError, match="line 3 is not JSON"):
        read_log(path)
    for few in ([], [{"scores": {"a": 1}, "chosen": "a"}]):
        with pytest.raises(ValueError, match="chooses among two models or more"):
            read_log(few)
    for name in ("worth", "prize"):
        with pytest.raises(ValueError, match=rf"{name} is 0: it must be one number in \(0, inf\)"):
            audit_router([GOOD], **{name: 0})
