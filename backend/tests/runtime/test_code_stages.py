"""Code stages in the engine: what of their ends, limits and grace reaches the record."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.composition import Engine
from flexiroaster.local import LocalExecution, as_source, keep, local_engine, run_local, run_to_end
from flexiroaster.runtime import worker
from flexiroaster.store.tables import logs
from tests.stages.code import linux

pytestmark = linux

STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(os.open(fifo, os.O_WRONLY), b"ready\\n")
while True: signal.pause()
"""
SLOW_TO_END = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.write(os.open(fifo, os.O_WRONLY), b"ready\\n")
signal.sigwait({signal.SIGTERM})
open(go).read()
"""


def python(code: str, **config: Any) -> dict[str, Any]:
    return {
        "id": "p",
        "name": "P",
        "stages": [{"id": "s", "type": "python", "config": {"code": dedent(code), **config}}],
    }


@contextmanager
def engine(tmp_path: Path) -> Iterator[Engine]:
    with local_engine([tmp_path], tmp_path / "data", code_dirs=[tmp_path], concurrency=2) as running:
        yield running


def run_until_ready(
    engine: Engine, document: dict[str, Any], fifo: Path, then: Callable[[str], None]
) -> LocalExecution:
    """Run a stage that says on the fifo when its code runs, and do something then, with the execution's id."""
    os.mkfifo(fifo)
    started: SimpleQueue[str] = SimpleQueue()

    def wait() -> None:
        assert first_line(fifo) == b"ready\n"
        then(started.get())  # the code may run before its execution's start has returned

    thread = threading.Thread(target=wait)
    thread.start()
    ended = run_to_end(engine, keep(engine, as_source(document)), {}, on_started=started.put)
    thread.join()
    return ended


def first_line(fifo: Path) -> bytes:
    """Opened for both ways: its writer may keep it open."""
    with os.fdopen(os.open(fifo, os.O_RDWR), "rb", buffering=0) as file:
        return file.readline()


def messages(engine: Engine) -> list[str]:
    with engine.database.read() as connection:
        return list(connection.execute(sa.select(logs.c.message).order_by(logs.c.id)).scalars())


def test_cancel_says_that_it_had_to_kill(tmp_path: Path) -> None:
    document = python(STUBBORN, args={"fifo": str(tmp_path / "fifo")}, grace="50ms")
    with engine(tmp_path) as running:
        ended = run_until_ready(running, document, tmp_path / "fifo", running.embedded.executions.cancel)
        said = messages(running)
    assert (ended.status, ended.stages[0].status) == ("cancelled", "cancelled")
    assert "It did not end within its grace of 0.05 s and was killed." in said


def test_grace_longer_than_the_worker_waits_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code ends by itself, after the moment at which the worker gives up a stage that has said nothing."""
    monkeypatch.setattr(worker, "KILL_AFTER", timedelta(milliseconds=1))
    os.mkfifo(tmp_path / "go")
    document = python(SLOW_TO_END, args={"fifo": str(tmp_path / "fifo"), "go": str(tmp_path / "go")}, grace="10m")

    with engine(tmp_path) as running:

        def cancel(execution_id: str) -> None:
            running.embedded.executions.cancel(execution_id)
            given_up = threading.Event()
            running.embedded._timers.at(datetime.now(UTC) + timedelta(milliseconds=50), given_up.set)
            assert given_up.wait(30)
            (tmp_path / "go").write_text("go on")

        ended = run_until_ready(running, document, tmp_path / "fifo", cancel)
    assert (ended.status, ended.stages[0].status, ended.stages[0].error) == ("cancelled", "cancelled", None)


def test_timeout_kills_and_is_recorded(tmp_path: Path) -> None:
    document = python("import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: signal.pause()", grace="50ms")
    document["stages"][0]["timeout"] = "200ms"
    ended = run_local(document, data_dirs=[tmp_path])
    assert (ended.status, ended.stages[0].status) == ("failed", "timed_out")


def test_memory_limit_names_the_cure(tmp_path: Path) -> None:
    ended = run_local(python("x = bytearray(8 << 30)"), data_dirs=[tmp_path])
    assert ended.error is not None
    assert ended.error["message"] == "stage killed: memory limit 1 GB"
    assert ended.error["suggestion"] == "Raise memory_mb, or work through the data in parts."


def test_a_million_lines_and_a_long_one_are_bounded(tmp_path: Path) -> None:
    code = """
        print("x" * 10_000_000)
        for number in range(1_000_000):
            print(number)
        result = 1
    """
    with engine(tmp_path) as running:
        ended = run_to_end(running, keep(running, as_source(python(code))), {})
        said = messages(running)
    assert ended.ok
    assert any(line.startswith("x" * 15_900) and line.endswith(" … 9,984,100 bytes omitted") for line in said)
    assert f"… {1_000_001 - 10_000 - 50:,} lines omitted" in said
    assert "999999" in said
    assert len(said) < 10_100


def test_result_of_500_megabytes_is_refused(tmp_path: Path) -> None:
    ended = run_local(python("result = 'x' * 500_000_000"), data_dirs=[tmp_path])
    assert ended.error is not None
    assert ended.error["message"].startswith("The result is too large (")


def test_modules_come_from_the_code_folders_only(tmp_path: Path) -> None:
    for name in ("code", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}_jobs.py").write_text("def run(): return 'found'")
    document = python("")
    for name, ok in (("code", True), ("data", False)):
        document["stages"][0]["config"] = {"entrypoint": f"{name}_jobs:run"}
        ended = run_local(document, data_dirs=[tmp_path / "data"], code_dirs=[tmp_path / "code"])
        assert ended.ok is ok
    assert ended.error is not None
    assert "There is no module 'data_jobs'" in ended.error["message"]


def test_folder_of_a_definition_is_its_code_folder(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text("def run(): return 'found'")
    (tmp_path / "p.yaml").write_text(
        "id: p\nname: P\nstages:\n- {id: s, type: python, config: {entrypoint: 'jobs:run'}}\n"
        "- {id: t, type: shell, config: {command: ls jobs.py, cwd: .}}\n"
    )
    ended = run_local(tmp_path / "p.yaml")
    assert ended.results == {"s": "found", "t": {"exit_code": 0, "output": "jobs.py"}}


def test_start_kills_what_a_killed_process_left(tmp_path: Path) -> None:
    """A supervisor that was stopped when its engine was killed cannot end the code."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = """
        import sys
        from pathlib import Path
        from tests.runtime.test_code_stages import engine, python
        from flexiroaster.local import as_source, keep, run_to_end
        code = '''
            import os, signal
            os.write(os.open(fifo, os.O_WRONLY), b"%d %d" % (os.getpid(), os.getppid()) + bytes([10]))
            signal.pause()
        '''
        with engine(Path(sys.argv[1])) as running:
            run_to_end(running, keep(running, as_source(python(code, args={"fifo": sys.argv[2]}))), {})
    """
    command = [sys.executable, "-c", dedent(script), str(tmp_path), str(fifo)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL) as process:
        pid, supervisor = map(int, first_line(fifo).split())
        os.kill(supervisor, 19)
        process.kill()
    pidfd, supervisor_pidfd = os.pidfd_open(pid), os.pidfd_open(supervisor)
    with engine(tmp_path) as running:
        running.embedded.worker.stop(0)  # what was taken up runs again, and would be waited for
        for each in (pidfd, supervisor_pidfd):
            assert wait_ended(each)
            os.close(each)


def wait_ended(pidfd: int) -> bool:
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(20_000))
