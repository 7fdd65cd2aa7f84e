"""Every use of the SDK that a cassette keeps, by either client; as a program, each is recorded and replayed.

``python sdk_uses.py`` needs the package and a server at the address in its first argument, and prints a line a use.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import pydantic

from mechlib.agents.llm import client
from mechlib.agents.sending import SAMPLE

HELLO: dict[str, Any] = {"model": "claude-opus-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
BETA = "token-efficient-tools-2026-03-28"


class Sum(pydantic.BaseModel):
    """What is parsed."""

    first: int
    second: int


async def done(value: Any) -> Any:
    """Wait for what an asynchronous client returns; a synchronous one has returned it."""
    return await value if inspect.isawaitable(value) else value


async def items(values: Any) -> list[Any]:
    """Return all that a stream or a page of either client gives."""
    return [value async for value in values] if hasattr(values, "__aiter__") else list(values)


@asynccontextmanager
async def within(manager: Any) -> AsyncIterator[Any]:
    """Enter what either client hands out as a context."""
    if hasattr(manager, "__aenter__"):
        async with manager as inside:
            yield inside
    else:
        with manager as inside:
            yield inside


async def create(llm: Any) -> Any:
    return (await done(llm.messages.create(**HELLO))).to_dict()


async def create_stream(llm: Any) -> Any:
    return [event.to_dict() for event in await items(await done(llm.messages.create(**HELLO, stream=True)))]


async def stream(llm: Any) -> Any:
    async with within(llm.messages.stream(**HELLO)) as events:
        return await items(events.text_stream), (await done(events.get_final_message())).to_dict()


async def raw(llm: Any) -> Any:
    response = await done(llm.messages.with_raw_response.create(**HELLO))
    return response.status_code, response.headers["content-type"], (await done(response.parse())).to_dict()


async def streaming(llm: Any) -> Any:
    async with within(llm.messages.with_streaming_response.create(**HELLO, stream=True)) as response:
        return [line for line in await items(response.iter_lines()) if line.startswith("event")]


async def parse(llm: Any) -> Any:
    return (await done(llm.messages.parse(**HELLO, output_format=Sum))).parsed_output


async def tool_runner(llm: Any) -> Any:
    called = []

    def add(first: int, second: int) -> str:
        """Add two numbers."""
        called.append((first, second))
        return str(first + second)

    async def add_later(first: int, second: int) -> str:
        """Add two numbers."""
        return add(first, second)

    later = isinstance(llm, anthropic.AsyncAnthropic)
    tool = anthropic.beta_async_tool(add_later, name="add") if later else anthropic.beta_tool(add)
    runner = llm.beta.messages.tool_runner(**HELLO, tools=[tool])
    return [said.to_dict() for said in await items(runner)], called


async def count_tokens(llm: Any) -> Any:
    body = {name: HELLO[name] for name in ("model", "messages")}
    return (await done(llm.messages.count_tokens(**body))).input_tokens


async def models(llm: Any) -> Any:
    page = llm.models.list(limit=2)
    names = [each.id for each in await items(page)]  # two pages
    return names, (await done(llm.models.retrieve("claude-opus-5"))).display_name


async def batches(llm: Any) -> Any:
    requests = [{"custom_id": f"call-{n}", "params": {**HELLO, "max_tokens": n}} for n in (1, 2)]
    batch = await done(llm.messages.batches.create(requests=requests))
    while batch.processing_status != "ended":
        batch = await done(llm.messages.batches.retrieve(batch.id))
    results = await items(await done(llm.messages.batches.results(batch.id)))
    return {each.custom_id: each.result.message.content[0].text for each in results}


async def files(llm: Any) -> Any:
    told = await done(llm.files.upload(file=("notes.txt", b"what was \xff said", "text/plain")))
    listed = [each.filename for each in await items(llm.files.list())]
    content = await done(llm.files.download(told.id))
    data = await done(content.read())
    return told.filename, listed[-1], data, (await done(llm.files.retrieve_metadata(told.id))).size_bytes


async def betas(llm: Any) -> Any:
    plain = await done(llm.beta.messages.create(**HELLO))
    with_beta = await done(llm.beta.messages.create(**{**HELLO, "max_tokens": 65}, betas=[BETA]))
    return plain.to_dict(), with_beta.to_dict()


async def options(llm: Any) -> Any:
    patient = llm.with_options(timeout=30, max_retries=4)
    return (await done(patient.messages.create(**HELLO, extra_headers={SAMPLE: "3"}))).to_dict()


Use = Callable[[Any], Awaitable[Any]]
USES: list[Use] = [create, create_stream, stream, raw, streaming, parse, tool_runner, count_tokens, models, batches,
                   files, betas, options]  # fmt: skip


def run(use: Use, *where: Any, sync: bool = False, **more: Any) -> Any:
    """Make one use of a client of either kind."""

    async def work() -> Any:
        llm = client(*where, sync=sync, api_key="nobody's", **more)  # type: ignore[call-overload]
        async with within(llm):
            return await use(llm)

    return asyncio.run(work())


def without_wait(value: Any) -> str:
    """Return a value as a text, without how long whoever recorded it waited."""
    if isinstance(value, dict):
        return str({name: without_wait(part) for name, part in value.items() if name != "recorded_seconds"})
    return str([without_wait(part) for part in value] if isinstance(value, list | tuple) else value)


def main(url: str) -> None:
    """Record each use, and replay it by the other client; print whether both gave the same."""
    for sync in (False, True):
        for use in USES:
            tape = f"{use.__name__}-{'sync' if sync else 'async'}"
            recorded = run(use, tape, "record", sync=sync, base_url=url)
            replayed = [run(use, tape, "replay", sync=kind) for kind in (sync, not sync)]
            print(tape, all(without_wait(value) == without_wait(recorded) for value in replayed))


if __name__ == "__main__":
    main(sys.argv[1])
