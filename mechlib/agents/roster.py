"""Who plays: models, the weights behind them, and agents, read from ``rosters/NAME.toml``.

``MECHLIB_ROSTER`` names the roster that takes the place of ``open``: one switch for every notebook.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechlib.agents.folders import home, shipped
from mechlib.agents.sending import send

if TYPE_CHECKING:
    import anthropic


@dataclass(frozen=True)
class Model:
    """A serving profile, such as ``qwen2.5-coder-0.5b@t0.8``: what a request's ``model`` field names.

    `weights` is their key in the roster and `port` where `mechlib serve` puts the model on 127.0.0.1; both are None for
    a model behind an API. A model that is served elsewhere has its server's `url`, which goes before the port. The
    `temperature` is set at the server, because the Messages API of 2026 takes none. `price` is that of a million input
    tokens and of a million output tokens. `adapter` is the key of low-rank weights, trained on top of the model's, in
    the roster's ``[adapters]``.
    """

    id: str
    weights: str | None = None
    port: int | None = None
    temperature: float = 0.0
    price: tuple[float, float] = (0.0, 0.0)
    adapter: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        """Refuse a port that is no number: it becomes part of an address, whose host must stay this machine."""
        if self.port is not None and not (type(self.port) is int and 0 < self.port < 65536):
            raise ValueError(f"port of model {self.id!r:.80} is {self.port!r:.80}; give a number below 65536")
        if self.url is not None and not str(self.url).startswith(("http://", "https://")):
            raise ValueError(f"url of model {self.id!r:.80} is {self.url!r:.80}; begin it with http:// or https://")

    @property
    def address(self) -> str | None:
        """Where requests for this model go; None where the SDK's own address is meant."""
        if self.url is not None:
            return self.url.rstrip("/")
        return None if self.port is None else f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Agent:
    """A model with a persona: its system prompt, examples of how it should reply, and a reminder under each prompt."""

    name: str
    model: str
    system: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    max_tokens: int = 64
    reminder: str = ""

    def __post_init__(self) -> None:
        """Refuse here what a server would refuse later, or read otherwise."""
        for field_name in ("name", "model", "system", "reminder"):
            if not isinstance(given := getattr(self, field_name), str):
                raise TypeError(f"{field_name} is {given!r:.80}: it must be a str")
        if type(self.max_tokens) is not int or self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens!r:.80}: it must be a whole number of at least 1")
        pairs = self.examples if isinstance(self.examples, tuple | list) else [None]
        if not all(isinstance(pair, tuple | list) and [*map(type, pair)] == [str, str] for pair in pairs):
            raise TypeError(f"examples is {self.examples!r:.80}: it must hold pairs (what a user asks, the reply)")

    def request(self, prompt: str) -> dict[str, Any]:
        """Return the arguments of ``messages.create`` for one prompt."""
        tail = f"\n{self.reminder}" if self.reminder else ""
        messages = []
        for user, assistant in self.examples:
            messages += [{"role": "user", "content": user + tail}, {"role": "assistant", "content": assistant}]
        messages.append({"role": "user", "content": prompt + tail})
        system = {"system": self.system} if self.system else {}
        return {"model": self.model, "max_tokens": self.max_tokens, **system, "messages": messages}

    async def ask(self, client: anthropic.AsyncAnthropic, prompt: str, sample: int = 0) -> anthropic.types.Message:
        """Send the prompt; `sample` > 0 asks for a further, separately recorded reply to the same prompt."""
        return await send(client, self.request(prompt), sample)


@dataclass(frozen=True)
class Roster:
    """The models by id, the weights behind them, the agents, and who grades.

    `adapters` are files of low-rank weights by name, each with its ``file`` and ``sha256``. `folder` is where under
    ``recordings`` the cassettes of this roster lie; empty for ``recordings`` itself.
    """

    name: str
    models: Mapping[str, Model]
    weights: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    agents: tuple[Agent, ...] = ()
    grader: Agent | None = None
    adapters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: str = ""

    @classmethod
    def load(cls, name: str | Path = "open") -> Roster:
        """Read a roster by path, or by name (``open``, ``claude``): the project's own, else the one that is shipped.

        If ``MECHLIB_ROSTER`` is set, ``open`` stands for the roster that it names.

        A roster that is not there is a FileNotFoundError; an agent whose model it does not define, and a model whose
        weights or adapter it does not, are ValueErrors.
        """
        name = chosen(name)
        if not isinstance(name, str | Path):
            raise TypeError(f"name is {name!r:.80}: it must be the name of a roster, or a path")
        folders = [folder / "rosters" for folder in (home(), shipped())]
        paths = [Path(name)] if str(name).endswith(".toml") else [folder / f"{name}.toml" for folder in folders]
        path = next((path for path in paths if path.exists()), paths[0])
        if not path.exists():
            there = ", ".join(sorted({p.stem for folder in folders for p in folder.glob("*.toml")}))
            raise FileNotFoundError(f"no roster {name!r} at {path}; name one of {there}, or give a .toml path")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        models = {m["id"]: Model(**{**m, "price": tuple(m.get("price", (0.0, 0.0)))}) for m in data["models"]}
        shared = data.get("replies", {})
        agents = tuple(_agent(entry, shared) for entry in data.get("agents", ()))
        grader = _agent(data["grader"], {}) if "grader" in data else None
        for agent in (*agents, *([grader] if grader else [])):
            if agent.model not in models:
                raise ValueError(f"agent {agent.name!r} uses model {agent.model!r}, which {path.name} does not define")
        weights, adapters, inside = data.get("weights", {}), data.get("adapters", {}), str(data.get("folder", ""))
        for model in models.values():
            for kind, key, known in (("weights", model.weights, weights), ("adapter", model.adapter, adapters)):
                if key is not None and key not in known:
                    raise ValueError(f"model {model.id!r} has {kind} {key!r}, which {path.name} does not define")
        if inside and not inside.isidentifier():
            raise ValueError(f"folder of {path.name} is {inside!r:.80}; it must be a plain name")
        return cls(path.stem, models, weights, agents, grader, adapters, inside)

    def price(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """Return the price of one call, in the roster's currency."""
        if not isinstance(model, str) or model not in self.models:
            raise ValueError(f"model is {model!r:.80}: roster {self.name!r} has {sorted(self.models)}")
        counts: dict[str, Any] = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        for name, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
                raise ValueError(f"{name} is {count!r:.80}: it must be a whole number of at least 0")
        per_input, per_output = self.models[model].price
        return (per_input * input_tokens + per_output * output_tokens) / 1e6


def _agent(entry: Mapping[str, Any], shared: Mapping[str, Any]) -> Agent:
    given = {"examples": (), "max_tokens": 64, "reminder": "", **shared, **entry}
    system = "\n".join(filter(None, (part.get("system", "").strip() for part in (entry, shared))))
    examples = tuple((user.strip(), reply.strip()) for user, reply in given["examples"])
    return Agent(given["name"], given["model"], system, examples, given["max_tokens"], given["reminder"])


def chosen(name: str | Path = "open") -> str | Path:
    """Return which roster a name stands for: ``open`` for the one of ``MECHLIB_ROSTER``, if that is set."""
    return os.environ.get("MECHLIB_ROSTER") or name if name == "open" else name
