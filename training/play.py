"""Serve the trained adapters, let them state their confidence, and record it: ``python training/play.py test``.

One server holds the model and all adapters and switches between them call by call, so that what a prompt's tokens have
computed serves every adapter. That changes no reply: an activated adapter leaves the tokens before it alone. What is
recorded is not asked again, and the tasks come in order, so that a part is useful too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from random import Random

from record import ROSTER, cases
from tqdm import tqdm

from mechlib.agents.llm import client
from mechlib.agents.roster import Model, Roster
from mechlib.agents.tasks import load_tasks
from mechlib.course.trained import statement

MODEL, PORT = "qwen2.5-coder-0.5b", 8222


def post(path: str, body: object) -> None:
    """Tell the server something that the SDK has no words for."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, {"content-type": "application/json"})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).read()


def adapted(names: list[str]) -> Roster:
    """Return the roster of the documents with the adapters in it, each by its hash."""
    roster = Roster.load(ROSTER)
    results = [json.loads(Path(f"training/results/{name}.json").read_text()) for name in names]
    adapters = {name: {"file": result["adapter"], "sha256": result["sha256"]}
                for name, result in zip(names, results, strict=True)}
    models = {f"{MODEL}+{name}": Model(f"{MODEL}+{name}", MODEL, PORT, adapter=name) for name in names}
    base = replace(roster.models[MODEL], port=PORT)
    return replace(roster, models={**roster.models, **models, MODEL: base}, adapters=adapters)


async def play(what: str, names: list[str], tasks: int, first: int = 0) -> None:
    """Ask the model as it is, then each adapter, prompt by prompt."""
    roster = adapted(names)
    models = [f"{MODEL}+{name}" for name in names]
    plain, trained = client(f"documents_{what}", "record", roster), client("documents_trained", "record", roster)
    agent = roster.agents[0]
    prompts = ([task.prompt for task in load_tasks()] if what == "trivia" else
               [prompt for case in cases(what) for prompt in case.prompts])[3 * first : 3 * tasks]  # fmt: skip
    for prompt in tqdm(prompts, desc=f"{len(models)} adapters, {what}", mininterval=20):
        post("/lora-adapters", [{"id": number, "scale": 0.0} for number in range(len(models))])
        reply = await agent.ask(plain, prompt)
        for number, model in enumerate(models):
            request = statement(agent, model, prompt, reply.content[0].text)
            post("/lora-adapters", [{"id": i, "scale": float(i == number)} for i in range(len(models))])
            await trained.messages.create(**request)


async def again(names: list[str], replies: int, seed: int = 0) -> dict[str, dict[str, int]]:
    """Ask some recorded replies of each adapter again, and count in how many the text is the same.

    Which ones is drawn anew for each adapter. Nothing is recorded. The result goes into training/again.json as well.
    """
    roster = adapted(names)
    tape, live = client("documents_trained", "replay", roster), client("documents_trained", "live", roster)
    plain, agent = client("documents_test", "replay", roster), roster.agents[0]
    prompts = [prompt for case in cases("test") for prompt in case.prompts]
    found = {}
    for number, name in enumerate(names):
        post("/lora-adapters", [{"id": i, "scale": float(i == number)} for i in range(len(names))])
        same = 0
        for prompt in tqdm(Random(f"{seed}, {name}").sample(prompts, replies), desc=name, mininterval=20):
            request = statement(agent, f"{MODEL}+{name}", prompt, (await agent.ask(plain, prompt)).content[0].text)
            kept, asked = await tape.messages.create(**request), await live.messages.create(**request)
            same += kept.content[0].text == asked.content[0].text
        found[name] = {"asked": replies, "same": same}
    Path("training/again.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def serve(file: str, *adapters: str) -> None:
    """Serve the model with adapters, none of them active yet."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.hostnames, params.port = file, ["127.0.0.1"], PORT
    params.n_ctx, params.n_parallel = 4096, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.no_extra_bufts = True
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.sampling.temp, params.sampling.seed = 0.0, 0
    loaded = []
    for path in adapters:
        info = xllamacpp.CommonAdapterLoraInfo()
        info.path, info.scale = path, 1.0
        loaded.append(info)
    params.lora_adapters, params.lora_init_without_apply = loaded, True
    server = xllamacpp.Server(params)
    while server:
        time.sleep(1)


def wait(server: subprocess.Popen[bytes]) -> None:
    """Return once the server answers."""
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            post("/tokenize", {"content": "ready"})
            return
        except OSError:
            time.sleep(1)
    raise RuntimeError(f"the server did not come up on port {PORT}: is the port taken, are the adapters there?")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["test", "field", "trivia", "again"])
    parser.add_argument("adapters", nargs="*", help="such as quadratic-0; by default all that were trained")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--replies", type=int, default=30, help="how many of each adapter are asked again")
    parser.add_argument("--first", type=int, default=0, help="the task to begin with")
    given = parser.parse_args()
    names = given.adapters or sorted(path.stem for path in Path("training/results").glob("*.json"))
    weights = Path(".models") / Roster.load(ROSTER).weights[MODEL]["file"]
    command = [sys.executable, __file__, "serve", str(weights), *(f"adapters/{name}.gguf" for name in names)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(server)
        if given.what == "again":
            print(asyncio.run(again(names, given.replies)))
        else:
            asyncio.run(play(given.what, names, given.tasks, given.first))
    finally:
        server.terminate()
