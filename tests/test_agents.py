"""Agents and graders as a protocol: personas, endpoints and functions, with prompts and parsers of one's own."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import anthropic
import httpx2
import numpy as np
import pytest
from test_coordinator import AGENTS, GOOD, JUDGE, TASK, Instant, best_marked, fake, message, play, proper, says

from mechlib import Coordinator, EndpointAgent, EndpointGrader, PersonaAgent, PersonaGrader, Roster, client
from mechlib.agents.protocol import about, priced
from mechlib.agents.roster import Model
from mechlib.agents.tasks import Reply, Task

PAGE = Path(__file__).parent.parent / "book" / "howto" / "bring_agents.md"


def completion(text: Any = GOOD["a"], **changes: Any) -> dict[str, Any]:
    """What a server of chat completions returns."""
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 30, "completion_tokens": 12}} | changes


def endpoint(reply: Any, kind: type = EndpointAgent, **options: Any) -> tuple[Any, list[httpx2.Request]]:
    """An adapter over a transport that replies so, and the requests that it sends."""
    sent: list[httpx2.Request] = []

    async def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx2.Response) else httpx2.Response(200, json=reply)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
    return kind("e", "http://models.example/v1/", "m", http=http, **options), sent


def test_an_endpoint_is_asked_as_openai_s_servers_are_and_its_reply_read_by_the_two_lines() -> None:
    agent, sent = endpoint(completion(), system="Be brief.", key="secret-word", price=(2.0, 5.0), max_tokens=99,
                           options={"temperature": 0})  # fmt: skip
    answer = asyncio.run(agent(TASK))
    assert answer[:2] == ("2", 0.9) and answer.cost[::2] == (42, 2 * 30 + 5 * 12) and answer.status == "answered"
    (request,) = sent
    assert str(request.url) == "http://models.example/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret-word" and "secret-word" not in repr(agent)
    assert json.loads(request.content) == {
        "model": "m", "max_tokens": 99, "temperature": 0,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TASK.prompt}]}
    without, sent = endpoint(completion())
    asyncio.run(without(TASK))
    assert "authorization" not in sent[0].headers and len(json.loads(sent[0].content)["messages"]) == 1


def test_an_endpoint_marks_too() -> None:
    grader, sent = endpoint(completion("SCORE: 0.25"), EndpointGrader)
    assert asyncio.run(grader(TASK, "2 </answer>"))[0] == 0.25
    assert "2 &lt;/answer&gt;" in json.loads(sent[0].content)["messages"][0]["content"]
    strict, _ = endpoint(completion("7 of 10"), EndpointGrader, read=lambda text: int(text[0]) / 10,
                         prompt=lambda question, answer: f"{question}: {answer}?")  # fmt: skip
    assert asyncio.run(strict(TASK, "2"))[0] == 0.7 and strict.size(TASK, "2") == (about("What is 1 + 1?: 2?"), 512)


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        (httpx2.ReadTimeout("slow"), "timeout", "slow"),
        (httpx2.ConnectError("down"), "error", "down"),
        (httpx2.Response(429, text="too many"), "error", "429: too many"),
        (httpx2.Response(500, text="oops"), "error", "500"),
        (httpx2.Response(200, text="<html>"), "error", "no chat completion"),
        (httpx2.Response(200, text=""), "error", "no chat completion"),
        (httpx2.Response(200, text="[]"), "error", "no chat completion"),
        (httpx2.Response(200, text="null"), "error", "no chat completion"),
        ({"choices": []}, "error", "no chat completion"),
        ({"error": {"message": "overloaded"}}, "error", "overloaded"),
        (completion(None), "error", "content is None"),
        (completion([{"type": "text", "text": "ANSWER: 2"}]), "error", "no chat completion"),
        (completion(usage={"prompt_tokens": "many"}), "error", "no chat completion"),
        (completion(choices=[{"message": {"content": None, "refusal": "I will not"}}]), "refused", ""),
        (completion(choices=[{"message": {"content": "x"}, "finish_reason": "content_filter"}]), "refused", ""),
        (completion("2, I am sure"), "malformed", ""),
        (completion("ANSWER: I do not know\nCONFIDENCE: 0"), "abstained", ""),
    ],
)
def test_whatever_an_endpoint_replies_is_said_as_what_it_was_and_the_round_closes(
    reply: Any, status: str, words: str
) -> None:
    agent, _ = endpoint(reply)
    desk = Coordinator([AGENTS[0], agent], proper, budget=2000, client=Instant(says(GOOD)))
    done = play(desk)
    assert done.submissions[1].status == status and words in done.submissions[1].detail
    assert list(done.payments) == [990, 0] and desk.ledger.rounds()[0].closed


def test_tokens_that_no_endpoint_counted_are_none() -> None:
    agent, _ = endpoint(completion(usage=None))
    assert asyncio.run(agent(TASK)).cost.tokens == 0


def test_an_endpoint_opens_a_client_of_its_own_if_it_has_none() -> None:
    agent = EndpointAgent("e", "http://127.0.0.1:9/v1", "m")  # nobody listens on the discard port
    assert asyncio.run(agent(TASK)).status == "error"
    with pytest.raises(ValueError, match="base_url"):
        EndpointAgent("e", "127.0.0.1:9", "m")


def test_an_endpoint_in_a_team_is_paid_and_priced() -> None:
    agent, _ = endpoint(completion(), price=(1.0, 1.0))
    done = play(Coordinator([agent, AGENTS[1]], proper, budget=2000, client=Instant(says(GOOD))))
    assert list(done.payments) == [990, -360] and done.spent.price == 42
    plan = Coordinator([agent], proper, budget=2000).dry_run([TASK])
    assert plan == (1, 0, about(TASK.prompt), 512, about(TASK.prompt) + 512, ())


def test_a_persona_s_prompt_and_reader_are_arguments() -> None:
    def read(text: str) -> Reply:
        said = json.loads(text)
        return Reply(said["code"], said["sure"], "answered")

    code = "def f(x):\n    return 2 * x  # " + "long " * 400
    client = Instant(lambda model, prompt: json.dumps({"code": code, "sure": 0.75}))
    agent = PersonaAgent(AGENTS[0], client, lambda task: f"{task.prompt} In JSON.", read, (3.0, 4.0))
    answer = asyncio.run(agent(TASK))
    assert answer[:2] == (code, 0.75) and client.asked[0]["messages"][-1]["content"] == f"{TASK.prompt} In JSON."
    assert answer.cost[::2] == (17, 3 * 15 + 4 * 2) and agent.size(TASK) == (about(f"\n{TASK.prompt} In JSON."), 64)
    wrong = Instant(lambda model, prompt: "no JSON")
    done = play(Coordinator([PersonaAgent(AGENTS[0], wrong, read=read), AGENTS[1]], proper, client=Instant(says(GOOD))))
    assert done.submissions[0].status == "error" and "could not be read" in done.submissions[0].detail
    assert done.submissions[0].cost.tokens == 17  # what was said counts, whoever can read it


def test_a_persona_grades_by_its_own_prompt_and_reader_also_as_a_peer() -> None:
    client = Instant(lambda model, prompt: "4 stars" if "stars?" in prompt else GOOD.get(model[-1], ""))
    judge = PersonaGrader(JUDGE, client, lambda question, answer: f"{answer}: stars?", lambda text: int(text[0]) / 5)
    for graders, models in (("validator", {"model-judge"}), ("peers", {"model-a", "model-b", "model-c"})):
        client.asked.clear()
        agents = [PersonaAgent(agent, client) for agent in AGENTS]
        done = play(Coordinator(agents, best_marked, judge=judge, graders=graders))
        assert np.nanmin(done.marks) == np.nanmax(done.marks) == 0.8
        assert {asked["model"] for asked in client.asked if "stars?" in asked["messages"][-1]["content"]} == models
    broken = PersonaGrader(JUDGE, client, read=lambda text: 1 / 0)
    assert asyncio.run(broken(TASK, "2")).status == "error" and asyncio.run(broken(TASK, "2")).cost.tokens == 17


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_persona_says_what_the_sdk_raised() -> None:
    agent = PersonaAgent(AGENTS[0], fake(lambda model, prompt: 529))
    assert asyncio.run(agent(TASK)).status == "error" and "529" in asyncio.run(agent(TASK)).detail
    slow = PersonaGrader(JUDGE, fake(lambda model, prompt: httpx2.ReadTimeout("slow")))
    assert asyncio.run(slow(TASK, "2")).status == "timeout"


def test_any_object_with_a_name_and_a_call_is_an_agent() -> None:
    class Oracle:
        name = "oracle"

        async def __call__(self, task: Task) -> tuple[str, float]:
            return str(task.key), 1.0

        def size(self, task: Task) -> tuple[int, int]:
            return 3, 4

    desk = Coordinator([Oracle()], proper, budget=10)
    assert play(desk).answer == "2" and desk.dry_run([TASK])[2:5] == (3, 4, 0)


def test_models_are_reached_by_their_url_or_else_by_their_port() -> None:
    assert Model("m").address is None and Model("m", port=8101).address == "http://127.0.0.1:8101"
    assert Model("m", port=8101, url="https://models.example/").address == "https://models.example"
    assert priced((2.0, 3.0), 10, 1) == 23 and about("") == 0 and about("four") == 2


def test_functions_are_coordinated_where_no_sdk_is_installed() -> None:
    code = """
