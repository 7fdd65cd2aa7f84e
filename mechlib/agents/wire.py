"""What goes over the wire, as it is stored: a request, a reply, and whether the reply is one that can be kept."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx2

VERSION = "2026-10-21"  # of the API, with which the first recordings were made: a key names only another

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def asked(request: httpx2.Request, content: bytes, sample: int = 0) -> dict[str, Any]:
    """Return a request as it is stored: what changes the answer, and nothing of who asks or where.

    Method, path from ``/v1/`` on, body and sample number; besides, where there are any, the query, the betas, and
    another version of the API than the usual one.
    """
    path, headers = request.url.path, request.headers
    told = {
        "method": request.method.lower(),
        "path": path[max(path.find("/v1/"), 0) :],  # a gateway may put its own name before it
        "body": _body(headers.get("content-type", ""), content),
        "sample": sample,
    }
    query = sorted([name, value] for name, value in request.url.params.multi_items()) if request.url.query else []
    betas = sorted({name.strip() for name in headers.get("anthropic-beta", "").split(",")} - {""})
    version = headers.get("anthropic-version", VERSION)
    more = {"query": query, "betas": betas, "version": version if version != VERSION else ""}
    return told | {name: value for name, value in more.items() if value}


def _body(kind: str, content: bytes) -> Any:
    if not content:
        return None
    if kind.startswith("application/json"):
        return json.loads(content)
    if kind.startswith("multipart/"):  # the boundary is drawn anew for every call
        parts = BytesParser().parsebytes(f"content-type: {kind}\r\n\r\n".encode() + content).get_payload()
        return [
            {
                "name": part.get_param("name", header="content-disposition"),
                "filename": part.get_filename(),
                "sha256": _digest(part.get_payload(decode=True)),
            }
            for part in parts
            if not isinstance(part, str)
        ]
    return {"sha256": _digest(content)}


def _digest(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()


def plain(kind: str) -> bool:
    """Return whether a content type is that of JSON, which most replies are and a line need not say."""
    return kind.endswith("json")


def stored(kind: str, content: bytes, named: bool = False) -> Any:
    """Return a reply as it is stored: JSON as such, a stream as its events, text as text, and all else in base64.

    With `named`, the model is called by its file's name alone: llama.cpp gives the whole path. JSON that breaks off is
    a ValueError.
    """
    if plain(kind):
        reply = json.loads(content)
        return _renamed(reply) if named else reply
    if kind == "text/event-stream":
        events = _events(content.decode())
        for event in events if named else ():
            if isinstance(event["data"], dict):
                _renamed(event["data"].get("message", event["data"]))
        return events
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _renamed(reply: Any) -> Any:
    if isinstance(reply, dict) and isinstance(reply.get("model"), str):
        reply["model"] = Path(reply["model"]).name
    return reply


def _events(text: str) -> list[dict[str, Any]]:
    events = []
    for block in re.split(r"\r?\n\r?\n", text):
        fields = [line.partition(":") for line in block.splitlines() if line and not line.startswith(":")]
        if fields:
            data = "\n".join(value.removeprefix(" ") for name, _, value in fields if name == "data")
            event = next((value.strip() for name, _, value in fields if name == "event"), None)
            events.append({"event": event, "data": _parsed(data)})
    return events


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data  # such as the [DONE] of other servers


def told(entry: Mapping[str, Any]) -> Any:
    """Return the JSON of a stored reply; a message has a field more, how long whoever recorded it waited."""
    reply, waited = entry["response"], {"recorded_seconds": entry["provenance"]["seconds"]}
    return {**reply, **waited} if isinstance(reply, dict) and reply.get("type") == "message" else reply


def replayed(entry: Mapping[str, Any]) -> httpx2.Response:
    """Return a stored reply as the SDK is to receive it."""
    kind, reply = entry.get("type", "application/json"), entry["response"]
    if plain(kind):
        content = _JSON(told(entry)).encode()
    elif kind == "text/event-stream":
        content = "".join(map(_event, reply)).encode()
    else:
        content = reply.encode() if isinstance(reply, str) else base64.b64decode(reply["base64"])
    return httpx2.Response(200, headers=[(b"content-type", kind.encode())], stream=httpx2.ByteStream(content))


def _event(event: Mapping[str, Any]) -> str:
    data = event["data"]
    text = data if isinstance(data, str) else _JSON(data)
    name = f"event: {event['event']}\n" if event["event"] else ""
    return name + "".join(f"data: {line}\n" for line in text.split("\n")) + "\n"


_MESSAGE = {"id": str, "type": "message", "role": "assistant", "content": list, "model": str, "usage": dict}
_BATCH = {"id": str, "type": "message_batch", "processing_status": str, "request_counts": dict}
_FILE = {"id": str, "type": "file", "filename": str}
_SHAPES: list[tuple[str, str, dict[str, Any]]] = [
    ("post", r"/v1/messages", _MESSAGE),
    ("post", r"/v1/messages/count_tokens", {"input_tokens": int}),
    ("post", r"/v1/messages/batches(/[^/]+/cancel)?", _BATCH),
    ("get", r"/v1/messages/batches/[^/]+", _BATCH),
    ("get", r"/v1/models/[^/]+", {"id": str, "type": "model"}),
    ("get", r"/v1/(models|files|messages/batches)", {"data": list}),
    ("post", r"/v1/files", _FILE),
    ("get", r"/v1/files/[^/]+", _FILE),
    ("post", r"/v1/chat/completions", {"choices": list}),
]


def checked(request: Mapping[str, Any], kind: str, reply: Any) -> bool:
    """Return whether a sound reply is to be kept: a batch that is still being worked on is not.

    Raises
    ------
    ValueError
        If the reply is an error, breaks off, or is not of the shape that the request promises.
    """
    method, path = request["method"], request["path"]
    if path.endswith("/content"):  # a file, whatever is in it
        return True
    if path.endswith("/results"):
        lines = [json.loads(line) for line in reply.splitlines()] if isinstance(reply, str) else []
        if not lines or not all(_is(line, {"custom_id": str, "result": dict}) for line in lines):
            raise ValueError(f"{path} did not give the results of a batch, line by line")
        return True
    if kind == "text/event-stream":
        _check_stream(path, reply)
        return True
    if not plain(kind):
        raise ValueError(f"{path} gave {kind or 'a reply of no type'} where JSON was expected")
    if not isinstance(reply, dict) or reply.get("type") == "error" or "error" in reply:
        raise ValueError(f"{path} gave an error, or no object, under status 200: {str(reply)[:200]}")
    shape = next((shape for verb, where, shape in _SHAPES if verb == method and re.fullmatch(where, path)), {})
    if not _is(reply, shape) or (shape is _MESSAGE and not _is_content(reply["content"])):
        raise ValueError(f"{path} gave a reply of a wrong shape: {str(reply)[:200]}")
    return not (shape is _BATCH and method == "get" and reply["processing_status"] != "ended")


def _is(reply: Any, shape: Mapping[str, Any]) -> bool:
    """Return whether a reply has all fields of a shape: of a type, or equal to a text."""
    return isinstance(reply, dict) and all(
        reply.get(name) == wanted if isinstance(wanted, str) else isinstance(reply.get(name), wanted)
        for name, wanted in shape.items()
    )


def _is_content(blocks: list[Any]) -> bool:
    return all(_is(block, {"type": str}) and (block["type"] != "text" or _is(block, {"text": str})) for block in blocks)


def _check_stream(path: str, events: list[dict[str, Any]]) -> None:
    kinds = [event["event"] or "" for event in events if event["event"] != "ping"]
    if not events or "error" in kinds:
        raise ValueError(f"{path} gave an error in its stream, or nothing at all")
    if path == "/v1/messages":
        first = events[0]["data"]
        opened = isinstance(first, dict) and _is(first.get("message"), _MESSAGE)
        if kinds[0] != "message_start" or kinds[-1] != "message_stop" or not opened:
            raise ValueError(f"{path} gave a stream that is no whole message: it went from {kinds[0]} to {kinds[-1]}")
    elif path == "/v1/chat/completions" and events[-1]["data"] != "[DONE]":
        raise ValueError(f"{path} gave a stream that breaks off")
