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
    say = (lambda text: None) if options.json else print
    say(f"Starting a fleet in {folder} …")
    with services(redis=not options.no_redis) as found:
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
    parser.add_argument("--servers", type=int, default=2, help="servers that do everything (2)")
    parser.add_argument("--no-redis", action="store_true", help="let them talk through PostgreSQL alone")
    parser.add_argument("--folder", help="where data and logs are (a new one in the temporary folder)")
    parser.add_argument("--admin", metavar="E-MAIL:PASSWORD", help="the first account, in place of a one-time link")
    parser.add_argument("--code-stages", action="store_true", help="let pipelines run python and shell stages")
    parser.add_argument("--json", action="store_true", help="when all of it works, print one line of JSON")
    return parser.parse_args()


def _members(folder: Path, found: Services, options: argparse.Namespace) -> list[Member]:
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    common = found.environment | {
        "FLEXIROASTER_DATA_DIRS": str(files),
        "FLEXIROASTER_SECRET_KEY": secrets.token_urlsafe(48),
        "FLEXIROASTER_LEASE_SECONDS": str(LEASE_SECONDS),
        "FLEXIROASTER_CODE_STAGES": str(options.code_stages).lower(),
    }
    if options.admin:
        email, _, password = options.admin.partition(":")
        common |= {"FLEXIROASTER_ADMIN_EMAIL": email, "FLEXIROASTER_ADMIN_PASSWORD": password}
    members = []
    for number in range(1, options.servers + 1):
        # The examples are loaded once in the life of a data folder: by one of them.
        own = {"FLEXIROASTER_EXAMPLES": str(number == 1).lower()}
        members.append(Member(f"server-{number}", "up", folder / f"server-{number}", common | own))
    return members


def _start(members: Sequence[Member], found: Services, stop: threading.Event) -> None:
    """The first one alone: it makes the tables."""
    for member in members[:1]:
        member.start()
        member.wait(found.environment["FLEXIROASTER_DATABASE_URL"])
    for member in members[1:]:
        if not stop.is_set():
            member.start()
    for member in members[1:]:
        if not stop.is_set():
            member.wait(found.environment["FLEXIROASTER_DATABASE_URL"])


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
    for name, url in found.shown:
        print(f"  {name:<11} {url}")
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