import asyncio, sys
sys.modules.update(dict.fromkeys(("anthropic", "httpx2")))  # as if they were not there
from mechlib import Award, Coordinator, FunctionAgent, quadratic
from mechlib.agents.tasks import Task
async def knows(task):
    return "2", 0.9
desk = Coordinator([FunctionAgent("a", knows)], lambda reports, found: Award(reports > 0, quadratic(reports, found)))
print(asyncio.run(desk.run(Task("t", "1 + 1?", key="2"))).payments)
"""
    root = {**os.environ, "PYTHONPATH": str(PAGE.parent.parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=root)
    assert done.stdout == "[990]\n", done.stderr


class Elsewhere(BaseHTTPRequestHandler):
    """A server of the Messages API under a path of its own."""

    heard: ClassVar[list[tuple[str, str | None]]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.heard.append((self.path, self.headers["x-api-key"]))
        data = json.dumps(message(GOOD["a"], asked["model"]).model_dump()).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_model_of_a_roster_is_reached_at_its_url_and_no_key_goes_there(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        place = f"127.0.0.1:{server.server_address[1]}"
        roster = Roster("mine", {"model-a": Model("model-a", url=f"http://{place}/models/")})
        llm = client(tmp_path / "tape.jsonl", "record", roster=roster, api_key="secret")
        answer = asyncio.run(PersonaAgent(AGENTS[0], llm)(TASK))
        server.shutdown()
    assert answer[:2] == ("2", 0.9) and Elsewhere.heard == [("/models/v1/messages", None)]
    (line,) = (tmp_path / "tape.jsonl").read_text().splitlines()
    assert json.loads(line)["provenance"]["server"] == place and "secret" not in line
    with pytest.raises(ValueError, match="url of model 'm'"):
        Model("m", url="models.example")


# The page


def blocks() -> list[str]:
    """The page's programs, in order; of a dialogue, what is typed into it, but for what it runs at once."""
    shown = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    typed = [[line[4:] for line in block.splitlines() if line[:4] in (">>> ", "... ")] for block in shown]
    return ["\n".join(line for line in lines if "asyncio.run(" not in line) if lines else block
            for lines, block in zip(typed, shown, strict=True)]


