"""An agent's call is answered from the tape as the SDK would answer it, and by the SDK wherever that may differ."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest

from mechlib.agents.llm import Cassette, MissingRecording, client
from mechlib.agents.recordings import key
from mechlib.agents.roster import Agent
from mechlib.agents.sending import SAMPLE, post, send

AGENT = Agent("nobody", "no-such-model", "Be brief.")


def recorded(name: str, count: int) -> list[dict[str, Any]]:
    """Return requests of a cassette, evenly over its whole length."""
    entries = [each["request"] for each in Cassette(name).tape.entries() if each["request"]["path"] == "/v1/messages"]
    return list(itertools.islice(entries, 0, None, max(1, len(entries) // count)))


@pytest.fixture
def through_the_sdk(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the SDK was asked to send."""
    asked: list[dict[str, Any]] = []
    create: Callable[..., Any] = anthropic.resources.messages.AsyncMessages.create

    def counted(self: Any, **arguments: Any) -> Any:
        asked.append(arguments)
        return create(self, **arguments)

    monkeypatch.setattr(anthropic.resources.messages.AsyncMessages, "create", counted)
    return asked


@pytest.mark.parametrize("name", ["documents_test", "documents_trained", "samples", "pipeline", "bids"])
def test_a_recorded_reply_is_the_message_that_the_sdk_gives(name: str, through_the_sdk: list[Any]) -> None:
    llm = client(name)

    async def both(request: dict[str, Any]) -> tuple[anthropic.types.Message, anthropic.types.Message]:
        sample = request.get("sample", 0)
        short = await send(llm, request["body"], sample)
        assert through_the_sdk == [], "a call on record takes the short way"
        whole = await llm.messages.create(**request["body"], extra_headers={SAMPLE: str(sample)})
        through_the_sdk.clear()
        return short, whole

    for request in recorded(name, 12):
        short, whole = asyncio.run(both(request))
        assert short == whole and type(short) is type(whole)
        assert short.to_dict() == whole.to_dict()
        assert short.recorded_seconds == whole.recorded_seconds >= 0  # type: ignore[attr-defined]


def test_a_request_that_is_not_on_record_is_the_sdks_to_refuse(through_the_sdk: list[Any]) -> None:
    with pytest.raises(MissingRecording, match="no-such-model"):
        asyncio.run(AGENT.ask(client("pipeline"), "hello"))
    assert len(through_the_sdk) == 1


@pytest.mark.parametrize("option", [{"max_retries": 0}, {"default_headers": {"anthropic-beta": "new"}}])
def test_a_client_with_options_of_its_own_goes_through_the_sdk(option: dict[str, Any], through_the_sdk: Any) -> None:
    request = recorded("pipeline", 1)[0]
    llm = client("pipeline", **option)
    try:
        asyncio.run(send(llm, request["body"]))
    except MissingRecording:
        assert "default_headers" in option, "a beta is part of what is asked"
    assert len(through_the_sdk) == 1


def test_a_copy_of_a_client_goes_through_the_sdk(through_the_sdk: list[Any]) -> None:
    request = recorded("pipeline", 1)[0]
    asyncio.run(send(client("pipeline").with_options(timeout=1.0), request["body"]))
    assert len(through_the_sdk) == 1


def test_headers_of_the_environment_go_through_the_sdk(
    through_the_sdk: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "anthropic-version: 2020-01-01")
    request = recorded("pipeline", 1)[0]
    with pytest.raises(MissingRecording):
        asyncio.run(send(client("pipeline"), request["body"]))
    assert len(through_the_sdk) == 1


def test_a_recorded_completion_is_the_json_that_the_sdk_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    llm, path = client("probabilities"), "/v1/chat/completions"
    bodies = [each["request"]["body"] for each in Cassette("probabilities").tape.entries()][::40]
    whole = [asyncio.run(llm.post(path, body=body, cast_to=object)) for body in bodies]
    monkeypatch.setattr(llm, "post", None)
    assert [asyncio.run(post(llm, path, body)) for body in bodies] == whole


def test_a_completion_that_is_not_on_record_goes_through_the_sdk() -> None:
    with pytest.raises(MissingRecording):
        asyncio.run(post(client("probabilities"), "/v1/chat/completions", {"model": "no-such-model", "messages": []}))


def test_what_takes_the_short_way_is_logged_as_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MECHLIB_USAGE", str(tmp_path))
    request = recorded("pipeline", 1)[0]
    llm = client("pipeline")
    asyncio.run(send(llm, request["body"]))
    asyncio.run(send(llm, request["body"]))
    logs = [path.read_text().split() for path in tmp_path.glob("pipeline-*.txt")]
    assert logs == [[key("post", "/v1/messages", request["body"])]]
