"""What tells one error from another: its class, the type of its stage, its masked message and where it was raised."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flexiroaster.ai.insights.clustering import merged
from flexiroaster.ai.insights.masks import masked

TOP_FRAMES = 3
TREND_WINDOW_SECONDS = 86_400.0
RISING = 2.0
"""Times the earlier rate that count as a rise."""
LEAST_FOR_TREND = 5

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)', re.MULTILINE)
_SEPARATOR = re.compile(r"[/\\]")
_LIBRARY = re.compile(r"[/\\](?:site-packages|lib[/\\]python\d|<frozen)")


@dataclass(frozen=True, slots=True)
class ErrorSeen:
    """One failed attempt, as far as its error goes. `at` is seconds since 1970."""

    execution: str
    pipeline: str
    at: float
    message: str
    error_class: str = ""
    stage: str = ""
    stage_type: str = ""
    traceback: str | None = None
    connector: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """One kind of error, over all executions and pipelines."""

    fingerprint: str
    """Of its first message, so that it stays the same when later ones show which of its words vary."""
    variants: frozenset[str]
    """The fingerprints of all its messages."""
    error_class: str
    stage_type: str
    message: str
    """Masked: `<*>` stands for what varies."""
    example: str
    """The newest message as it was."""
    frames: tuple[str, ...]
    count: int
    executions: tuple[str, ...]
    """Newest first."""
    pipelines: tuple[str, ...]
    stages: tuple[str, ...]
    first_seen: float
    last_seen: float
    recent: int
    """Errors within the last day."""
    usual_per_day: float
    """Before that day, since it was first seen."""

    @property
    def trend(self) -> str:
        """`new`, `rising`, `falling`, `steady` or `gone` (none within the last day)."""
        if self.recent == 0:
            return "gone"
        if self.recent == self.count:
            return "new"
        if self.recent >= LEAST_FOR_TREND and self.recent >= RISING * self.usual_per_day:
            return "rising"
        return "falling" if self.recent * RISING <= self.usual_per_day else "steady"


def fingerprint(
    error_class: str, stage_type: str, message: str, frames: Sequence[str] = (), *, is_masked: bool = False
) -> str:
    """Sixteen hexadecimal digits that are the same for the same kind of error, today and in another process."""
    text = message if is_masked else masked(message)
    parts = "\x1f".join((error_class, stage_type, text, *frames))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def top_frames(traceback: str | None) -> tuple[str, ...]:
    """The innermost frames of own code (`load.py:read`), without line numbers: they move with every edit."""
    if not traceback:
        return ()
    frames = [(match["file"], match["function"]) for match in _FRAME.finditer(traceback)]
    own = [frame for frame in frames if not _LIBRARY.search(frame[0])] or frames
    return tuple(f"{_SEPARATOR.split(file)[-1]}:{function}" for file, function in own[-TOP_FRAMES:])


def signatures(errors: Iterable[ErrorSeen], *, now: float) -> list[Signature]:
    """The kinds of error in these, the most frequent of the last day first."""
    seen = sorted((error for error in errors if error.at <= now), key=lambda error: error.at)
    own = [(error, (error.error_class, error.stage_type, top_frames(error.traceback))) for error in seen]
    texts_of: dict[tuple[str, str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    texts = [masked(error.message) for error in seen]
    for (_, origin), text in zip(own, texts, strict=True):
        texts_of[origin][text] += 1
    # Only errors of one origin are put together: a name in common does not make a bad file of a bad password.
    kinds = {origin: merged(counts) for origin, counts in texts_of.items()}
    groups: dict[tuple[tuple[str, str, tuple[str, ...]], str], list[ErrorSeen]] = defaultdict(list)
    for (error, origin), text in zip(own, texts, strict=True):
        groups[origin, kinds[origin][text]].append(error)
    found = [_signature(origin, text, group, now) for (origin, text), group in groups.items()]
    return sorted(found, key=lambda one: (-one.recent, -one.count, one.fingerprint))


def _signature(origin: tuple[str, str, tuple[str, ...]], text: str, errors: list[ErrorSeen], now: float) -> Signature:
    error_class, stage_type, frames = origin
    messages = dict.fromkeys(masked(error.message) for error in errors)
    variants = [fingerprint(error_class, stage_type, message, frames, is_masked=True) for message in messages]
    recent = sum(error.at > now - TREND_WINDOW_SECONDS for error in errors)
    earlier_days = max((now - TREND_WINDOW_SECONDS - errors[0].at) / TREND_WINDOW_SECONDS, 0.0)
    return Signature(
        fingerprint=variants[0],
        variants=frozenset(variants),
        error_class=error_class,
        stage_type=stage_type,
        message=text,
        example=errors[-1].message,
        frames=frames,
        count=len(errors),
        executions=tuple(dict.fromkeys(error.execution for error in reversed(errors))),
        pipelines=tuple(sorted({error.pipeline for error in errors})),
        stages=tuple(sorted({error.stage for error in errors if error.stage})),
        first_seen=errors[0].at,
        last_seen=errors[-1].at,
        recent=recent,
        usual_per_day=(len(errors) - recent) / max(earlier_days, 1.0),
    )