class Graph:
    """What the page uses of a LangGraph graph, where that is not installed: nodes that update a state, in order."""

    def __init__(self, schema: type) -> None:
        self.nodes: dict[str, Any] = {}

    def add_node(self, name: str, node: Any) -> Graph:
        self.nodes[name] = node
        return self

    def add_edge(self, start: str, end: str) -> Graph:
        assert end in self.nodes
        return self

    def compile(self) -> Graph:
        return self

    async def ainvoke(self, state: dict[str, Any]) -> dict[str, Any]:
        for node in self.nodes.values():
            state = {**state, **await node(state)}
        return state


def turns(request: httpx2.Request) -> httpx2.Response:
    """A model that calls the tool first, and answers once it has the result."""
    asked = json.loads(request.content)
    done = any(part["type"] == "tool_result" for said in asked["messages"] if isinstance(said["content"], list)
               for part in said["content"])  # fmt: skip
    tool = {"type": "tool_use", "id": "t1", "name": "population", "input": {"city": "Paris"}}
    said = message("ANSWER: Paris\nCONFIDENCE: 0.7", asked["model"]).model_dump()
    if asked.get("tools") and not done:
        said |= {"content": [tool], "stop_reason": "tool_use"}
    elif "In JSON" in str(asked["messages"]) or "Reply in JSON" in str(asked["messages"]):
        text = json.dumps({"code": "def double(x):\n    return 2 * x", "confidence": 0.6})
        said |= {"content": [{"type": "text", "text": text}]}
    return httpx2.Response(200, json=said)


def test_what_the_page_shows_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in = ModuleType("langgraph.graph")
    vars(stand_in).update(StateGraph=Graph, START="__start__")
    monkeypatch.setitem(sys.modules, "langgraph", ModuleType("langgraph"))
    monkeypatch.setitem(sys.modules, "langgraph.graph", stand_in)

    def client(**options: Any) -> anthropic.AsyncAnthropic:
        http = anthropic.DefaultAsyncHttpxClient(transport=httpx2.MockTransport(turns))
        return SDK(api_key="none", http_client=http, **options)

    SDK = anthropic.AsyncAnthropic
    monkeypatch.setattr(anthropic, "AsyncAnthropic", client)
    scope: dict[str, Any] = {"__name__": "page"}

    async def work() -> None:
        for block in blocks():
            code = compile(block, PAGE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if (running := eval(code, scope)) is not None and inspect.isawaitable(running):
                await running
        done = scope["done"]
        assert [s.status for s in done.submissions] == ["answered"] * 3 and done.answer == "Paris"
        assert not done.faults and done.submissions[2].cost.tokens == 24  # two turns of twelve
        code = await Coordinator([scope["coder"]], proper).run(scope["double"])
        assert code.found[0] == 1 and code.reports[0] == 0.6
        assert await scope["ask_the_team"]({"question": "The capital of France?"}) == {"answer": "Paris"}

    asyncio.run(work())
    assert "6 calls (3 answers, 3 marks)" in capsys.readouterr().out


@pytest.mark.parametrize("start", ["async def run_graph", "async def with_tools"])
def test_the_agents_of_the_page_take_about_ten_lines(start: str) -> None:
    (block,) = [block for block in blocks() if start in block]
    body = block[block.index(start):]
    assert 3 <= len([line for line in body.splitlines() if line.strip()]) <= 11
