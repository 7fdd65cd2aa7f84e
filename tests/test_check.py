"""The checker: right answers pass, wrong ones are told why, and nothing a learner writes escapes as a traceback."""

import dataclasses

import numpy as np
import pytest

from mechlib.course import check as checking
from mechlib.course.check import Exercise, check, find, python, show, verdict
from mechlib.mechanism import Award, Outcome
from mechlib.rules.auctions import first_price, second_price
from mechlib.rules.scoring import absolute, quadratic


def told(exercise, answer):
    judged = verdict(exercise, answer)
    assert judged.right == judged.message.startswith("Right")
    return judged.message


NUMBER = Exercise(
    "number", "`x`, a half", expected="1 / 2", near=[{"value": "2", "say": "Upside down."}], hint="Halve 1."
)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (0.5, "Right."),
        (np.float64(0.5 + 1e-9), "Right."),
        (None, "Not attempted yet. Define `x`, a half."),
        (..., "Not attempted yet. Define `x`, a half."),
        (0.6, "Not yet. 0.6 is too high. Halve 1."),
        (0.4, "Not yet. 0.4 is too low. Halve 1."),
        (2, "Not yet. Upside down. Halve 1."),
        ("half", "Not yet. Give a single number; 'half' is not one. Halve 1."),
        ("0.5", "Not yet. Give a single number; '0.5' is not one. Halve 1."),
        (float("nan"), "Not yet. Give a single number; nan is not one. Halve 1."),
    ],
)
def test_a_number_is_called_too_high_or_too_low_and_never_given_away(answer, message):
    assert told(NUMBER, answer) == message


def test_a_witness_says_of_any_other_number_what_is_wrong_with_it():
    witness = "lambda x: f'Twice {x:g} is {2 * x:g}, not 1.'"
    exercise = dataclasses.replace(NUMBER, witness=witness)
    assert told(exercise, 0.6) == "Not yet. Twice 0.6 is 1.2, not 1. Halve 1."
    assert told(exercise, 2) == "Not yet. Upside down. Halve 1."
    assert told(exercise, 0.5) == "Right."


def test_an_infinite_number_can_be_expected():
    assert verdict(Exercise("number", "x", expected="np.inf"), float("inf")).right


def test_a_choice_says_why_not():
    exercise = Exercise("choice", "`why`", key="b", say={"a": "That is the first price."}, right="Vickrey.")
    assert told(exercise, "B ") == "Right. Vickrey."
    assert told(exercise, "a") == "Not yet. That is the first price."
    assert told(exercise, "z") == "Not yet. 'z' is none of the options a, b."


def test_values_say_what_was_given_and_what_was_expected():
    exercise = Exercise(
        "values", "`prices`", expected="np.array([4, 1])", near=[{"value": "[5, 2]", "say": "Those are bids."}]
    )
    assert told(exercise, [4, 1]) == "Right."
    assert told(exercise, [4, 2]) == "Not yet. You gave [4, 2], expected [4, 1]."
    assert told(exercise, [4, 1, 0]) == "Not yet. You gave [4, 1, 0], of shape (3,); expected shape (2,)."
    assert told(exercise, [5, 2]) == "Not yet. Those are bids."
    assert told(exercise, "four") == "Not yet. You gave 'four', expected [4, 1]."
    assert told(Exercise("values", "x", expected="{1, 2}"), {2, 1}) == "Right."


RULE = Exercise(
    "function",
    "`rule`",
    setup="from mechlib import second_price",
    expected="second_price",
    cases="[(np.array([3., 1.]),), (np.array([2., 5.]),)]",
)


def overcharge(bids):
    outcome = first_price(bids)
    return outcome if bids[0] < bids[1] else second_price(bids)


def test_a_function_is_told_the_input_on_which_it_differs():
    assert told(RULE, second_price) == "Right."
    problem = told(RULE, overcharge)
    assert "overcharge([2, 5]) gave [0, 5], expected [0, 2] (payments)." in problem
    assert "Your function([3, 1]) gave None (does it end in `return`?)" in told(RULE, lambda bids: (None, None))
    assert "gave 1, expected Outcome(" in told(RULE, lambda bids: 1)
    assert told(RULE, 3) == "Not yet. Give a function; 3 is not one."


def test_a_function_that_is_wrong_in_a_known_way_is_told_which():
    exercise = Exercise(
        "function", "`f`", expected="lambda x: 2 * x", cases="[(0,), (3,)]",
        near=[{"value": "lambda x: x", "say": "Twice that."}],
    )
    assert told(exercise, lambda x: x) == "Not yet. Twice that."
    assert told(exercise, lambda x: 0) == "Not yet. Your function(3) gave 0, expected 6."
    assert told(exercise, lambda x: str(2 * x)) == "Not yet. Your function(0) gave '0', expected 0."


def test_a_function_that_raises_is_told_the_exception_and_the_input():
    def broken(bids):
        return bids[7]

    assert "broken([3, 1]) raised IndexError: index 7 is out of bounds" in told(RULE, broken)


