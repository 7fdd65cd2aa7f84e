"""Token probabilities over a few choices, read from what the server reports."""

import asyncio
import math
from typing import Any, cast

import anthropic
import numpy as np
import pytest

from mechlib.agents.token_probabilities import log_probabilities


class Server:
    """Answers every prompt with the same list of likely tokens, and keeps what it was asked."""

    def __init__(self, tokens: dict[str, float]) -> None:
        self.tokens, self.bodies = tokens, []  # type: ignore[var-annotated]

    async def post(self, path: str, *, body: Any, cast_to: type) -> Any:
        assert path == "/v1/chat/completions"
        self.bodies.append(body)
        top = [{"token": token, "logprob": math.log(p)} for token, p in self.tokens.items()]
        return {"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}


def ask(server: Server, prompts: list[str], choices: Any, **options: Any) -> np.ndarray:
    llm = cast(anthropic.AsyncAnthropic, server)
    return asyncio.run(log_probabilities(llm, "smollm2-135m", prompts, choices, **options))


def test_spellings_of_a_choice_are_added_up_and_other_tokens_left_out() -> None:
    server = Server({"Yes": 0.3, " yes": 0.2, "No": 0.1, "Maybe": 0.4})
    assert np.exp(ask(server, ["Right?"], ("Yes", "No"))) == pytest.approx(np.array([[5 / 6, 1 / 6]]))


def test_a_choice_that_is_not_listed_gets_almost_nothing() -> None:
    found = np.exp(ask(Server({"A": 0.5}), ["Which?", "And now?"], "ABCD"))
    assert found.shape == (2, 4)
    assert found[:, 0] == pytest.approx(1.0, abs=1e-5) and (found[:, 1:] > 0).all()
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_no_prompts_give_an_empty_table() -> None:
    assert ask(Server({}), [], "AB").shape == (0, 2)


def test_the_request_holds_system_examples_and_prompt_in_order() -> None:
    server = Server({"A": 1.0})
    ask(server, ["third"], "AB", system="first", examples=[("second", "A")])
    assert [m["content"] for m in server.bodies[0]["messages"]] == ["first", "second", "A", "third"]
    assert server.bodies[0]["max_tokens"] == 1
