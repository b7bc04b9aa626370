"""Triggers and deadlines: cron, time zones, unique ids, and keys that belong together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import ValidationError

from flexiroaster.engine.cron import ALIASES
from flexiroaster.engine.definition.fields import Fields
from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.stage_view import stage_views
from flexiroaster.engine.duration import InvalidDuration, format_duration, parse_duration
from flexiroaster.engine.expressions import did_you_mean
from flexiroaster.engine.expressions.template import templated_texts
from flexiroaster.engine.field_types import NAME_MAX_LENGTH
from flexiroaster.engine.pipeline import ScheduleTrigger
from flexiroaster.engine.quoting import quoted
from flexiroaster.engine.schedule import NEVER, SHORTEST, TICK, Schedule

_CRON_FIELDS = "minute hour day-of-month month day-of-week"
_ENDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_WEEKDAY = 4
_OF_THE_MACHINE = {"Factory", "localtime", "posixrules"}


def check_triggers(document: dict[str, Any], findings: Findings) -> None:
    triggers = document.get("triggers")
    seen: set[str] = set()
    sound = not findings.has_errors  # what is wrong with the inputs themselves is not told once more
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else []):
        if isinstance(trigger, dict):
            _check_trigger(trigger, ("triggers", index), seen, findings)
            if sound and trigger.get("type") == "schedule":
                _check_given(trigger.get("inputs") or {}, document.get("inputs") or {}, ("triggers", index), findings)
    _check_timezone(document.get("deadline"), ("deadline",), findings)
    for view in stage_views(document):
        _check_timezone(view.raw.get("deadline"), (*view.path, "deadline"), findings)


def _check_trigger(trigger: dict[str, Any], path: Path, seen: set[str], findings: Findings) -> None:
    name = trigger.get("id")
    if isinstance(name, str):
        if name in seen:
            findings.add("duplicate_id", f"The trigger id {quoted(name)} is already taken.", (*path, "id"), found=name)
        seen.add(name)
    if trigger.get("type") == "schedule":
        _check_schedule(trigger, path, findings)
    if trigger.get("type") == "webhook":
        _check_webhook(trigger.get("auth"), (*path, "auth"), findings)


def _check_schedule(trigger: dict[str, Any], path: Path, findings: Findings) -> None:
    _check_timezone(trigger, path, findings)
    if ("cron" in trigger) == ("every" in trigger):
        findings.add("missing_key", "A schedule has either `cron` or `every`.", path, suggestion='cron: "15 2 * * *"')
    every = _duration(trigger.get("every"))
    if every is not None and every < SHORTEST:
        sentence = f"A schedule comes once a second at most, not every {format_duration(every)}."
        findings.add("invalid_value", sentence, (*path, "every"), found=trigger["every"], suggestion="1s")
    cron = trigger.get("cron")
    problem = cron_problem(cron) if isinstance(cron, str) else None
    if problem is not None:
        meant = did_you_mean(str(cron), ALIASES) if str(cron).startswith("@") else None
        findings.add("invalid_cron", problem, (*path, "cron"), found=cron, suggestion=meant)
    if problem is None:
        _check_ends(trigger, path, findings)


def _check_ends(trigger: dict[str, Any], path: Path, findings: Findings) -> None:
    """Of a schedule that is right otherwise: what is wrong with it is found elsewhere."""
    try:
        schedule = Schedule.of(ScheduleTrigger.model_validate(trigger))
    except (ValidationError, ZoneInfoNotFoundError, ValueError, OSError):
        return
    if schedule.start is None or schedule.end is None or (schedule.cron is None) == (schedule.every is None):
        return
    if schedule.next(schedule.start - TICK) == NEVER:
        sentence = f"No instant lies between {trigger['start']} and {trigger['end']}: end it later."
        findings.add("invalid_value", sentence, (*path, "end"), found=trigger["end"])


def _check_given(given: dict[str, Any], inputs: dict[str, dict[str, Any]], path: Path, findings: Findings) -> None:
    """Nobody is asked at night: what the pipeline needs is given here, and fits."""
    for name in {**inputs, **given}:
        if name in given and next(templated_texts(given[name]), None) is not None:
            continue  # known when it comes
        known = {name: inputs[name]} if name in inputs else inputs
        values = {name: given[name]} if name in given else {}
        _, problems = Fields(known).check(values)
        for problem in problems if name in inputs else problems[:1]:
            place = (*path, "inputs", name) if name in given else path
            findings.add(problem.code, problem.message, place, found=problem.found, suggestion=problem.suggestion)


def _duration(text: object) -> timedelta | None:
    """None also for what is none, which is found elsewhere."""
    try:
        return parse_duration(text) if isinstance(text, str) else None
    except InvalidDuration:
        return None


def cron_problem(text: str) -> str | None:
    """What is wrong with a cron text, None when nothing is. Five fields, or one of the aliases."""
    if text.startswith("@"):
        known = ", ".join(ALIASES)
        return None if text in ALIASES else f"{quoted(text)} is no schedule: the short forms are {known}."
    if len(text) > NAME_MAX_LENGTH:
        return None  # which is found elsewhere
    fields = text.split()
    if len(fields) != 5:
        return f"{quoted(text)} has {len(fields)} fields; cron has five: {_CRON_FIELDS}."
    try:
        if not _comes(text):
            return f"{quoted(text)} never comes."
    except CronSimError as refused:
        terms = ((place, term) for place, field in enumerate(fields) for term in field.split(","))
        turned = next(filter(None, (_turned_problem(place, term) for place, term in terms)), None)
        if turned is not None:
            return f"{quoted(text)}: {turned}"
        return f"{quoted(text)} is no cron text: {str(refused).lower()} (fields: {_CRON_FIELDS})."
    return _misleading(text, fields)


def _turned_problem(place: int, term: str) -> str | None:
    """A range that goes on at the beginning of its field, as `sat-sun` does."""
    first, _, last = term.partition("-")
    try:
        (begin,), (end,) = _values(place, first), _values(place, last)
    except (CronSimError, ValueError):
        return None
    lowest, highest = _ENDS[place]
    if not lowest <= end < begin:
        return None
    until = first if begin == highest else f"{first}-{highest}"
    since = last if end == lowest else f"{lowest}-{last}"
    return f"{quoted(term)} goes beyond the end of its field: write {until},{since}."


def _misleading(text: str, fields: list[str]) -> str | None:
    """What the library takes, and nobody means: a part that comes to nothing."""
    for place, field in enumerate(fields):
        for term in field.split(","):
            if "/" in term and (problem := _step_problem(place, term)):
                return f"{quoted(text)}: {problem}"
    *times, day, month, weekday = fields
    if not day.startswith("*") and not weekday.startswith("*") and not _exists(" ".join((*times, day, month, "*"))):
        return (
            f"{quoted(text)}: no month of these has the day {quoted(day)}, so that the day-of-week alone would decide: "
            "write * for the day."
        )
    return None


def _step_problem(place: int, term: str) -> str | None:
    base = term.partition("/")[0]
    first, _, last = base.upper().partition("-")
    if first in ("L", "LW"):
        return f"{quoted(base)} is one day, and takes no step."
    if first == last:
        return f"{quoted(term)} begins and ends at {first}: write {first}."
    values = _values(place, term)
    if len(values) > 1:
        return None
    return f"the step of {quoted(term)} is larger than the field: it comes to {values[0]} alone, write that."


def _values(place: int, term: str) -> list[int]:
    """Of a field without L and #; Sunday has two numbers."""
    alone = CronSim(" ".join("*" if at != place else term for at in range(5)), datetime(2026, 1, 1, tzinfo=UTC))
    fields = (alone.minutes, alone.hours, alone.days, alone.months, alone.weekdays)
    return sorted({value % 7 if place == _WEEKDAY else value for value in fields[place] if isinstance(value, int)})


def _exists(text: str) -> bool:
    try:
        return _comes(text)
    except CronSimError:
        return False


def _comes(text: str) -> bool:
    return next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)), None) is not None


def _check_timezone(holder: object, path: Path, findings: Findings) -> None:
    name = holder.get("timezone") if isinstance(holder, dict) else None
    if not isinstance(name, str) or is_timezone(name):
        return
    meant = did_you_mean(name, available_timezones() - _OF_THE_MACHINE)
    hint = f", did you mean {meant!r}?" if meant else " such as Europe/Paris."
    sentence = f"{quoted(name)} is not a time zone{hint}"
    findings.add("invalid_timezone", sentence, (*path, "timezone"), found=name, suggestion=meant)


def is_timezone(name: str) -> bool:
    """One that is the same on every server: none of a machine's own, nor of those that count leap seconds."""
    if name in _OF_THE_MACHINE or name.startswith(("posix/", "right/")):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_webhook(auth: object, path: Path, findings: Findings) -> None:
    if isinstance(auth, dict) and auth.get("type") in {"hmac_sha256", "token", "basic"} and "secret" not in auth:
        findings.add(
            "missing_key", "Name the stored secret that callers must know.", path, suggestion="secret: my_secret"
        )
