from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from flexiroaster.stages.process.inside.confine import entries_beside, folders_above, landlock_version
from tests.stages.code import linux, result_of, run, shell
from tests.stages.context import FakeContext

landlock = pytest.mark.skipif(landlock_version() < 6, reason="needs Landlock with signals (Linux 6.12)")


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    """A context as a server's: all its folders lie in one that is hidden from code."""
    (tmp_path / "server").mkdir()
    context = FakeContext(tmp_path / "server")
    (context.root / "secret.key").write_text("key")
    (context.artifact_dir / "table").write_text("rows")
    (context.data_dirs[0] / "in.csv").write_text("data")
    (context.code_dirs[0] / "jobs.py").write_text("def run(): return 'mine'")
    (context.root / "scratch" / "other").mkdir()
    (context.root / "scratch" / "other" / "draft").write_text("draft")
    (tmp_path / "elsewhere").mkdir()
    context.hidden_from_code = (context.root, context.artifact_dir, tmp_path / "absent" / ".env")
    return context


def result(context: FakeContext, code: str | None = None, **config: Any) -> Any:
    return result_of(run(context, code, **config))


TRY = """
    def run(path, mode):
        try:
            with open(path, mode) as file:
                return file.write("x") and "written" if mode != "r" else file.read()
        except OSError as error:
            return type(error).__name__
"""


@landlock
@pytest.mark.parametrize(
    ("path", "mode", "seen"),
    [
        ("server/secret.key", "r", "PermissionError"),
        ("server/secret.key", "w", "PermissionError"),
        ("server/new", "w", "PermissionError"),
        ("server/scratch/other/draft", "r", "PermissionError"),
        ("server/scratch/other/draft", "w", "PermissionError"),
        ("server/artifacts/table", "r", "rows"),
        ("server/artifacts/table", "w", "PermissionError"),
        ("server/code/jobs.py", "r", "def run(): return 'mine'"),
        ("server/code/new.py", "w", "PermissionError"),
        ("server/data/in.csv", "r", "data"),
        ("server/data/out.csv", "w", "written"),
        ("server/scratch/attempt/draft", "w", "written"),
        ("elsewhere/file", "w", "written"),
    ],
)
def test_what_code_can_reach(context: FakeContext, path: str, mode: str, seen: str) -> None:
    args = {"path": str(context.root.parent / path), "mode": mode}
    assert result(context, TRY, args=args) == seen


@landlock
def test_programs_are_confined_too(context: FakeContext) -> None:
    outcome = shell(
        context, "cat ../../secret.key || echo denied; ln -s ../../secret.key link; cat link || echo denied"
    )
    assert result_of(outcome)["output"] == "denied\ndenied"


@landlock
def test_entrypoint_of_the_code_folder_is_found(context: FakeContext) -> None:
    assert result(context, entrypoint="jobs:run") == "mine"


@landlock
def test_links_do_not_lead_into_what_is_hidden(context: FakeContext) -> None:
    (context.root.parent / "way_in").symlink_to(context.root)
    args = {"path": str(context.root.parent / "way_in" / "secret.key"), "mode": "r"}
    assert result(context, TRY, args=args) == "PermissionError"


@landlock
def test_folder_that_came_after_the_process_was_prepared(context: FakeContext) -> None:
    for number in range(6):
        folder = context.root.parent / f"new{number}"
        folder.mkdir()
        assert result(context, TRY, args={"path": str(folder / "file"), "mode": "w"}) == "written"


@landlock
def test_folder_that_was_made_anew(context: FakeContext) -> None:
    """As by an administrator who empties it: the old one is what was allowed."""
    for _ in range(6):
        (context.data_dirs[0]).rename(context.root.parent / "away")
        (context.data_dirs[0]).mkdir()
        args = {"path": str(context.data_dirs[0] / "file"), "mode": "w"}
        assert result(context, TRY, args=args) == "written"
        shutil.rmtree(context.root.parent / "away")


@landlock
def test_server_cannot_be_looked_into_or_signalled(context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXIROASTER_SECRET_KEY", "hidden")
    code = """
        import os
        def tried(work):
            try:
                work()
                return "possible"
            except OSError as error:
                return type(error).__name__
        def run(server):
            supervisor = os.getppid()
            found = {}
            for name, pid in (("server", server), ("supervisor", supervisor)):
                for file in ("environ", "mem", "maps", "auxv"):
                    found[f"{name} {file}"] = tried(lambda: open(f"/proc/{pid}/{file}", "rb").read(1))
                found[f"{name} fd"] = tried(lambda: os.readlink(f"/proc/{pid}/fd/0"))
                found[f"{name} signal"] = tried(lambda: os.kill(pid, 0))
            found["own"] = tried(lambda: open("/proc/self/environ", "rb").read(1))
            return {what: answer for what, answer in found.items() if answer != "PermissionError"}
    """
    assert result(context, code, args={"server": os.getpid()}) == {"own": "possible"}


@landlock
def test_own_processes_can_be_looked_into_and_ended(context: FakeContext) -> None:
    code = """
        import os, signal, subprocess
        child = subprocess.Popen(["sh", "-c", "echo ready; sleep 60"], stdout=subprocess.PIPE)
        child.stdout.readline()
        environ = open(f"/proc/{child.pid}/environ").read()
        child.terminate()
        result = ["FLEXIROASTER_STAGE_PROCESS=" in environ, child.wait()]
    """
    assert result(context, code) == [True, -15]


@landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="root only")
def test_root_cannot_lift_its_limits(context: FakeContext) -> None:
    code = """
        import resource
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            result = "lifted"
        except ValueError:
            result = "kept"
    """
    assert result(context, code) == "kept"
    assert (
        result_of(shell(context, "ulimit -H -d unlimited 2>/dev/null && echo lifted || echo kept"))["output"] == "kept"
    )


@linux
def test_without_landlock_the_server_is_not_dumpable() -> None:
    script = """
        import ctypes, os
        from flexiroaster.stages.process import isolation
        isolation.landlock_version = lambda: 0
        print(isolation.protect_this_process(), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
    """
    told = subprocess.run([sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=True).stdout
    assert told == "memory 0\n"


def test_what_is_beside_the_hidden_is_listed(tmp_path: Path) -> None:
    for name in ("a/b/hidden/x", "a/b/seen", "a/hidden_too", "z"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "b" / "hidden")
    hidden = [str(tmp_path / name) for name in ("a/b/hidden", "a/b/hidden/x/in/it", "a/hidden_too", "gone/x")]
    folders = [folder for folder in folders_above(hidden) if folder.startswith(str(tmp_path))]
    assert [os.path.relpath(folder, tmp_path) for folder in folders] == [".", "a", "a/b", "gone"]
    assert folders_above(hidden)[0] == "/"
    found = [entry for folder in folders for entry in entries_beside(folder, hidden)]
    assert {os.path.relpath(path, tmp_path): is_folder for path, _, is_folder in found} == {
        "a/b/seen": True, "a/file": False, "z": True,
    }  # fmt: skip
