"""Events as they travel: encoded once for all who hear them, and never larger than a browser wants to read."""

from __future__ import annotations

from typing import Any

import orjson
from engineio import packet

from flexiroaster.engine.events import Event
from flexiroaster.engine.summary import LIMIT_BYTES, summarise

ENVELOPE_BYTES = 512


class Orjson:
    """The JSON module of the Socket.IO server. It refuses NaN and lone surrogates from clients."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return orjson.dumps(value, default=str).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        return orjson.loads(text)


def payload_of(event: Event) -> dict[str, Any]:
    """Flat, and summarised where it is larger than 8 KB."""
    payload = event.to_payload()
    if len(orjson.dumps(payload, default=str)) <= LIMIT_BYTES:
        return payload
    return Event(
        event.type, event.execution_id, event.pipeline_id, event.seq, event.at, event.stage, event.index,
        summarise(dict(event.payload), LIMIT_BYTES - ENVELOPE_BYTES),
    ).to_payload()  # fmt: skip


def event_packet(name: str, payload: dict[str, Any]) -> packet.Packet:
    """A Socket.IO EVENT (`2`) of the default namespace in an Engine.IO message."""
    return packet.Packet(packet.MESSAGE, "2" + Orjson.dumps([name, payload]))
