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
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from ai import Row
from flexiroaster.ai import Predictor, Run
from flexiroaster.ai.prediction.pace import logarithm, seconds_from

DAY = 86_400.0
FOLDS = 5
WORKLOAD = "ai_duration_wfinstances"


class Answer(NamedTuple):
    seconds: float
    p50: float
    p90: float
    simple: dict[str, float]
    """What simpler methods answer."""


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
    repeated = [run for group in applications.values() if len(group) > 1 for runs in group for run in runs]
    return [*rows(answers), Row(WORKLOAD, "relative_error_in_hindsight", in_hindsight(repeated), better="lower")]


def in_hindsight(runs: list[Run]) -> float:
    """The error of the median of all runs of the same name whose sizes are within a tenth, these runs among them. So
    far apart are runs that look alike, and nothing that knows name and size alone before they start can be far below.
    """
    alike: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for run in runs:
        alike[same_size(run)].append(run.seconds or 0.0)
    usual = {key: median(seconds) for key, seconds in alike.items()}
    return median(relative(usual[same_size(run)], run.seconds or 0.0) for run in runs)


def same_size(run: Run) -> tuple[str, str, int]:
    return run.pipeline, run.stage, round(math.log1p(run.input_bytes or 0.0) / math.log(1.1))


def part(instances: list[list[Run]], fold: int, *, inside: bool) -> list[Run]:
    """The runs of the instances in (or outside) one fold."""
    return [run for number, runs in enumerate(instances) if (number % FOLDS == fold) == inside for run in runs]


def read(path: Path, application: str, at: float) -> list[Run]:
    """The successful tasks of an instance, one run each. Tasks of one name are one stage; what they are asked to do
    tells one from another.
    """
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
            item=" ".join(map(str, executed[id].get("command", {}).get("arguments", ()))),
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
    found = []
    for run, simple in zip(unseen, simpler(known, unseen), strict=True):
        coming = replace(run, started_at=later, ended_at=None, status="")
        answer = predictor.predict(coming).duration
        found.append(Answer(run.seconds or 0.0, answer.p50, answer.p90, simple))
    return found


def simpler(known: list[Run], unseen: list[Run]) -> Iterator[dict[str, float]]:
    """The median of the tasks of the same name, a line over their bytes, and gradient boosting on all that is known."""
    named: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in known:
        named[run.pipeline, run.stage].append(run)
    usual = median(run.seconds or 0.0 for run in known)
    places = {name: place for place, name in enumerate(named)}
    table = np.array([described(run, places) for run in known])
    fitted = HistGradientBoostingRegressor(loss="absolute_error", max_iter=200, learning_rate=0.08, random_state=0)
    fitted.fit(table, [logarithm(run) for run in known])
    boosted = fitted.predict(np.array([described(run, places) for run in unseen]))
    for run, value in zip(unseen, boosted, strict=True):
        alike = named.get((run.pipeline, run.stage), [])
        yield {
            "name median": median([one.seconds or 0.0 for one in alike] or [usual]),
            "name and bytes": line(alike, run) if alike else usual,
            "gradient boosting": seconds_from(float(value)),
        }


def described(run: Run, places: dict[tuple[str, str], int]) -> list[float]:
    place = places.get((run.pipeline, run.stage), -1)
    return [place, math.log1p(run.input_bytes or 0.0), len(run.needs), *run.attributes.values()]


def line(alike: list[Run], run: Run) -> float:
    """Least squares through the logarithms; the median where all have the same size."""
    x = np.array([math.log1p(one.input_bytes or 0.0) for one in alike])
    y = np.array([logarithm(one) for one in alike])
    if len(x) < 3 or x.std() < 0.05:
        return seconds_from(float(np.median(y)))
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return seconds_from(float(y.mean()) + slope * (math.log1p(run.input_bytes or 0.0) - float(x.mean())))


def rows(answers: list[Answer]) -> list[Row]:
    error = median(relative(answer.p50, answer.seconds) for answer in answers)
    twice = share(answers, lambda answer: twice_at_most(answer.p50, answer.seconds))
    errors, shares = {}, {}
    for name in answers[0].simple:
        errors[name] = median(relative(answer.simple[name], answer.seconds) for answer in answers)
        shares[name] = sum(twice_at_most(answer.simple[name], answer.seconds) for answer in answers) / len(answers)
    covered = share(answers, lambda answer: answer.seconds <= answer.p90)
    return [
        Row(WORKLOAD, "relative_error", error, "", errors, at_most=0.2, better="lower"),
        Row(WORKLOAD, "within_twice", twice, "", shares),
        Row(WORKLOAD, "p90_share", covered, at_least=0.88, at_most=0.92),
        Row(WORKLOAD, "p90_over_p50", median(answer.p90 / answer.p50 for answer in answers), better="lower"),
    ]


def share(answers: list[Answer], holds: Callable[[Answer], bool]) -> float:
    return sum(map(holds, answers)) / len(answers)


def twice_at_most(predicted: float, seconds: float) -> bool:
    return abs(math.log(max(predicted, 0.01) / max(seconds, 0.01))) <= math.log(2)


def relative(predicted: float, seconds: float) -> float:
    return abs(predicted - seconds) / max(seconds, 1.0)
