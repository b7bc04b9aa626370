"""A fleet on this machine without containers, for development and tests: `make fleet`.

Services and servers run on free ports, in a folder of their own, until Ctrl-C; nothing is left of them but their logs.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "backend")]

from members import Member, NotStarted  # noqa: E402
from services import Services, services  # noqa: E402

LOOK_SECONDS = 0.5
NAMES = {"up": "server"}
LEASE_SECONDS = 5
"""Shorter than usual: who kills a member wants to see what the others do."""


def main() -> int:
    options = _options()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="flexiroaster-fleet-")).absolute()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    say = (lambda text: None) if options.json else (lambda text: print(text, flush=True))
    say(f"Starting a fleet in {folder} …")
    with services(options.broker, redis=not options.no_redis) as found:
        members = _members(folder, found, options)
        try:
            _start(members, found, stop)
            if not stop.is_set():
                _announce(folder, found, members, as_json=options.json)
                _watch(members, stop)
        except NotStarted as failure:
            print(failure, file=sys.stderr)
            return 1
        finally:
            say("Stopping …")
            _stop(members)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fleet ARGS=…", description=__doc__)
    parser.add_argument("--api", type=int, default=2, help="servers that answer, and run no stages (2)")
    parser.add_argument("--workers", type=int, default=2, help="processes that run stages (2)")
    parser.add_argument("--schedulers", type=int, default=1, help="processes that watch the time (1)")
    parser.add_argument("--servers", type=int, default=0, help="servers that do everything (0)")
    parser.add_argument("--concurrency", type=int, default=4, help="stages at a time, of each process (4)")
    parser.add_argument("--broker", choices=("rabbitmq", "redis", "none"), default="rabbitmq", help="(rabbitmq)")
    parser.add_argument("--no-redis", action="store_true", help="let them talk to each other through PostgreSQL")
    parser.add_argument("--folder", help="where data and logs are (a new one in the temporary folder)")
    parser.add_argument("--admin", metavar="E-MAIL:PASSWORD", help="the first account, in place of a one-time link")
    parser.add_argument("--code-stages", action="store_true", help="let pipelines run python and shell stages")
    parser.add_argument("--json", action="store_true", help="when all of it works, print one line of JSON")
    options = parser.parse_args()
    if options.api + options.servers == 0:
        parser.error("nobody would answer: start one with --api or --servers.")
    return options


def _members(folder: Path, found: Services, options: argparse.Namespace) -> list[Member]:
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    common = found.environment | {
        "FLEXIROASTER_DATA_DIRS": str(files),
        "FLEXIROASTER_SECRET_KEY": secrets.token_urlsafe(48),
        "FLEXIROASTER_LEASE_SECONDS": str(LEASE_SECONDS),
        "FLEXIROASTER_CODE_STAGES": str(options.code_stages).lower(),
        "FLEXIROASTER_CONCURRENCY": str(options.concurrency),
    }
    if options.admin:
        email, _, password = options.admin.partition(":")
        common |= {"FLEXIROASTER_ADMIN_EMAIL": email, "FLEXIROASTER_ADMIN_PASSWORD": password}
    wanted = {"api": options.api, "up": options.servers, "worker": options.workers, "scheduler": options.schedulers}
    members = [
        Member(f"{NAMES.get(role, role)}-{number}", role, folder / f"{NAMES.get(role, role)}-{number}", dict(common))
        for role, count in wanted.items()
        for number in range(1, count + 1)
    ]
    for member in members[1:]:  # examples are loaded once in the life of a data folder: by one of them
        member.environment["FLEXIROASTER_EXAMPLES"] = "false"
    return members


def _start(members: Sequence[Member], found: Services, stop: threading.Event) -> None:
    """The first one alone: it makes the tables."""
    for member in members[:1]:
        member.start()
        member.wait(found.database_url)
    for member in members[1:]:
        if not stop.is_set():
            member.start()
    for member in members[1:]:
        if not stop.is_set():
            member.wait(found.database_url)


def _announce(folder: Path, found: Services, members: Sequence[Member], *, as_json: bool) -> None:
    link = next((member.ready["sign_in"] for member in members if member.ready.get("sign_in")), None)
    if as_json:
        facts = {
            "event": "ready",
            "pid": os.getpid(),
            "folder": str(folder),
            "sign_in": link,
            "members": [
                {"name": one.name, "role": one.role, "pid": one.pid, "url": one.url, "log": str(one.log)}
                for one in members
            ],
            "environment": found.environment,
        }
        print(json.dumps(facts), flush=True)
        return
    print()
    for service in found.running:
        print(f"  {service.name:<11} {service.url}")
    for member in members:
        print(f"  {member.name:<11} {member.url or member.role} (pid {member.pid})")
    print(f"\n  Logs        {folder}/*/log")
    if link:
        print(f"  Sign in     {link}\n              (works once, within 15 minutes)")
    print("\nStop with Ctrl-C.", flush=True)


def _watch(members: Sequence[Member], stop: threading.Event) -> None:
    """Say once of each member that it has ended: killing one is what a fleet is for."""
    running = list(members)
    while not stop.wait(LOOK_SECONDS):
        for member in [one for one in running if one.ended() is not None]:
            print(f"{member.name} (pid {member.pid}) ended with {member.ended()}.", file=sys.stderr, flush=True)
            running.remove(member)


def _stop(members: Sequence[Member]) -> None:
    started = [member for member in members if hasattr(member, "process")]
    for member in started:
        member.tell_to_stop()
    for member in started:
        member.end()


if __name__ == "__main__":
    sys.exit(main())
