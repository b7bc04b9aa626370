"""Lets processes of their own follow and study the executions of this server, and writes down what they say.

Nothing of it runs, or is loaded, before there is an execution to learn from: the first one, or those of a history that
it was switched on over. It hears of executions after their commit, and reads them itself: no execution waits for it.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from flexiroaster.bus.port import Bus, Unsubscribe
from flexiroaster.engine.events import EXECUTION_ENDS, Event, EventType
from flexiroaster.services.ai import messages
from flexiroaster.services.ai.room import AiServices
from flexiroaster.store.database import StoreUnavailable

log = structlog.get_logger(__name__)

HEARD = EXECUTION_ENDS | {EventType.EXECUTION_STARTED, EventType.STAGE_COMPLETED, EventType.STAGE_FAILED}
SWITCHES = frozenset({EventType.PROJECT_CHANGED, EventType.PIPELINE_UPDATED})
"""What may let pipelines be learned from that were kept out: the switch of their project, or a label."""
OUTCOMES = frozenset({EventType.STAGE_COMPLETED, EventType.STAGE_FAILED})
FIRST_WAIT = 5.0
"""Seconds after the start or the first execution: a burst that begins with it goes first."""
GATHERING = 0.3
"""Seconds in which what happens is heeded together."""
MOST_AT_ONCE = 300
MOST_PENDING = 5_000
"""Executions; beyond that the oldest are not followed, only studied."""
IDLE_SECONDS = 900.0
"""Without anything to heed, the process that follows ends; it is quick to begin again."""
PATIENCE_SECONDS = 300.0
STANDBY_SECONDS = 300.0
"""Of several servers on one database one learns; the others look so often whether it still does."""
CRASHED_SECONDS = 60.0
"""Before a process that died is started again."""
FIRST_STUDY = 60.0
"""Seconds after the same."""
STUDY_EVERY = 300.0
STUDY_PATIENCE_SECONDS = 3_600.0
TRAIN_EVERY = timedelta(days=1)
TRAIN_OUTCOMES = 2_000
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the history is, and where models are kept, signed with the key."""

    database_url: str
    models: Path
    key: bytes

    def message(self, *, train: bool = False) -> dict[str, Any]:
        return {
            "database_url": self.database_url,
            "models": str(self.models),
            "key": self.key.hex(),
            "train": train,
        }


class Broken(Exception):
    """A process ended, or did not answer in time."""


class Standby(Exception):
    """Another server does it."""


