"""What one client may take of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketLimits:
    sockets_per_user: int = 20
    rooms_per_socket: int = 100
    requests_per_second: float = 20.0
    """`subscribe` and `unsubscribe` of one connection; twice as many at once."""
    packet_bytes: int = 1_000_000
    packets_waiting: int = 1_000
    """For one client. One that reads slower than events come is sent away; it comes back and asks what it missed."""
    dashboard_stage_events_per_second: int = 100
    dashboard_execution_events_per_second: int = 500
    item_events_per_second: int = 20
    """Of the items of one execution's foreach stages. The others show in its `stage_progress`."""
    history_events: int = 1_000
    """In one answer; there is `more` after it."""
    history_bytes: int = 256_000
    seconds_to_sign_in: float = 10.0
    seconds_between_rounds: float = 20.0
    """How often every session is looked up again, for those that another process ended."""
