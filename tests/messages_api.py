"""A local server that speaks the Messages API strictly: it refuses what the real one refuses.

Its replies are made up, and depend on the request alone: an answer with a confidence, a score for a grader, a tool call
where there are tools, JSON where a schema is given. ``Server.plan`` holds what to do with the next calls instead: an
error status, or a reply of status 200 that is none.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS = ("claude-haiku-4-5", "claude-sonnet-5", "claude-opus-5")
WITH_TEMPERATURE = WITH_PREFILL = ("claude-haiku-4-5",)
VERSIONS = ("2023-06-01", "2026-10-21")
BETAS = ("token-efficient-tools-2026-03-28", "files-api-2025-04-14", "message-threads-2026-08-12")
FIELDS = {"model", "max_tokens", "messages", "system", "stop_sequences", "stream", "tools", "tool_choice", "metadata",
          "output_config", "thinking", "service_tier", "cache_control", "container", "inference_geo", "speed",
          "diagnostics"}  # fmt: skip
THREADS = {"thread"}
SAMPLING = {"temperature", "top_p", "top_k"}
WHEN = "2026-11-01T00:00:00Z"
ERRORS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error",
          500: "api_error", 529: "overloaded_error"}  # fmt: skip
NO_REPLIES: dict[str, tuple[str, bytes]] = {
    "html": ("text/html", b"<html><body>Please sign in</body></html>"),
    "error": ("application/json", b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}'),
    "shape": ("application/json", b'{"id": "msg_1", "type": "message", "role": "assistant", "content": "hi"}'),
    "list": ("application/json", b"[]"),
    "null": ("application/json", b"null"),
    "half": ("application/json", b'{"id": "msg_1", "content": ['),
    "nothing": ("application/json", b""),
}


class Refused(Exception):
    """A request that the API answers with an error."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Server(ThreadingHTTPServer):
    """The server; ``hits`` are the calls that reached it, ``refused`` those that it refused."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        self.plan: list[int | str] = []
        self.hits: list[tuple[str, str, dict[str, str], Any]] = []
        self.refused: list[str] = []
        self.batches: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def do_DELETE(self) -> None:
        self.answer("DELETE")

    def answer(self, method: str) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        kind = self.headers.get("content-type", "")
        body = json.loads(content) if kind.startswith("application/json") and content else content
        with self.server.lock:
            self.server.hits.append((method, self.path, dict(self.headers), body))
            step = self.server.plan.pop(0) if self.server.plan else None
        try:
            if isinstance(step, int):
                raise Refused(step, f"status {step}, as planned")
            check_headers(self.headers)
            if step == "stream error":
                return self.send("text/event-stream", sse("error", {"type": "error", "error": {
                    "type": "overloaded_error", "message": "busy"}}))  # fmt: skip
            if step == "stream cut":
                events = stream(message(body))
                return self.send("text/event-stream", b"".join(events[: len(events) // 2]))
            if isinstance(step, str):
                return self.send(*NO_REPLIES[step])
            said = self.route(method, path, query, body, kind)
            if isinstance(said, tuple):
                self.send(*said)
            else:
                self.send("application/json", json.dumps(said).encode())
        except Refused as error:
            with self.server.lock:
                self.server.refused.append(str(error))
            told = {"type": "error", "error": {"type": ERRORS[error.status], "message": str(error)}}
            self.send("application/json", json.dumps(told).encode(), error.status)

    def send(self, kind: str, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(data)), "retry-after-ms": "1",
                            "request-id": "req_1", "set-cookie": "session=secret"}.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def route(self, method: str, path: str, query: str, body: Any, kind: str) -> Any:
        parts = path.removeprefix("/v1/").split("/")
        match method, parts:
            case "POST", ["messages"]:
                check(body, THREADS if BETAS[2] in (self.headers.get("anthropic-beta") or "") else set())
                reply = message(body)
                return ("text/event-stream", b"".join(stream(reply))) if body.get("stream") else reply
            case "POST", ["messages", "count_tokens"]:
                check({"max_tokens": 1, **body})
                return {"input_tokens": tokens(body)}
            case "GET", ["models"]:
                names = [name for name in MODELS if name > (re.findall("after_id=([^&]*)", query) or [""])[0]]
                limit = int((re.findall(r"limit=(\d+)", query) or [20])[0])
                page = sorted(names)[:limit]
                return {"data": list(map(model, page)), "has_more": len(names) > limit, "first_id": page[0],
                        "last_id": page[-1]}  # fmt: skip
            case "GET", ["models", name] if name in MODELS:
                return model(name)
            case "POST", ["messages", "batches"]:
                for each in body["requests"]:
                    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each["custom_id"]):
                        raise Refused(400, f"custom_id {each['custom_id']!r} is not allowed")
                    check(each["params"])
                name = f"msgbatch_{len(self.server.batches) + 1}"
                self.server.batches[name] = {"requests": body["requests"], "asked": 0}
                return self.batch(name)
            case "GET", ["messages", "batches", name] if name in self.server.batches:
                self.server.batches[name]["asked"] += 1
                return self.batch(name)
            case "GET", ["messages", "batches", name, "results"] if name in self.server.batches:
                lines = [{"custom_id": each["custom_id"], "result": {"type": "succeeded",
                          "message": message(each["params"])}}
                         for each in reversed(self.server.batches[name]["requests"])]  # fmt: skip
                return "application/x-jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode()
            case "POST", ["files"]:
                (part,) = BytesParser().parsebytes(f"content-type: {kind}\r\n\r\n".encode() + body).get_payload()
                name = f"file_{len(self.server.files) + 1}"
                data = part.get_payload(decode=True)  # type: ignore[union-attr]
                told = {"id": name, "type": "file", "filename": part.get_filename(), "mime_type": "text/plain",
                        "size_bytes": len(data), "created_at": WHEN, "downloadable": True}  # type: ignore  # fmt: skip
                self.server.files[name] = {"told": told, "data": data}
                return told
            case "GET", ["files"]:
                return {"data": [file["told"] for file in self.server.files.values()], "has_more": False}
            case "GET", ["files", name] if name in self.server.files:
                return self.server.files[name]["told"]
            case "GET", ["files", name, "content"] if name in self.server.files:
                return "application/octet-stream", self.server.files[name]["data"]
            case "DELETE", ["files", name] if name in self.server.files:
                return {"id": name, "type": "file_deleted"}
        raise Refused(404, f"{method} {path} is nothing that this API has")

    def batch(self, name: str) -> dict[str, Any]:
        count, ended = len(self.server.batches[name]["requests"]), self.server.batches[name]["asked"] > 1
        counts = {"processing": 0 if ended else count, "succeeded": count if ended else 0, "errored": 0,
                  "canceled": 0, "expired": 0}  # fmt: skip
        return {"id": name, "type": "message_batch", "processing_status": "ended" if ended else "in_progress",
                "request_counts": counts, "created_at": WHEN, "expires_at": WHEN, "ended_at": WHEN if ended else None,
                "archived_at": None, "cancel_initiated_at": None,
                "results_url": f"{self.server.url}/v1/messages/batches/{name}/results" if ended else None}  # fmt: skip

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def check_headers(headers: Any) -> None:
    """Refuse whoever has no key, speaks no known version, or asks for an unknown beta."""
    if not headers.get("x-api-key") and not (headers.get("authorization") or "").startswith("Bearer "):
        raise Refused(401, "no key: neither x-api-key nor authorization")
    if headers.get("anthropic-version") not in VERSIONS:
        raise Refused(400, f"anthropic-version: {headers.get('anthropic-version')!r} is not a valid version")
    for name in filter(None, (headers.get("anthropic-beta") or "").split(",")):
        if name.strip() not in BETAS:
            raise Refused(400, f"Unexpected value(s) `{name}` for the `anthropic-beta` header")


def check(body: Any, more: Set[str] = frozenset()) -> None:
    """Refuse a request for a message that the API would refuse; `more` are the fields that a beta adds."""
    if not isinstance(body, dict):
        raise Refused(400, "the body is no JSON object")
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            raise Refused(400, f"{name}: Field required")
    if body["model"] not in MODELS:
        raise Refused(404, f"model: {body['model']}")
    if unknown := set(body) - FIELDS - SAMPLING - more:
        raise Refused(400, f"{min(unknown)}: Extra inputs are not permitted")
    if SAMPLING & set(body) and body["model"] not in WITH_TEMPERATURE:
        raise Refused(400, f"{min(SAMPLING & set(body))}: {body['model']} does not take it")
    if type(body["max_tokens"]) is not int or not 0 <= body["max_tokens"] <= 64_000:
        raise Refused(400, "max_tokens: must be an integer from 0 to 64000")
    if not isinstance(body.get("system", ""), str | list) or body.get("system") == []:
        raise Refused(400, "system: must be a text or text blocks")
    if not all(isinstance(text, str) and text.strip() for text in body.get("stop_sequences", [])):
        raise Refused(400, "stop_sequences: each must contain non-whitespace")
    for tool in body.get("tools", []):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool["name"]) or tool["input_schema"]["type"] != "object":
            raise Refused(400, "tools: each has a name and an input_schema of type object")
    check_turns(body["model"], body["messages"])


def check_turns(name: str, turns: Any) -> None:
    """Refuse a conversation that the API would refuse."""
    if not isinstance(turns, list) or not turns:
        raise Refused(400, "messages: at least one message is required")
    for turn in turns:
        if set(turn) != {"role", "content"} or turn["role"] not in ("user", "assistant"):
            raise Refused(400, "messages: each has a role, user or assistant, and a content, and nothing else")
        blocks = [{"type": "text", "text": turn["content"]}] if isinstance(turn["content"], str) else turn["content"]
        for block in blocks:
            if block["type"] == "text" and not block["text"].strip():
                raise Refused(400, "messages: text content blocks must contain non-whitespace text")
    if turns[0]["role"] != "user":
        raise Refused(400, "messages: first message must use the user role")
    if turns[-1]["role"] == "assistant":
        if name not in WITH_PREFILL:
            raise Refused(400, f"{name} does not support assistant message prefill: end with a user message")
        if text(turns[-1:]) != text(turns[-1:]).rstrip():
            raise Refused(400, "messages: final assistant content cannot end with trailing whitespace")


def text(turns: list[dict[str, Any]]) -> str:
    """Return what the turns say."""
    blocks = [turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
              for turn in turns]  # fmt: skip
    return "\n".join(str(block.get("text", block.get("content", ""))) for turn in blocks for block in turn)


def tokens(body: dict[str, Any]) -> int:
    """Count about as a tokenizer does: four characters a token."""
    return 1 + (len(str(body.get("system", ""))) + len(text(body["messages"]))) // 4


def message(body: dict[str, Any]) -> dict[str, Any]:
    """Make up a reply; it depends on the request alone."""
    drawn = int(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8], 16)
    last, system = body["messages"][-1], str(body.get("system", ""))
    replied = isinstance(last["content"], list) and any(block["type"] == "tool_result" for block in last["content"])
    schema = (body.get("output_config") or {}).get("format", {}).get("schema")
    content: list[dict[str, Any]]
    if body.get("tools") and not replied:
        tool = body["tools"][0]
        given = dict.fromkeys(tool["input_schema"].get("properties", {}), drawn % 10)
        content = [{"type": "tool_use", "id": f"toolu_{drawn}", "name": tool["name"], "input": given}]
    elif schema:
        content = [{"type": "text", "text": json.dumps(dict.fromkeys(schema["properties"], drawn % 10))}]
    elif "SCORE" in system:
        content = [{"type": "text", "text": f"SCORE: 0.{drawn % 90 + 10}"}]
    else:
        content = [{"type": "text", "text": f"ANSWER: {'ABCD'[drawn % 4]}\nCONFIDENCE: 0.{drawn % 89 + 10}"}]
    stop = "tool_use" if content[0]["type"] == "tool_use" else "end_turn"
    usage = {"input_tokens": tokens(body), "output_tokens": 8, "service_tier": "standard"}
    return {"id": f"msg_{drawn}", "type": "message", "role": "assistant", "model": body["model"], "content": content,
            "stop_reason": stop, "stop_sequence": None, "usage": usage}  # fmt: skip


def model(name: str) -> dict[str, Any]:
    """Describe a model."""
    return {"id": name, "type": "model", "display_name": name, "created_at": WHEN, "lifecycle": "active"}


def sse(event: str, data: dict[str, Any]) -> bytes:
    """Return one event of a stream."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def stream(reply: dict[str, Any]) -> list[bytes]:
    """Return a reply as the events of a stream, a few characters each."""
    (block,) = reply["content"]
    start = {**reply, "content": [], "stop_reason": None, "usage": {**reply["usage"], "output_tokens": 1}}
    events = [sse("message_start", {"type": "message_start", "message": start}), sse("ping", {"type": "ping"})]
    if block["type"] == "text":
        empty, pieces = {**block, "text": ""}, [block["text"][k : k + 5] for k in range(0, len(block["text"]), 5)]
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    else:
        empty = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    events.append(sse("content_block_start", {"type": "content_block_start", "index": 0, "content_block": empty}))
    events += [sse("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": d}) for d in deltas]
    events.append(sse("content_block_stop", {"type": "content_block_stop", "index": 0}))
    delta = {"stop_reason": reply["stop_reason"], "stop_sequence": None}
    events.append(sse("message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 8}}))
    return [*events, sse("message_stop", {"type": "message_stop"})]


@contextmanager
def serving() -> Iterator[Server]:
    """Serve in a thread while the block runs."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with serving() as running:
        print(running.url, flush=True)
        time.sleep(10_000)