def test_a_function_that_spoils_its_input_is_not_judged_on_the_spoilt_one():
    def spoiler(bids):
        bids *= 0
        return bids

    exercise = Exercise("function", "f", expected="lambda x: x", cases="[(np.ones(2),)]")
    assert "spoiler([1, 1]) gave [0, 0], expected [1, 1]" in told(exercise, spoiler)


AUCTION = Exercise(
    "audit", "`rule`", types="np.arange(4)", options={"n": "2"}, wants=["dsic", "ir", "no_deficit", "efficient"]
)


def test_an_audited_mechanism_is_told_the_witness():
    assert told(AUCTION, second_price) == "Right."
    problem = told(AUCTION, first_price)
    assert "It is not truthful: agent 0, worth" in problem and "by reporting" in problem
    assert told(AUCTION, 1).startswith("Not yet. Give a mechanism")


def test_each_property_that_fails_is_named():
    def shifted(by):
        return lambda bids: (second_price(bids).allocation, second_price(bids).payments + by)

    assert "not individually rational: an honest agent ends with -1" in told(AUCTION, shifted(1))
    assert "runs a deficit of 2" in told(AUCTION, shifted(-1))
    assert (
        told(AUCTION, lambda bids: (np.zeros_like(bids), np.zeros_like(bids))) == "Right."
    )  # efficient as far as it goes
    balanced = Exercise("audit", "`rule`", types="np.arange(3)", options={"n": "2"}, wants=["balanced"])
    assert "must sum to 0, but run from 0 to 2" in told(balanced, second_price)
    feasible = {"n": "2", "feasible": "[[1, 0], [0, 1]]"}
    efficient = Exercise("audit", "`rule`", types="np.arange(3)", options=feasible, wants=["efficient"])
    assert "not efficient: it loses 2 of welfare" in told(efficient, lambda bids: (0 * bids, 0 * bids))


HIRING = Exercise(
    "audit", "`hire`", setting="Values(range(1, 5), 3)", result="Award", options={"feasible": "np.eye(3)"},
    wants=["dsic", "ir", "efficient"],
)


def hire(costs, kind=Award):
    """Pay the cheapest the second-lowest cost."""
    hired = [float(i == costs.index(min(costs))) for i in range(3)]
    return kind(hired, [sorted(costs)[1] * h for h in hired])


def test_a_rule_that_pays_agents_is_audited_with_costs_as_types():
    assert told(HIRING, hire) == "Right."
    assert told(HIRING, lambda costs: hire(costs, lambda *pair: pair)) == "Right."  # plain lists for plain lists
    asked = "Not yet. It returns an Outcome. Here the money is rewards TO the agents, in an Award."
    assert told(HIRING, lambda costs: hire(costs, Outcome)) == asked
    assert "It returns an Award. Here the money is payments BY the agents" in told(AUCTION, lambda r: Award(r, r))
    problem = told(HIRING, lambda costs: hire(costs)._replace(rewards=np.zeros(3)))
    assert "It is not truthful: agent 0, with cost" in problem
    assert "Rewards must sum to 0, but run from 1 to 4" in told(
        Exercise("audit", "`hire`", setting="Values(range(1, 5), 3)", result="Award", wants=["balanced"]), hire)
    assert told(HIRING, lambda costs: (np.full(3, 0.1), np.zeros(3))).startswith("Not yet. It hands out more")


def test_a_setting_speaks_its_own_words():
    team = Exercise("audit", "`pay`", setting="Actions({'shirk': 0, 'work': 1}, 2)", result="Award", wants=["dsic"])
    assert told(team, lambda efforts: (efforts, 2 * efforts)) == "Right."
    assert told(team, lambda efforts: (efforts, 0 * efforts)) == (
        "Not yet. It is not truthful: agent 0, told to work, gains 1 by shirking when the other works."
    )


def test_beliefs_are_audited_by_a_rule_that_reads_what_is_found():
    graders = Exercise("audit", "`pay`", setting="Beliefs(np.linspace(0, 1, 5), 2)", result="Award", wants=["dsic"])
    assert told(graders, lambda said, found: (0 * said, 1 - (said - found) ** 2)) == "Right."
    assert "agent 0, believing" in told(graders, lambda said, found: (0 * said, said))


def test_a_prior_makes_it_a_bayesian_audit():
    options = {"n": "2", "prior": "np.full(3, 1 / 3)"}
    exercise = Exercise("audit", "`rule`", types="np.arange(3)", options=options, wants=["bic"])
    assert told(exercise, second_price) == "Right."
    assert "not truthful on average" in told(exercise, first_price)


def test_a_mechanism_that_raises_is_told_on_which_reports():
    def broken(bids):
        raise RuntimeError("no idea")

    assert told(AUCTION, broken) == "Not yet. broken([3, 0]) raised RuntimeError: no idea."


