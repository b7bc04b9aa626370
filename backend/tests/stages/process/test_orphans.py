from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from flexiroaster.stages.process.inside import proc
from flexiroaster.stages.process.orphans import kill_left_over, new_marker
from tests.stages.code import PATIENCE_MS, has_ended, linux

pytestmark = linux

SERVER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from tests.stages.code import run, shell
    from tests.stages.context import FakeContext
    context = FakeContext(Path(sys.argv[3]))
    if sys.argv[4] == "python":
        code = '''
            import os, signal
            def run(path):
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() != 0:
                        os._exit(0)
                else:
                    os.wait()
                os.write(os.open(path, os.O_WRONLY), b"%d\\\\n" % os.getpid())
                while True:
                    signal.pause()
        '''
        run(context, code, args={"path": sys.argv[2]})
    else:
        started = "echo $$ > $FIFO; exec sleep 600"
        shell(context, f"(setsid sh -c '{started}' &); {started}", env={"FIFO": sys.argv[2]})
"""


@pytest.fixture(params=["python", "shell"])
def left_over(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[int]]:
    """The processes of a stage whose server was killed, and whose supervisor could do nothing about it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    backend = Path(__file__).parents[3]
    command = [sys.executable, "-c", dedent(SERVER), str(backend), str(fifo), str(tmp_path), request.param]
    with subprocess.Popen(command) as process:
        pids = [int(line) for line in read_lines(fifo, 2)]
        zygote = next(pid for pid in proc.children(process.pid) if proc.descendants(pid))
        (supervisor,) = (pid for pid in proc.children(zygote) if set(pids) & set(proc.descendants(pid)))
        os.kill(supervisor, signal.SIGSTOP)
        process.kill()
    assert has_ended(zygote, PATIENCE_MS)
    yield [supervisor, *pids]
    for pid in (supervisor, *pids):
        if not has_ended(pid):
            os.kill(pid, signal.SIGKILL)


def read_lines(fifo: Path, count: int) -> list[bytes]:
    """Opened for both ways, so that it does not end when one of its writers does."""
    with os.fdopen(os.open(fifo, os.O_RDWR), "rb", buffering=0) as file:
        return [file.readline() for _ in range(count)]


def test_what_a_killed_server_left_is_killed(left_over: list[int], tmp_path: Path) -> None:
    assert not any(has_ended(pid) for pid in left_over)
    killed = kill_left_over(tmp_path / "scratch")
    pids = {each.pid for each in killed}
    assert left_over[0] in pids  # the code's own process dies with it, and may be gone before it is found
    assert len(pids) >= 2 and pids <= set(left_over)
    assert all(has_ended(pid, PATIENCE_MS) for pid in left_over)
    assert all(each.name for each in killed)
    assert kill_left_over(tmp_path / "scratch") == []


def test_processes_of_another_server_are_left_alone(left_over: list[int], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert kill_left_over(tmp_path / "other") == []
    assert not any(has_ended(pid) for pid in left_over)


def test_marker_is_of_the_folder_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one, other = new_marker(tmp_path / "scratch"), new_marker(tmp_path / "link" / "scratch")
    assert one != other
    assert one.split("-")[0] == other.split("-")[0]
    assert len(one) == len(other)
