from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.stages.process import run as process_run
from flexiroaster.stages.process import zygote as zygote_room
from flexiroaster.stages.process.inside import proc
from flexiroaster.stages.process.zygote import Zygote, the_zygote
from tests.stages.code import PATIENCE_MS, has_ended, linux, result_of, run
from tests.stages.context import FakeContext

pytestmark = linux


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path)


def result(context: FakeContext, code: str | None = None, **config: Any) -> Any:
    return result_of(run(context, code, **config))


def the_pid(context: FakeContext) -> int:
    """Of the zygote: the parent of the supervisor of a stage."""
    code = "import os\nresult = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1]"
    return int(result(context, code))


class TestFreshness:
    def test_edited_code_is_picked_up(self, context: FakeContext) -> None:
        for number in range(3):
            (context.code_dirs[0] / "jobs.py").write_text(f"def run(): return {number}{' ' * number}")
            assert result(context, entrypoint="jobs:run") == number

    def test_no_attempt_sees_what_another_has_left(self, context: FakeContext) -> None:
        code = """
            import os, sys, signal, json
            def run():
                seen = [hasattr(sys, "left"), "LEFT" in os.environ, hasattr(json, "left"), os.getcwd()[-7:]]
                sys.left = json.left = True
                os.environ["LEFT"] = "1"
                os.chdir("/")
                return seen
        """
        for _ in range(4):
            assert result(context, code) == [False, False, False, "attempt"]

    def test_chance_is_not_the_same_for_all(self, context: FakeContext) -> None:
        code = "import random, uuid, tempfile\nresult = [random.random(), str(uuid.uuid4()), tempfile.mkdtemp()]"
        drawn = [result(context, code) for _ in range(4)]
        assert all(len(set(values)) == 4 for values in zip(*drawn, strict=True))

    @pytest.mark.parametrize("name", ["inspect", "traceback", "runner", "zygote", "selectors"])
    def test_module_of_the_user_is_found_before_one_that_is_loaded_already(
        self, context: FakeContext, name: str
    ) -> None:
        (context.code_dirs[0] / f"{name}.py").write_text("def mine(): return 'mine'")
        assert result(context, entrypoint=f"{name}:mine") == "mine"
        assert result(context, f"import {name}\nresult = {name}.mine()") == "mine"

    def test_main_module_is_nobodys(self, context: FakeContext) -> None:
        assert result(context, "import __main__\nresult = sorted(vars(__main__))") == [
            "__doc__", "__loader__", "__name__", "__package__", "__spec__",
        ]  # fmt: skip

    def test_installed_package_starts_another_zygote(
        self, context: FakeContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = the_pid(context)
        assert the_pid(context) == before
        monkeypatch.setattr(zygote_room, "installed_packages", lambda: (1, 2))
        assert the_pid(context) != before

    @pytest.mark.parametrize("how", ["variable", "interpreter"])
    def test_interpreter_of_its_own(self, context: FakeContext, how: str) -> None:
        """For variables that are read when a program starts, and for other environments."""
        config: dict[str, Any] = {"interpreter": sys.executable} if how == "interpreter" else {}
        (context.code_dirs[0] / "jobs.py").write_text(
            "import sys, os, pydantic\n"
            "def run(context, n):\n"
            "    context.log('info', 'hello')\n"
            "    kept = context.keep_file('a')['bytes']\n"
            "    return [n, os.environ.get('LD_LIBRARY_PATH'), sys.prefix, os.getcwd(), kept]\n"
        )
        (context.scratch_dir / "a").write_text("abc")
        env = {"LD_LIBRARY_PATH": "/opt/lib"}
        given = result(context, entrypoint="jobs:run", args={"n": [1]}, env=env, memory_mb=512, **config)
        assert given == [[1], "/opt/lib", sys.prefix, str(context.scratch_dir), 3]
        assert context.messages == ["hello"]

    def test_interpreter_that_is_not_there(self, context: FakeContext) -> None:
        outcome = run(context, "result = 1", interpreter="/no/such/python")
        assert "The interpreter '/no/such/python' cannot be started: " in str(outcome)


class TestLife:
    def test_killed_zygote_is_started_again(self, context: FakeContext) -> None:
        for _ in range(3):
            pid = the_pid(context)
            os.kill(pid, signal.SIGKILL)
            assert the_pid(context) != pid

    def test_zygote_that_is_killed_with_the_request_unread_is_replaced(self, context: FakeContext) -> None:
        """Stopped, it takes the request without reading it; killed, it is gone with it."""
        pid = the_pid(context)
        os.kill(pid, signal.SIGSTOP)
        with ThreadPoolExecutor() as pool:
            answers = [pool.submit(result, FakeContext(context.root / str(n)), "result = 1") for n in range(2)]
            wait_until_unread(the_zygote)
            os.kill(pid, signal.SIGKILL)
            assert [answer.result() for answer in answers] == [1, 1]

    def test_zygote_that_does_not_answer_is_replaced(
        self, context: FakeContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pid = the_pid(context)
        monkeypatch.setattr(process_run, "START_SECONDS", 0.2)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(StageFailed, match="No process could be started") as caught:
            run(context, "result = 1")
        assert caught.value.kind == "transient"
        monkeypatch.undo()
        assert has_ended(pid, PATIENCE_MS)
        assert result(context, "result = 1") == 1

    def test_death_of_the_zygote_does_not_reach_a_running_stage(self, context: FakeContext) -> None:
        pid = the_pid(context)
        context.on_line = lambda _: os.kill(pid, signal.SIGKILL)
        code = """
            import os, select
            def run(zygote):
                poll = select.poll()
                poll.register(os.pidfd_open(zygote), select.POLLIN)
                print("ready", flush=True)
                return len(poll.poll())
        """
        assert result(context, code, args={"zygote": pid}) == 1

    def test_pairs_in_readiness_end_with_the_zygote(self, context: FakeContext) -> None:
        zygote = Zygote()
        process, requests = zygote._running()
        pairs = wait_for_pairs(process.pid)
        assert len(pairs) == min(os.cpu_count() or 1, 4)
        zygote.close()
        assert all(has_ended(pid, PATIENCE_MS) for pair in pairs for pid in pair)
        assert requests.fileno() == -1

    @pytest.mark.parametrize("which", [0, 1])
    def test_pair_that_somebody_has_killed_is_not_used(self, context: FakeContext, which: int) -> None:
        for pair in wait_for_pairs(the_pid(context)):
            os.kill(pair[which], signal.SIGKILL)
            assert has_ended(pair[which], PATIENCE_MS)
        assert [run(context, "result = 1") for _ in range(5)] == [Succeeded(1)] * 5

    def test_zygote_holds_nothing_of_the_server(self, context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLEXIROASTER_SECRET_KEY", "hidden")
        with (context.root / "secret").open("w") as held:
            os.set_inheritable(held.fileno(), True)
            zygote = Zygote()
            process, _ = zygote._running()
            (pair, *_) = wait_for_pairs(process.pid)
            for pid in (process.pid, *pair):
                opened = [os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                assert {path for path in opened if not path.startswith("/proc/")} == {"/dev/null"}
                assert set(proc.read_text(f"/proc/{pid}/environ").split("\0")) == {
                    "", "LANG=C.UTF-8", f"FLEXIROASTER_STAGE_PROCESS={'-' * 49}",
                }  # fmt: skip
            zygote.close()

    def test_many_at_a_time(self, context: FakeContext) -> None:
        together = threading.Barrier(8)

        def attempt(number: int) -> Any:
            mine = FakeContext(context.root / str(number))
            mine.on_line = lambda _: together.wait(60) and None  # all eight run at this moment
            return result(mine, "print('ready', flush=True)\nresult = n", args={"n": number})

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(attempt, range(8))) == list(range(8))

    def test_nothing_is_left_after_many(self, context: FakeContext) -> None:
        zygote = the_pid(context)
        for _ in range(10):
            result(context, "result = 1")
        assert len(wait_for_pairs(zygote)) == min(os.cpu_count() or 1, 4)

    def test_death_of_the_server_ends_all(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        server = """
            import sys
            from pathlib import Path
            sys.path.insert(0, sys.argv[1])
            from tests.stages.code import run
            from tests.stages.context import FakeContext
            code = '''
                import os, signal
                def run(path):
                    if os.fork() == 0:
                        os.setsid()
                        if os.fork() != 0:
                            os._exit(0)
                        signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    else:
                        os.wait()
                    os.write(os.open(path, os.O_WRONLY), b"%d\\\\n" % os.getpid())
                    while True:
                        signal.pause()
            '''
            run(FakeContext(Path(sys.argv[3])), code, args={"path": sys.argv[2]})
        """
        backend = Path(__file__).parents[3]
        command = [sys.executable, "-c", dedent(server), str(backend), str(fifo), str(tmp_path / "server")]
        with subprocess.Popen(command) as process, fifo.open() as said:
            pids = [int(said.readline()), int(said.readline())]
            zygote = next(pid for pid in proc.children(process.pid) if proc.descendants(pid))
            pids += [zygote, *proc.descendants(zygote)]
            process.kill()
        assert len(pids) >= 5
        assert [pid for pid in pids if not has_ended(pid, PATIENCE_MS)] == []


def wait_for_pairs(zygote: int) -> list[tuple[int, int]]:
    """The supervisors in readiness, each with its code process. No signal tells when they are: look again and again."""
    most = min(os.cpu_count() or 1, 4)
    deadline = threading.Event()
    timer = threading.Timer(PATIENCE_MS / 1000, deadline.set)
    timer.start()
    pairs: list[tuple[int, int]] = []
    while len(pairs) != most and not deadline.is_set():
        found = [(pid, proc.children(pid)) for pid in proc.children(zygote)]
        pairs = [(pid, children[0]) for pid, children in found if len(children) == 1]
    timer.cancel()
    return pairs


def wait_until_unread(zygote: Zygote) -> None:
    """Until requests wait in the zygote's socket."""
    import array
    import fcntl
    import termios

    assert zygote._requests is not None
    unsent = array.array("i", [0])
    while unsent[0] == 0:
        fcntl.ioctl(zygote._requests.fileno(), termios.TIOCOUTQ, unsent)
