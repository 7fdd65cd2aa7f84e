"""The frozen model: what it reads, what it answers by itself, and what its layers hold before it states a confidence.

The adapter is *activated*: it acts from the last ``CONFIDENCE:`` of a request on and nowhere before (in llama.cpp this
is ``adapter.alora.invocation_tokens``). So an answer is the model's own whatever the rule, and the keys and values of
all that stands before are those of the model as it is. They are computed once and kept; a training step runs over the
seven tokens of ``CONFIDENCE: 0.`` alone, and over the layers that have an adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gguf
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from mechlib.agents.roster import Agent
from mechlib.course.worlds import Case

CACHE = Path(".cache/training")
ANSWER, INVOCATION, DIGITS = "ANSWER:", "CONFIDENCE:", " 0."
LONGEST = 8  # tokens of an answer
FIRST = 8  # the first layer with an adapter

Pairs = list[tuple[Tensor, Tensor]]


@dataclass
class Example:
    """One agent's prompt, its own greedy answer, and what the layers hold of both.

    `keys` and `values` are those of the adapted layers after the shared beginning, (layers, heads, tokens, 64);
    `hidden` are the states of ``CONFIDENCE: 0.`` as they enter the first adapted layer, (tokens, width).
    """

    task: int
    agent: int
    kind: str
    answer: str
    right: float
    start: int
    hidden: Tensor
    keys: Tensor
    values: Tensor


class Frozen:
    """Qwen2 with its weights dequantised, layer by layer, with room for an adapter."""

    def __init__(self, file: Path) -> None:
        torch.set_num_threads(1)
        kept = CACHE / file.stem
        if not (kept / "weights.pt").exists():  # once: dequantised weights and a ready tokenizer load faster
            from transformers import AutoTokenizer

            kept.mkdir(parents=True, exist_ok=True)
            AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(kept)
            weights = {}
            for tensor in tqdm(gguf.GGUFReader(file).tensors, desc="dequantising", mininterval=10):
                numbers = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
                weights[tensor.name.removesuffix(".weight")] = numbers.bfloat16() if numbers.ndim == 2 else numbers
            torch.save(weights, kept / "weights.part")
            (kept / "weights.part").rename(kept / "weights.pt")
        self.tokenizer = Tokenizer.from_file(str(kept / "tokenizer.json"))
        self.weights = torch.load(kept / "weights.pt", mmap=True)
        self.layers = 1 + max(int(name.split(".")[1]) for name in self.weights if name.startswith("blk."))
        self.size, self.epsilon, base = 64, 1e-6, 1e6  # of Qwen2.5: width of a head, and two constants
        self.slow = base ** (-torch.arange(0, self.size, 2) / self.size)
        self.digits = [self.encode(str(digit))[0] for digit in range(10)]
        self.invocation, self.tail = self.encode(INVOCATION), self.encode(INVOCATION + DIGITS)
        self.prefix: Pairs = []

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return list(self.tokenizer.encode(text).ids)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return what enters the first layer."""
        return self.weights["token_embd"][tokens].float()

    def run(self, x: Tensor, places: Tensor, past: Pairs, mask: Tensor, layers: range,
            adapter: Adapter | None = None) -> tuple[Tensor, Pairs]:  # fmt: skip
        """Take hidden states (batch, new, width) through some layers; return them and each layer's new keys and values.

        `past` holds, a layer, the keys and values (batch, heads, old, 64) of what stands before; `mask`
        (batch, new, old + new) is True where a token may look.
        """
        turn = (places[..., None] * self.slow).repeat(1, 1, 2)[:, None]
        cos, sin = turn.cos(), turn.sin()
        new = []
        for place, layer in enumerate(layers):
            linear = partial(self.linear, adapter, layer)
            h = self.normal(x, f"blk.{layer}.attn_norm")
            shape = (*h.shape[:2], -1, self.size)
            q, k, v = (linear(name, h).view(shape).transpose(1, 2) for name in ("attn_q", "attn_k", "attn_v"))
            q, k = q * cos + _turned(q) * sin, k * cos + _turned(k) * sin
            new.append((k, v))
            if past:
                k, v = torch.cat([past[place][0], k], 2), torch.cat([past[place][1], v], 2)
            out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None], enable_gqa=True)
            x = x + linear("attn_output", out.transpose(1, 2).flatten(2))
            h = self.normal(x, f"blk.{layer}.ffn_norm")
            x = x + linear("ffn_down", functional.silu(linear("ffn_gate", h)) * linear("ffn_up", h))
        return x, new

    def linear(self, adapter: Adapter | None, layer: int, name: str, h: Tensor) -> Tensor:
        """Return one linear map of one layer, with what the adapter adds."""
        y = _times(h, self.weights[f"blk.{layer}.{name}"])
        bias = self.weights.get(f"blk.{layer}.{name}.bias")
        y = y if bias is None else y + bias
        return y if adapter is None else y + adapter(layer, name, h)

    def normal(self, x: Tensor, name: str) -> Tensor:
        """Scale to unit root mean square, then by the weights of that name."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weights[name]

    def next_token(self, x: Tensor) -> Tensor:
        """Return log P of every token of the vocabulary after the last of what left the last layer."""
        head = self.weights.get("output", self.weights["token_embd"])
        return functional.log_softmax(_times(self.normal(x[:, -1], "output_norm"), head), -1)

    @staticmethod
    def text(agent: Agent, prompt: str) -> str:
        """Return a request as the model reads it, in Qwen's chat format, up to the start of the reply."""
        request = agent.request(prompt)
        turns = [("system", request["system"]), *((m["role"], m["content"]) for m in request["messages"])]
        return "".join(f"<|im_start|>{who}\n{what}<|im_end|>\n" for who, what in turns) + "<|im_start|>assistant\n"

    @torch.no_grad()
    def begin(self, agent: Agent) -> list[int]:
        """Compute what all prompts of one agent begin with, and return its tokens."""
        whole = self.text(agent, "\0")
        tokens = self.encode(whole[: whole.index("\0")])
        n, every = len(tokens), range(self.layers)
        x = self.embed(torch.tensor([tokens]))
        _, self.prefix = self.run(x, torch.arange(n)[None], [], _causal(n)[None], every)
        return tokens

    @torch.no_grad()
    def read(self, agent: Agent, cases: Sequence[Case], first: int = 0, batch: int = 15) -> list[Example]:
        """Let the model answer every agent's prompt by itself, greedily, and keep what its layers then hold."""
        start = self.begin(agent)
        todo = []
        for number, case in enumerate(cases):
            for who, prompt in enumerate(case.prompts):
                tokens = self.encode(self.text(agent, prompt))
                if tokens[: len(start)] != start:
                    raise ValueError("the tokens of a prompt do not begin with those of the shared beginning")
                todo.append((tokens[len(start) :] + self.encode(ANSWER), number, who))
        todo.sort(key=lambda row: len(row[0]))
        found = []
        for at in range(0, len(todo), batch):
            found += self._read(todo[at : at + batch], len(start), cases, first)
        return sorted(found, key=lambda example: (example.task, example.agent))

    def _read(self, rows: list[tuple[list[int], int, int]], shared: int, cases: Sequence[Case],
              first: int) -> list[Example]:  # fmt: skip
        many, width, every = len(rows), max(len(tokens) for tokens, _, _ in rows), range(self.layers)
        lead = torch.tensor([width - len(tokens) for tokens, _, _ in rows])
        cache = [(k.expand(many, -1, -1, -1), v.expand(many, -1, -1, -1)) for k, v in self.prefix]
        seen = torch.ones(many, shared, dtype=torch.bool)
        keep = torch.arange(width) >= lead[:, None]
        fresh = torch.tensor([[0] * (width - len(tokens)) + tokens for tokens, _, _ in rows])
        places = shared + (torch.arange(width) - lead[:, None]).clamp(min=0)
        replies: list[list[int]] = [[] for _ in rows]
        stop = {*self.encode("\n"), *self.encode("<|im_end|>")}
        alive = torch.ones(many, dtype=torch.bool)
        for step in range(LONGEST + 1):  # the prompt first, then token after token
            n = fresh.shape[1]
            own = (_causal(n) & keep[:, None]) | torch.eye(n, dtype=torch.bool)
            x, new = self.run(self.embed(fresh), places, cache, _mask(seen, own), every)
            cache = _joined(cache, new)
            seen = torch.cat([seen, keep], 1)
            chosen = self.next_token(x).argmax(-1)
            for row, token in enumerate(chosen.tolist()):
                alive[row] &= token not in stop and step < LONGEST
                if alive[row]:
                    replies[row].append(token)
            if not alive.any():
                break
            fresh, keep, places = chosen[:, None], alive[:, None].clone(), places[:, -1:] + 1
        # The end of the line, then CONFIDENCE: 0. up to the first adapter; what a row said after its line is not seen.
        lengths = [len(tokens) + len(reply) for (tokens, _, _), reply in zip(rows, replies, strict=True)]
        places = shared + torch.tensor(lengths)[:, None]
        line, true = torch.tensor([self.encode("\n")] * many), torch.ones(many, 1, dtype=torch.bool)
        _, new = self.run(self.embed(line), places, cache, _mask(seen, true[:, None]), every)
        cache, seen = _joined(cache, new), torch.cat([seen, true], 1)
        n = len(self.tail)
        tail = self.embed(torch.tensor([self.tail] * many))
        mask = _mask(seen, _causal(n).expand(many, -1, -1))
        hidden, _ = self.run(tail, places + 1 + torch.arange(n), cache[:FIRST], mask, range(FIRST))
        found = []
        for row, (_, number, who) in enumerate(rows):
            case, answer = cases[number], self.tokenizer.decode(replies[row]).strip()
            mine = seen[row, shared:]
            keys, values = (torch.stack([pair[i][row, :, shared:][:, mine] for pair in cache[FIRST:]]) for i in (0, 1))
            found.append(Example(
                first + number, who, case.kinds[who], answer, float(bool(answer) and case.task.correct(answer)),
                int(places[row, 0]) + 1, hidden[row].clone(), keys.half(), values.half(),
            ))  # fmt: skip
        return found

    def state(self, examples: Sequence[Example], adapter: Adapter | None = None) -> Tensor:
        """Return log P of every token after ``CONFIDENCE: 0.``, shape (examples, vocabulary)."""
        many, old = len(examples), max(example.keys.shape[2] for example in examples)
        lead = torch.tensor([old - example.keys.shape[2] for example in examples])
        past = []
        for layer in range(FIRST, self.layers):
            pair = []
            for i, name in enumerate(("keys", "values")):
                rows = [getattr(example, name)[layer - FIRST].float() for example in examples]
                padded = torch.stack([functional.pad(row, (0, 0, old - row.shape[1], 0)) for row in rows])
                pair.append(torch.cat([self.prefix[layer][i].expand(many, -1, -1, -1), padded], 2))
            past.append((pair[0], pair[1]))
        shared, n = past[0][0].shape[2] - old, len(self.tail)
        seen = torch.cat([torch.ones(many, shared, dtype=torch.bool), torch.arange(old) >= lead[:, None]], 1)
        places = torch.tensor([[example.start] for example in examples]) + torch.arange(n)
        x = torch.stack([example.hidden for example in examples])
        mask = _mask(seen, _causal(n).expand(many, -1, -1))
        return self.next_token(self.run(x, places, past, mask, range(FIRST, self.layers), adapter)[0])