class Learner:
    """`start` listens; `stop` may be called twice, also without it."""

    def __init__(
        self,
        bus: Bus,
        ai: AiServices,
        place: Place,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.first_wait = FIRST_WAIT
        self.first_study = FIRST_STUDY
        self._bus = bus
        self._ai = ai
        self._place = place
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, None] = {}
        self._outcomes = 0
        self._ended_since_study = False
        self._reload = False
        self._switched = False
        """Something was; whether it has a history that nothing is said of is not known yet."""
        self._behind = False
        """There is a history that nothing is said of. To begin anew takes it in."""
        self._standby = False
        self._follows = False
        """Unlike all that stand by, and those whose process is not there yet."""
        self._something = threading.Event()
        self._ended = threading.Event()
        self._stopped = threading.Event()
        self._unsubscribe: Unsubscribe | None = None
        self._threads: list[threading.Thread] = []
        self._children: set[subprocess.Popen[bytes]] = set()

    def start(self) -> None:
        self._unsubscribe = self._bus.subscribe(self._hear, wanted=lambda: not self._standby)
        if self._has_history_to_learn():
            with self._lock:
                self._behind = self._ended_since_study = True
                self._begin()
            self._something.set()

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._stopped.set()
        self._something.set()
        self._ended.set()
        with self._lock:
            children = list(self._children)
        for child in children:
            child.kill()
        for thread in self._threads:
            thread.join()

    @property
    def processes(self) -> list[int]:
        """The ids of those that run now."""
        with self._lock:
            return [child.pid for child in self._children]

    # --- Listening --------------------------------------------------------------------------------------------------

    def _hear(self, events: Sequence[Event]) -> None:
        """In a publisher's thread."""
        found = [event for event in events if event.type in HEARD and not event.index]
        switched = any(event.type in SWITCHES for event in events)
        if not found and not switched:
            return
        with self._lock:
            self._switched |= switched
            for event in found:
                self._pending[event.execution_id] = None
                self._outcomes += event.type in OUTCOMES
                self._ended_since_study |= event.type in EXECUTION_ENDS
            while len(self._pending) > MOST_PENDING:
                del self._pending[next(iter(self._pending))]
            self._begin()
        self._something.set()

    def _begin(self) -> None:
        """With the lock. Once."""
        if self._threads or self._stopped.is_set():
            return
        for name, loop in (("learner", self._follow_loop), ("study", self._study_loop)):
            thread = threading.Thread(target=loop, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    # --- Following --------------------------------------------------------------------------------------------------

    def _follow_loop(self) -> None:
        self._stopped.wait(self.first_wait)
        while not self._stopped.is_set():
            if not self._something.wait(timeout=None):
                continue
            try:
                if self._has_work():
                    self._follow()
            except Standby:
                self._standby = True
                self._stopped.wait(STANDBY_SECONDS)
                self._standby = False
            except Exception as error:  # whatever it is: it begins anew
                if not self._stopped.is_set():
                    log.warning("learner.broken", error=str(error) or type(error).__name__)
                self._stopped.wait(CRASHED_SECONDS)
                self._switched = True  # whatever it had in hand is history by now
                self._something.set()

    def _has_work(self) -> bool:
        behind = self._is_behind()
        with self._lock:
            found = behind or bool(self._pending) or self._reload
            if not found and not self._switched:
                self._something.clear()
        return found

    def _has_history_to_learn(self) -> bool:
        return (
            bool(self._ai.predictions.behind())
            or not self._ai.models.looked_at_all()
            or self._is_switched_since_look()
            or not self._models_are_there()
        )

    def _is_behind(self) -> bool:
        with self._lock:
            switched, self._switched = self._switched, False
        if switched and (self._ai.predictions.behind() or self._is_switched_since_look()):
            with self._lock:
                self._behind = self._ended_since_study = True
        return self._behind

    def _is_switched_since_look(self) -> bool:
        """What was found of pipelines is over as soon as they are kept out, so it has to be found again."""
        looked, switched = self._ai.models.standing().looked_at, self._ai.projects.switched_at()
        return looked is not None and switched is not None and looked < switched

    def _follow(self) -> None:
        """Until nothing has happened for a while, or there is more history than it began with."""
        child = self._spawn("follow", self._place.message())
        try:
            answers = Answers(child, self._stopped)
            begun = answers.next(PATIENCE_SECONDS)
            self._follows = not begun.get("standby")
            self._keep(begun)
            self._behind = False
            while self._something.wait(IDLE_SECONDS) and not self._stopped.is_set() and not self._is_behind():
                began = time.monotonic()
                if (message := self._next_message()) is not None:
                    _send(child, message)
                    self._keep(answers.next(PATIENCE_SECONDS))
                # At most half of the time: the machine belongs to the stages.
                self._stopped.wait(max(GATHERING, time.monotonic() - began))
        finally:
            self._follows = False
            self._end(child)

    def _next_message(self) -> dict[str, Any] | None:
        with self._lock:
            if self._reload:
                self._reload = False
                return {"reload": True}
            ids = list(self._pending)[:MOST_AT_ONCE]
            for id in ids:
                del self._pending[id]
            if not self._pending:
                self._something.clear()
        return {"ids": ids} if ids else None

    def _keep(self, message: dict[str, Any]) -> None:
        if message.get("standby"):
            raise Standby
        if not message:
            return
        try:
            messages.keep_said(message, self._ai)
        except StoreUnavailable as error:
            log.warning("learner.not_kept", error=str(error))

    # --- Studying ---------------------------------------------------------------------------------------------------

    def _study_loop(self) -> None:
        self._stopped.wait(self.first_study)
        while not self._stopped.is_set():
            self.study_if_due()
            self._stopped.wait(STUDY_EVERY)

    def study_if_due(self) -> bool:
        """Where this server is the one that follows, and an execution has ended since the last study. Two that study
        would train in turns, each of them models that the other cannot read.
        """
        with self._lock:
            due = self._follows and self._ended_since_study
            self._ended_since_study &= not due
        if due:
            try:
                self.study()
            except Standby:
                pass
            except Exception as error:  # whatever it is: the next look begins anew
                with self._lock:
                    self._ended_since_study = True
                if not self._stopped.is_set():
                    log.warning("study.broken", error=str(error) or type(error).__name__)
        return due

    def study(self) -> None:
        """Look through the history once, and train where it is time. Raises Broken and Standby."""
        train = self._training_is_due()
        child = self._spawn("study", self._place.message(train=train))
        try:
            answers = Answers(child, self._stopped)
            message = answers.next(STUDY_PATIENCE_SECONDS)
            if message.get("standby"):
                raise Standby
            counts = messages.keep_findings(message, self._ai, self._clock())
            log.info("study.looked", **counts)
            if train:
                self._keep_training(answers.next(STUDY_PATIENCE_SECONDS))
        finally:
            self._end(child)

    def _training_is_due(self) -> bool:
        standing = self._ai.models.standing()
        if standing.missing and standing.trained_at is not None:
            return False
        now = self._clock()
        return (
            standing.trained_at is None
            or not self._models_are_there()
            or now - standing.trained_at >= TRAIN_EVERY
            or self._outcomes >= TRAIN_OUTCOMES
            or (not standing.training.get("models") and self._outcomes > 0)
        )

    def _models_are_there(self) -> bool:
        """The files of those that answer, if there are any."""
        files = [row.file for row in self._ai.models.all() if row.status == "champion"]
        return all((self._place.models / file).exists() for file in files)

    def _keep_training(self, message: dict[str, Any]) -> None:
        files = messages.keep_training(message, self._ai)
        self._outcomes = 0
        log.info("study.trained", models=len(message["models"]), runs=message["runs"], note=message["note"])
        if message["models"]:
            _remove_others(self._place.models, files)
            with self._lock:
                self._reload = True
            self._something.set()

    # --- Processes --------------------------------------------------------------------------------------------------

    def _spawn(self, work: str, first: dict[str, Any]) -> subprocess.Popen[bytes]:
        self._place.models.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEXIROASTER_")}
        child = subprocess.Popen(
            [sys.executable, "-m", "flexiroaster.runtime.learner_process", work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | dict.fromkeys(ONE_THREAD, "1"),
            process_group=0,  # Ctrl+C is for the server, with which it ends
        )
        with self._lock:
            self._children.add(child)
        if self._stopped.is_set():
            child.kill()
        _send(child, first)
        return child

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        with suppress(OSError):
            assert child.stdin is not None
            child.stdin.close()
        try:
            child.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        assert child.stdout is not None
        child.stdout.close()
        with self._lock:
            self._children.discard(child)


class Answers:
    """The lines that a process says, with a limit for the time between them."""

    def __init__(self, child: subprocess.Popen[bytes], stopped: threading.Event) -> None:
        assert child.stdout is not None
        self._out = child.stdout
        self._stopped = stopped
        self._buffer = b""
        os.set_blocking(self._out.fileno(), False)

    def next(self, patience_seconds: float) -> dict[str, Any]:
        """Raises Broken."""
        until = time.monotonic() + patience_seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if self._stopped.is_set():
                    raise Broken("The server stops.")
                if time.monotonic() > until:
                    raise Broken(f"It did not answer within {patience_seconds:.0f} seconds.")
                if selector.select(timeout=1.0):
                    self._read()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return messages.parsed(line)

    def _read(self) -> None:
        some = os.read(self._out.fileno(), 1 << 16)
        if not some:
            raise Broken("The process has ended.")
        self._buffer += some


def _send(child: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(messages.line(message))
        child.stdin.flush()
    except BrokenPipeError as error:
        raise Broken("The process has ended.") from error


def _remove_others(folder: Path, needed: Sequence[str]) -> None:
    """Also what a study that was killed had begun to write."""
    for path in (*folder.glob("*.model"), *folder.glob(".*.model-*")):
        if path.name not in needed:
            path.unlink(missing_ok=True)
