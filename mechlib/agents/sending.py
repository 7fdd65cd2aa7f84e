"""How an agent's request is sent: through the SDK, or by a shorter way to the same message where it is on record.

A replayed call goes through the whole SDK, as one over the network does, and that takes twenty-five times as long as
finding the reply. A chapter replays up to fifteen thousand calls, in a browser too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import anthropic

__all__ = ["SAMPLE", "post", "replays", "send"]

# A request header that numbers a further sample of one prompt. The cassette reads it; it is never sent or stored.
SAMPLE = "x-mechlib-sample"


class Recalls(Protocol):
    """What holds replies on record: a `Cassette`."""

    def recalled(
        self, body: Mapping[str, Any], sample: int = 0, path: str = "/v1/messages"
    ) -> dict[str, Any] | None:
        """Return the reply on record to the body of a request, or None."""


_TAPES: WeakKeyDictionary[anthropic.AsyncAnthropic, Recalls] = WeakKeyDictionary()


def replays(client: anthropic.AsyncAnthropic, tape: Recalls) -> None:
    """Note that a client only replays what is on record, and adds nothing to a request that changes the answer."""
    _TAPES[client] = tape


async def send(
    client: anthropic.AsyncAnthropic, request: Mapping[str, Any], sample: int = 0
) -> anthropic.types.Message:
    """Return the reply to a request, as ``client.messages.create(**request)`` does.

    Parameters
    ----------
    client : anthropic.AsyncAnthropic
    request : mapping
        The arguments of ``messages.create`` that are part of the request's body.
    sample : int
        Above 0: a further, separately recorded reply to the same request.
    """
    tape = _TAPES.get(client)
    reply = tape.recalled(request, sample) if tape is not None else None
    if reply is not None:
        import anthropic

        return anthropic.types.Message.model_validate(reply)
    headers = {SAMPLE: str(sample)} if sample else None
    message: anthropic.types.Message = await client.messages.create(**request, extra_headers=headers)
    return message


async def post(client: anthropic.AsyncAnthropic, path: str, body: Mapping[str, Any]) -> Any:
    """Return the JSON of the reply to a body, as ``client.post(path, body=body, cast_to=object)`` does."""
    tape = _TAPES.get(client)
    reply = tape.recalled(body, path=path) if tape is not None else None
    return await client.post(path, body=body, cast_to=object) if reply is None else reply
