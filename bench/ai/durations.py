"""Durations of real workflows (WfInstances): fit on four fifths of the instances, predict the others; five times.

Nothing of an unseen instance is told: this is the estimate at the moment of planning. Applications with one instance
are only learned from.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from ai import Row
from flexiroaster.ai import Predictor, Run

DAY = 86_400.0
FOLDS = 5


class Answer(NamedTuple):
    seconds: float
    p50: float
    p90: float
    named: float
    """The median of the known tasks of that name."""


def run(data: Path | None) -> list[Row]:
    folder = data / "wfinstances" if data else None
    if folder is None or not folder.exists():
        return []
    applications: dict[str, list[list[Run]]] = defaultdict(list)
    for number, path in enumerate(sorted(folder.rglob("*.json.gz"))):
        application = path.name.split("-")[0]
        at = len(applications[application]) * 3 * DAY + number * 60
        applications[application].append(read(path, application, at))
    answers: list[Answer] = []
    for fold in range(FOLDS):
        known = [run for group in applications.values() for run in part(group, fold, inside=False)]
        unseen = [run for group in applications.values() if len(group) > 1 for run in part(group, fold, inside=True)]
        answers += predicted(known, unseen)
    return rows(answers)


def part(instances: list[list[Run]], fold: int, *, inside: bool) -> list[Run]:
    """The runs of the instances in (or outside) one fold."""
    return [run for number, runs in enumerate(instances) if (number % FOLDS == fold) == inside for run in runs]


def read(path: Path, application: str, at: float) -> list[Run]:
    """The successful tasks of an instance, one run each. Tasks of one name are one stage."""
    with gzip.open(path, "rt") as text:
        workflow = json.load(text)["workflow"]
    sizes = {file["id"]: file["sizeInBytes"] for file in workflow["specification"].get("files", ())}
    tasks = {task["id"]: task for task in workflow["specification"]["tasks"]}
    executed = {task["id"]: task for task in workflow["execution"]["tasks"]}
    return [
        Run(
            execution=path.name,
            pipeline=application,
            stage=name_of(task, executed[id]),
            kind=name_of(task, executed[id]),
            started_at=at,
            ended_at=at + executed[id]["runtimeInSeconds"],
            status="success",
            input_bytes=float(sum(sizes.get(file, 0) for file in task.get("inputFiles", ()))),
            needs=tuple(task.get("parents", ())),
            attributes=shape(task, sizes, len(tasks)),
        )
        for id, task in tasks.items()
        if id in executed
    ]


def name_of(task: dict[str, Any], executed: dict[str, Any]) -> str:
    """The program, or the task's name without the number that tells it from its siblings."""
    program = str(executed.get("command", {}).get("program", ""))
    if re.fullmatch(r"[\w.+-]+", program):
        return program
    return re.sub(r"[_.-]?(ID)?\d+$", "", str(task["name"]))


def shape(task: dict[str, Any], sizes: dict[str, int], tasks: int) -> dict[str, float]:
    files = [sizes.get(file, 0) for file in task.get("inputFiles", ())]
    return {
        "files": float(len(files)),
        "largest_file": math.log1p(max(files, default=0)),
        "smallest_file": math.log1p(min(files, default=0)),
        "output_files": float(len(task.get("outputFiles", ()))),
        "children": float(len(task.get("children", ()))),
        "tasks": math.log1p(tasks),
    }


def predicted(known: list[Run], unseen: list[Run]) -> list[Answer]:
    predictor = Predictor(refit_every=None).fit(known)
    later = max(run.ended_at or 0.0 for run in known) + DAY
    middles: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in known:
        middles[run.pipeline, run.stage].append(run.seconds or 0.0)
    usual = median(run.seconds or 0.0 for run in known)
    found = []
    for run in unseen:
        coming = replace(run, started_at=later, ended_at=None, status="")
        answer = predictor.predict(coming).duration
        named = median(middles.get((run.pipeline, run.stage)) or [usual])
        found.append(Answer(run.seconds or 0.0, answer.p50, answer.p90, named))
    return found


def rows(answers: list[Answer]) -> list[Row]:
    workload = "ai_duration_wfinstances"
    error = median(relative(answer.p50, answer.seconds) for answer in answers)
    named = {"name median": median(relative(answer.named, answer.seconds) for answer in answers)}
    twice = share(answers, lambda answer: twice_at_most(answer.p50, answer.seconds))
    named_twice = {"name median": share(answers, lambda answer: twice_at_most(answer.named, answer.seconds))}
    covered = share(answers, lambda answer: answer.seconds <= answer.p90)
    return [
        Row(workload, "relative_error", error, "", named, at_most=0.2, better="lower"),
        Row(workload, "within_twice", twice, "", named_twice),
        Row(workload, "p90_share", covered, at_least=0.88, at_most=0.92),
        Row(workload, "p90_over_p50", median(answer.p90 / answer.p50 for answer in answers), better="lower"),
    ]


def share(answers: list[Answer], holds: Callable[[Answer], bool]) -> float:
    return sum(map(holds, answers)) / len(answers)


def twice_at_most(predicted: float, seconds: float) -> bool:
    return abs(math.log(max(predicted, 0.01) / max(seconds, 0.01))) <= math.log(2)


def relative(predicted: float, seconds: float) -> float:
    return abs(predicted - seconds) / max(seconds, 1.0)
