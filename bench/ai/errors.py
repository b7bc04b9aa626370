"""Errors put together by their kind: messages of our own making, and DATA/loghub where somebody has it."""

from __future__ import annotations

import csv
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from uuid import UUID

from ai import Row
from flexiroaster.ai import cluster

TEMPLATES = (
    "connection to {host} refused after {number} ms",
    "cannot open {path}: no such file",
    "cannot open {path}: permission denied",
    "row {number}, column {name}: the value {quoted} is no number",
    "the table {name} has no column {name}",
    "duplicate key {uuid} in table {name}",
    "user {name} may not read {path}",
    "request to https://{host}/v1/{name}?page={number} ended with status {number}",
    "out of memory: {number} MB of {number} MB in use",
    "lock on {name} is held by transaction {hex} since {date}",
    "worker {worker} lost after {number} s",
    "schema changed: expected {number} columns, found {number}",
    "timeout of {number} s reached while waiting for {host}:{number}",
    "disk {path} is full",
    "certificate of {host} expired on {date}",
)
NAMES = ("orders", "customers", "invoices", "stock", "prices", "payments", "events", "users", "carts", "refunds")
LINES = 20_000


def run(data: Path | None) -> list[Row]:
    lines, truth = made()
    began = time.process_time()
    cluster(lines)
    speed = len(lines) / (time.process_time() - began)
    rows = compared("ai_errors", {"": (lines, truth)}, 0.80)
    rows.append(Row("ai_errors", "speed", speed, "lines/s", at_least=20_000))
    folder = data / "loghub" if data else None
    if folder is not None and folder.is_dir():
        rows += compared("ai_loghub", read(folder), 0.80)
    return rows


def made(seed: int = 3) -> tuple[list[str], list[int]]:
    chance = random.Random(seed)
    makers: dict[str, Callable[[], str]] = {
        "host": lambda: f"{chance.choice(NAMES)}-{chance.randrange(99)}.eu.example.org",
        "number": lambda: str(chance.randrange(100_000)),
        "path": lambda: f"/data/{chance.choice(NAMES)}/{chance.randrange(999)}.csv",
        "name": lambda: chance.choice(NAMES),
        "quoted": lambda: f"'{chance.choice(NAMES)}{chance.randrange(99)}'",
        "uuid": lambda: str(UUID(int=chance.getrandbits(128), version=4)),
        "hex": lambda: hex(chance.getrandbits(40)),
        "date": lambda: f"2026-0{chance.randrange(1, 10)}-{chance.randrange(10, 29)} 10:{chance.randrange(10, 60)}:00",
        "worker": lambda: f"{chance.choice(NAMES)}@node{chance.randrange(40)}",
    }
    lines, truth = [], []
    for _ in range(LINES):
        kind = min(int(chance.expovariate(0.3)), len(TEMPLATES) - 1)
        parts = TEMPLATES[kind].split("{")
        made_of = [parts[0]]
        for part in parts[1:]:
            maker, _, rest = part.partition("}")
            made_of += [makers[maker](), rest]
        lines.append("".join(made_of))
        truth.append(kind)
    return lines, truth


def read(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """`*_structured.csv` with the columns Content and EventId."""
    csv.field_size_limit(sys.maxsize)
    found = {}
    for path in sorted(folder.rglob("*_structured.csv")):
        with path.open(encoding="utf-8", errors="replace") as text:
            rows = list(csv.DictReader(text))
        found[path.stem] = ([row["Content"] for row in rows], [row["EventId"] for row in rows])
    return found


def compared(workload: str, sets: dict[str, tuple[list[str], Sequence[Hashable]]], least: float) -> list[Row]:
    """Means over the sets of grouping accuracy (lines in a group that is exactly right) and its F1 over groups."""
    ours = [accuracy(cluster(lines), truth) for lines, truth in sets.values()]
    exact = [accuracy(lines, truth) for lines, truth in sets.values()]
    digits = [accuracy([without_digits(line) for line in lines], truth) for lines, truth in sets.values()]
    rows = []
    for place, metric in enumerate(("ga", "fga")):
        others = {"equal text": mean(exact, place), "no digits": mean(digits, place)}
        rows.append(Row(workload, metric, mean(ours, place), "", others, at_least=least))
    return rows


def mean(values: list[tuple[float, float]], place: int) -> float:
    return sum(value[place] for value in values) / len(values)


def without_digits(line: str) -> str:
    return "".join("0" if character.isdigit() else character for character in line)


def accuracy(found: Sequence[Hashable], truth: Sequence[Hashable]) -> tuple[float, float]:
    groups, kinds = _lines_of(found), _lines_of(truth)
    right = groups & kinds
    lines = sum(map(len, right))
    return lines / len(found), 2 * len(right) / (len(groups) + len(kinds))


def _lines_of(ids: Sequence[Hashable]) -> set[frozenset[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for line, own in enumerate(ids):
        found[own].append(line)
    return {frozenset(lines) for lines in found.values()}
