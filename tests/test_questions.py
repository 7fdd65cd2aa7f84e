"""The gold questions: their shape, their balance, and the keys that can be recomputed."""

import ast
import json
import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, permutations, product
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[1] / "data" / "questions.jsonl"
FIELDS = ("id", "domain", "question", "options", "key", "accept", "source", "difficulty")
QUESTIONS: list[dict[str, Any]] = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]
BY_ID = {q["id"]: q for q in QUESTIONS}
CHOICE = [q for q in QUESTIONS if q["options"] is not None]
SHORT = [q for q in QUESTIONS if q["options"] is None]
COMPUTED = [q for q in QUESTIONS if q["source"].startswith("computed:")]

OPERATIONS: dict[type[ast.AST], Callable[[Fraction, Fraction], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}
FUNCTIONS: dict[str, Callable[[int, int], int]] = {"lcm": math.lcm, "comb": math.comb}


def evaluate(node: ast.AST) -> Fraction:
    """Evaluate an arithmetic expression exactly; anything else is refused."""
    match node:
        case ast.Expression(body=body):
            return evaluate(body)
        case ast.Constant(value=int() | float() as value):
            return Fraction(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -evaluate(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
            return Fraction(OPERATIONS[type(op)](evaluate(left), evaluate(right)))
        case ast.Call(func=ast.Name(id=name), args=[a, b], keywords=[]) if name in FUNCTIONS:
            return Fraction(FUNCTIONS[name](int(evaluate(a)), int(evaluate(b))))
    raise ValueError(f"not arithmetic: {ast.dump(node)}")


def answer(question: dict[str, Any]) -> str:
    """The right answer as text: the keyed option, or the canonical short answer."""
    if question["options"] is None:
        return str(question["key"])
    return str(question["options"]["ABCD".index(question["key"])])


def test_every_line_has_exactly_the_documented_fields() -> None:
    for q in QUESTIONS:
        assert tuple(q) == FIELDS, q["id"]
        assert isinstance(q["source"], str) and q["source"].strip()
        assert q["difficulty"] in {1, 2, 3}


def test_ids_are_unique_and_in_order() -> None:
    ids = [q["id"] for q in QUESTIONS]
    assert ids == sorted(set(ids))
    prefixes = {q["domain"]: q["id"][:3] for q in QUESTIONS}
    assert len(set(prefixes.values())) == len(prefixes)
    assert all(q["id"].startswith(prefixes[q["domain"]]) for q in QUESTIONS)


def test_no_question_is_asked_twice() -> None:
    texts = [" ".join(q["question"].lower().split()) for q in QUESTIONS]
    assert len(set(texts)) == len(texts)


def test_questions_are_short_and_trimmed() -> None:
    for q in QUESTIONS:
        assert q["question"] == q["question"].strip()
        assert 0 < len(q["question"].split()) < 60, q["id"]


def test_counts_by_domain_and_kind() -> None:
    assert len(QUESTIONS) >= 132
    assert set(Counter(q["domain"] for q in QUESTIONS).values()) == {22}
    assert set(Counter(q["domain"] for q in SHORT).values()) == {8}
    assert set(Counter(q["domain"] for q in CHOICE).values()) == {14}
    assert len({q["domain"] for q in QUESTIONS}) >= 6
    assert {q["difficulty"] for q in CHOICE} == {q["difficulty"] for q in SHORT} == {1, 2, 3}


def test_choices_have_four_distinct_options_and_a_letter_key() -> None:
    for q in CHOICE:
        assert len({option.strip().lower() for option in q["options"]}) == len(q["options"]) == 4, q["id"]
        assert all(option == option.strip() != "" for option in q["options"]), q["id"]
        assert q["key"] in set("ABCD") and q["accept"] == [], q["id"]


def test_keys_are_balanced_so_that_always_saying_one_letter_scores_a_quarter() -> None:
    assert set(Counter(q["key"] for q in CHOICE).values()) == {len(CHOICE) / 4}
    for domain in {q["domain"] for q in CHOICE}:
        keys = Counter(q["key"] for q in CHOICE if q["domain"] == domain)
        assert set(keys) == set("ABCD") and max(keys.values()) <= 4, domain


def test_short_answers_accept_non_empty_distinct_spellings() -> None:
    for q in SHORT:
        spellings = [q["key"], *q["accept"]]
        assert q["accept"] and all(isinstance(s, str) and s == s.strip() != "" for s in spellings), q["id"]
        assert len(set(spellings)) == len(spellings), q["id"]


def test_floyd_warshall_is_asked_in_these_words() -> None:
    q = BY_ID["cs-01"]
    assert q["question"] == "What is the time complexity of the Floyd-Warshall algorithm?"
    assert q["options"] is None and q["key"] == "O(V^3)"
    assert {"O(n^3)", "O(|V|^3)", "O(V³)", "Θ(V^3)", "V^3", "n^3", "cubic"} <= set(q["accept"])


def test_every_arithmetic_key_is_computed() -> None:
    assert {q["id"] for q in QUESTIONS if q["domain"] == "arithmetic"} <= {q["id"] for q in COMPUTED}


@pytest.mark.parametrize("question", COMPUTED, ids=lambda q: q["id"])
def test_computed_key_equals_its_expression_and_no_distractor_does(question: dict[str, Any]) -> None:
    value = evaluate(ast.parse(question["source"].removeprefix("computed:").strip(), mode="eval"))
    assert Fraction(answer(question)) == value
    assert [Fraction(o) for o in question["options"] or [answer(question)]].count(value) == 1


def test_the_evaluator_refuses_code() -> None:
    with pytest.raises(ValueError, match="not arithmetic"):
        evaluate(ast.parse("__import__('os')", mode="eval"))


def who(solutions: list[str]) -> str:
    """The single solution of a puzzle."""
    assert len(solutions) == 1
    return solutions[0]


def shortest() -> str:
    orders = permutations(("Anna", "Ben", "Cleo"))
    return who([p[2] for p in orders if p.index("Anna") < p.index("Ben") < p.index("Cleo")])


def knight() -> str:
    worlds = [(ada, bob) for ada, bob in product((True, False), repeat=2) if ada == (not bob) and bob == (ada == bob)]
    return who(["Ada" if ada else "Bob" for ada, bob in worlds])


def third_runner() -> str:
    order = ("Ann", "Eve", "Dan", "Cal", "Bob")
    runs = [p for p in permutations(order) if all(p.index(a) < p.index(b) for a, b in pairwise(order))]
    return who([p[2] for p in runs])


def mislabelled_box() -> str:
    fruits = ("Only apples", "Only oranges", "Apples and oranges")
    wrong = [p for p in permutations(fruits) if all(a != b for a, b in zip(p, fruits, strict=True))]
    return who([p[1] for p in wrong if p[2] == "Only apples"])


def vase() -> str:
    return who([x for x in ("Kim", "Lee", "Max") if [x == "Kim", x != "Kim", x != "Lee"].count(True) == 1])


def cards() -> str:
    can_falsify = {"E": any(n % 2 for n in (4, 7)), "K": False, "4": False, "7": True}
    return " and ".join(card for card, turn in can_falsify.items() if turn)


def snail() -> str:
    height, day = 0, 1
    while height + 3 < 10:
        height, day = height + 3 - 2, day + 1
    return str(day)


def socks() -> str:
    return str(next(n for n in range(1, 21) if all(max(Counter(d).values()) > 1 for d in product("bw", repeat=n))))


def leaves() -> str:
    children: dict[int, dict[bool, int]] = {}
    root, *rest = 8, 3, 10, 1, 6, 14
    children[root] = {}
    for key in rest:
        node = root
        while (key > node) in children[node]:
            node = children[node][key > node]
        children[node][key > node] = key
        children[key] = {}
    return str(sum(not c for c in children.values()))


def printed_length() -> str:
    a = [1, 2]
    b = a
    b.append(3)
    return str(len(a))


ENUMERATED: dict[str, Callable[[], str]] = {
    "cs-07": lambda: format(45, "b"),
    "cs-12": printed_length,
    "cs-19": leaves,
    "lo-01": shortest,
    "lo-04": knight,
    "lo-06": cards,
    "lo-11": mislabelled_box,
    "lo-13": lambda: str(sum((p and q) or r for p, q, r in product((0, 1), repeat=3))),
    "lo-16": socks,
    "lo-17": snail,
    "lo-19": third_runner,
    "lo-20": vase,
    "lo-21": lambda: f"{0.001 / (0.001 + 0.05 * 0.999):.0%}".replace("%", " percent"),
    "lo-22": lambda: ("Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday")[100 % 7],
    "ag-20": lambda: f"{0.9**5:.0%}".replace("%", " percent"),
}


@pytest.mark.parametrize("identifier", ENUMERATED)
def test_enumerated_key_is_what_trying_all_cases_gives(identifier: str) -> None:
    assert answer(BY_ID[identifier]) == ENUMERATED[identifier]()


def test_every_key_said_to_be_enumerated_is_enumerated_here() -> None:
    assert {q["id"] for q in QUESTIONS if q["source"].startswith("enumerated:")} == set(ENUMERATED)


def test_exactly_one_option_is_valid_json() -> None:
    def parses(text: str) -> bool:
        try:
            json.loads(text)
        except json.JSONDecodeError:
            return False
        return True

    assert [o for o in BY_ID["ag-05"]["options"] if parses(o)] == [answer(BY_ID["ag-05"])]