def _times(h: Tensor, weight: Tensor) -> Tensor:
    """Multiply in 16 bits (twice as fast on processors that can), and go on in 32."""
    return functional.linear(h.bfloat16(), weight).float()


def _causal(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()


def _mask(seen: Tensor, own: Tensor) -> Tensor:
    return torch.cat([seen[:, None].expand(-1, own.shape[1], -1), own], 2)


def _joined(old: Pairs, new: Pairs) -> Pairs:
    return [(torch.cat([a[0], b[0]], 2), torch.cat([a[1], b[1]], 2)) for a, b in zip(old, new, strict=True)]


def _turned(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], -1)


class Adapter(torch.nn.Module):
    """Low-rank additions to linear maps of the layers: ``alpha / rank * B A h`` (Hu et al. 2021)."""

    def __init__(self, frozen: Frozen, seed: int = 0, rank: int = 8, alpha: float = 16.0,
                 names: Sequence[str] = ("attn_q", "attn_v", "attn_output", "ffn_down")) -> None:  # fmt: skip
        super().__init__()
        self.rank, self.alpha = rank, alpha
        self.a, self.b = torch.nn.ParameterDict(), torch.nn.ParameterDict()
        draw = torch.Generator().manual_seed(seed)
        for layer in range(FIRST, frozen.layers):
            for name in names:
                rows, columns = frozen.weights[f"blk.{layer}.{name}"].shape
                start = torch.randn(rank, columns, generator=draw) / columns**0.5
                self.a[f"{layer} {name}"] = torch.nn.Parameter(start)
                self.b[f"{layer} {name}"] = torch.nn.Parameter(torch.zeros(rows, rank))

    def forward(self, layer: int, name: str, h: Tensor) -> Tensor | float:
        """Return what is added to one map of one layer."""
        if f"{layer} {name}" not in self.a:
            return 0.0
        low = functional.linear(h, self.a[f"{layer} {name}"])
        return self.alpha / self.rank * functional.linear(low, self.b[f"{layer} {name}"])