def test_an_answer_of_the_wrong_form_is_told_so_and_not_shown_an_exception():
    def four(bids):
        return 4

    pairs = Exercise(
        "audit", "`hire(bids)`, two arrays", types="[1, 2]", options={"n": "2", "utility": "lambda i, t, o: o[1][i]"}
    )
    wrong = "which cannot be judged: it is not of the form that is asked for. Give `hire(bids)`, two arrays."
    assert told(pairs, four) == f"Not yet. four([2, 2]) gave 4, {wrong}"
    assert told(AUCTION, four) == (
        "Not yet. For the reports [3, 0] the rule returned 4: it must be an Outcome, an Award or a pair (allocation, "
        "payments), both (2,), one number an agent and never NaN. Give `rule`."
    )
    numbers = Exercise(
        "property", "`x`, three numbers", test="assert sum(x + 0.0 for x in answer) < np.array([9, 9]).sum()"
    )
    assert told(numbers, 3) == (
        "Not yet. 3 cannot be judged: it is not of the form that is asked for. Give `x`, three numbers."
    )
    assert told(numbers, four).startswith("Not yet. four cannot be judged")
    assert told(Exercise("property", "`x`", test="assert np.array([1, 2]) == answer"), 1).startswith(
        "Not yet. 1 cannot"
    )


def test_long_arguments_are_left_out():
    def broken(table):
        raise KeyError("a")

    exercise = Exercise("property", "`f`", test="answer(np.zeros(100))")
    assert told(exercise, broken) == "Not yet. broken(...) raised KeyError: 'a'."


PROPER = Exercise("proper", "`rule`")


def test_a_scoring_rule_is_told_the_belief_and_the_better_lie():
    assert told(PROPER, quadratic) == "Right."
    assert "at belief 0.25, reporting 0 expects 0.125 more than the truth" in told(PROPER, absolute)
    assert "at belief 0, reporting 0.01 expects as much as the truth" in told(PROPER, lambda c, a: 1)
    assert told(PROPER, 0.5).startswith("Not yet. Give a rule")
    assert "must return a number, but gave nan" in told(PROPER, lambda c, a: c * np.nan)
    assert "raised NameError" in told(PROPER, lambda c, a: undefined)  # noqa: F821


def test_a_property_is_any_assertion():
    exercise = Exercise(
        "property", "`shares`", test="assert sum(answer) == 1, f'They sum to {sum(answer)}.'\nassert answer[0]"
    )
    assert told(exercise, [0.5, 0.5]) == "Right."
    assert told(exercise, [1, 1]) == "Not yet. They sum to 2."
    assert told(exercise, [0, 1]) == "Not yet. It does not pass the test."
    assert told(exercise, 3).startswith("Not yet. 3 cannot be judged")


def test_a_watched_function_keeps_its_attributes_and_a_class_is_left_alone():
    def rule():
        return 1

    rule.price = 3
    assert verdict(Exercise("property", "x", test="assert answer.price == 3 and answer() == 1"), rule).right
    assert verdict(Exercise("property", "x", test="assert issubclass(answer, int)"), bool).right


def test_a_learners_warnings_stay_out_of_the_notebook(recwarn):
    exercise = Exercise("property", "x", test="answer()")
    assert verdict(exercise, lambda: np.log(np.zeros(2))).right
    assert not recwarn.list


TOML = '["77-a"]\nkind = "number"\nask = "`x`"\nexpected = "1"\n'


def test_check_prints_one_line_and_finds_a_table_beside_the_notebook(tmp_path, monkeypatch, capsys):
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "77.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    assert check("77-a", 1) is None
    assert capsys.readouterr().out == "77-a: Right.\n"


def test_no_table_of_a_folder_above_is_read_or_run(tmp_path, monkeypatch):
    below = tmp_path / "notebooks" / "mine"
    for folder in (tmp_path / "checks", tmp_path / "notebooks" / "checks", below):
        folder.mkdir(parents=True)
    for folder in (tmp_path / "checks", tmp_path / "notebooks" / "checks"):
        (folder / "77.toml").write_text(TOML)
    monkeypatch.chdir(below)
    with pytest.raises(LookupError, match=r"no checks/77\.toml"):
        check("77-a", 1)


def test_nothing_takes_the_place_of_the_courses_own_exercises(tmp_path, monkeypatch):
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "02.toml").write_text(TOML.replace("77-a", "02-a") + TOML.replace("77-a", "02-mine"))
    monkeypatch.chdir(tmp_path)
    assert find("02-a").ask != "`x`" and find("02-mine").ask == "`x`"


def test_an_unknown_exercise_is_an_error_that_lists_the_known_ones(tmp_path, monkeypatch):
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "77.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LookupError, match="it has 77-a"):
        find("77-b")
    with pytest.raises(LookupError, match="no checks/78"):
        find("78-a")


def test_long_values_are_shown_short():
    assert len(show(np.arange(1000))) == 100
    assert show((1.23456, True, "a")) == "(1.235, True, 'a')"
    assert show(checking.check) == "check"
    assert show(object()) == "object"


def test_python_in_the_tables_is_an_expression_or_statements_that_define_the_answer():
    assert python("x + 1", {"x": 2}) == 3
    assert python("def answer(y):\n    return x + y\n", {"x": 2})(5) == 7
