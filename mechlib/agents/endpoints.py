"""Agents and graders behind a server that speaks OpenAI's chat completions, as most servers of open models do.

>>> agent = EndpointAgent("local", "http://127.0.0.1:8000/v1", "my-model")
>>> agent.name, agent.url
('local', 'http://127.0.0.1:8000/v1/chat/completions')
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from mechlib.agents.protocol import (
    Answer,
    Cost,
    Mark,
    Said,
    about,
    priced,
    question,
    require_count,
    require_function,
    require_price,
    require_text,
)
from mechlib.agents.tasks import Reply, Task, grading_prompt, parse_answer, parse_score


@dataclass(frozen=True)
class _Endpoint:
    """A model at an address.

    Attributes
    ----------
    name : str
    base_url : str
        Up to and without ``/chat/completions``, such as ``http://127.0.0.1:8000/v1``.
    model : str
        What the request's ``model`` field names.
    system : str
        The system prompt, if any.
    key : str, optional
        Sent as a bearer token to this address alone; never shown.
    price : (float, float)
        Of a million input tokens and of a million output tokens.
    max_tokens : int
    options : mapping
        What else the request's body holds, such as ``{"temperature": 0}``.
    http : httpx2.AsyncClient, optional
        Who sends; by default a client a call, which keeps no connection open.
    """

    name: str
    base_url: str
    model: str
    system: str = ""
    key: str | None = field(default=None, repr=False)
    price: tuple[float, float] = (0.0, 0.0)
    max_tokens: int = 512
    options: Mapping[str, Any] = field(default_factory=dict)
    http: httpx2.AsyncClient | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_text("name", self.name)
        require_text("base_url", self.base_url)
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url is {self.base_url!r:.80}: it must begin with http:// or https://")
        require_text("model", self.model)
        if not isinstance(self.system, str):
            raise ValueError(f"system is {self.system!r:.80}: it must be a text.")
        if self.key is not None and not isinstance(self.key, str):
            raise ValueError("key must be a text, or None.")  # it is not shown
        require_price(self.price)
        require_count("max_tokens", self.max_tokens, 1)
        if not isinstance(self.options, Mapping):
            raise TypeError(f"options is {self.options!r:.80}: it must be a mapping of more fields for the body.")
        if self.http is not None and not hasattr(self.http, "post"):
            raise TypeError(f"http is {self.http!r:.80}: it must be an httpx2.AsyncClient.")
        require_function("prompt", getattr(self, "prompt", question))
        require_function("read", getattr(self, "read", parse_answer))

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.base_url.rstrip("/") + "/chat/completions"

    def _messages(self, prompt: str) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": prompt}]

    def _size(self, prompt: str) -> tuple[int, int]:
        return about(self.system + prompt), self.max_tokens

    async def _ask(self, prompt: str) -> Said:
        """Call the model once, and say what it said, what that cost, and what went wrong."""
        start = time.perf_counter()
        body = {"model": self.model, "max_tokens": self.max_tokens, "messages": self._messages(prompt), **self.options}
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            response = await self._post(body, headers)
        except httpx2.TimeoutException as error:
            return Said("", Cost(seconds=time.perf_counter() - start), "timeout", repr(error))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return Said("", Cost(seconds=time.perf_counter() - start), "error", repr(error))
        seconds = time.perf_counter() - start
        if not response.is_success:
            said = f"status {response.status_code}: {response.text[:200]}"
            return Said("", Cost(seconds=seconds), "error", said)
        try:
            reply = response.json()
            choice, usage = reply["choices"][0], reply.get("usage") or {}
            entered, written = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            text = choice["message"].get("content")
            refused = choice["message"].get("refusal") or choice.get("finish_reason") == "content_filter"
            if not isinstance(text, str) and not refused:
                raise TypeError(f"its content is {text!r:.80}")
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:  # a 200 of another kind
            return Said("", Cost(seconds=seconds), "error",
                         f"the server's reply is no chat completion ({error!r}): {response.text[:200]}")
        cost = Cost(entered + written, seconds, priced(self.price, entered, written))
        return Said(text or "", cost, "refused" if refused else None)

    async def _post(self, body: dict[str, Any], headers: dict[str, str]) -> httpx2.Response:
        if self.http is not None:
            return await self.http.post(self.url, json=body, headers=headers)
        async with httpx2.AsyncClient(timeout=None) as http:  # how long a call may take, the coordinator says
            return await http.post(self.url, json=body, headers=headers)


@dataclass(frozen=True)
class EndpointAgent(_Endpoint):
    """An agent behind an OpenAI-compatible address.

    Attributes
    ----------
    name, base_url, model, system, key, price, max_tokens, options, http
        The name, the address up to ``/chat/completions``, the model's name there, the system prompt, a bearer token,
        the price of a million tokens in and out, the most that is written, more fields for the body, and who sends.
    prompt : callable
        ``prompt(task)`` is what it is asked.
    read : callable
        ``read(text)`` says what a reply says, as a `Reply`; by default its ANSWER and CONFIDENCE lines.
    """

    prompt: Callable[[Task], str] = question
    read: Callable[[str], Reply] = parse_answer

    async def __call__(self, task: Task) -> Answer:
        """Ask the model once, and read its reply."""
        said = await self._ask(self.prompt(task))
        return said.answer(self.read)

    def size(self, task: Task) -> tuple[int, int]:
        """Return about how many tokens one call reads, and the most that it may write."""
        return self._size(self.prompt(task))


@dataclass(frozen=True)
class EndpointGrader(_Endpoint):
    """A grader behind an OpenAI-compatible address; attributes as in `EndpointAgent`.

    ``prompt(question, answer)`` is what it is asked, by default the answer escaped between tags, and ``read(text)``
    says the mark, by default that of the SCORE line.
    """

    prompt: Callable[[str, str], str] = grading_prompt
    read: Callable[[str], float] = parse_score

    async def __call__(self, task: Task, answer: str) -> Mark:
        """Ask the model for one mark, and read it."""
        said = await self._ask(self.prompt(task.prompt, answer))
        return said.mark(self.read)

    def size(self, task: Task, answer: str) -> tuple[int, int]:
        """Return about how many tokens one call reads, and the most that it may write."""
        return self._size(self.prompt(task.prompt, answer))
