from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from pydantic import ValidationError

from flexiroaster.data.table import TableRef
from flexiroaster.engine.errors import Location, StageError, StageFailed
from flexiroaster.engine.outcome import Cancelled, Failed, Succeeded
from flexiroaster.stages.process import keep
from flexiroaster.stages.process import run as process_run
from flexiroaster.stages.python import PythonConfig
from flexiroaster.stages.tables import open_tables
from tests.stages.code import PATIENCE_MS, Clock, cancel_on, error_of, has_ended, linux, result_of, run
from tests.stages.context import NOW, FakeContext, Line

DECORATED = """
import functools
def logged(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)
    return call

@logged
def run(context, n):
    return [n, context.attempt]
"""


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path, stage_id="enrich")


def result(context: FakeContext, code: str | None = None, **config: Any) -> Any:
    return result_of(run(context, code, **config))


def failure(context: FakeContext, code: str | None = None, **config: Any) -> StageError:
    return error_of(run(context, code, **config))


def project(context: FakeContext, **files: str) -> None:
    for name, text in files.items():
        (context.code_dirs[0] / f"{name}.py").write_text(dedent(text))


class TestContract:
    @pytest.mark.parametrize(
        ("code", "value"),
        [
            ("result = {'n': n + 1}", {"n": 3}),
            ("def run(n):\n    return n * 2", 4),
            ("def run(context, n):\n    return [context.inputs['day'], n]", ["2026-01-05", 2]),
            ("def run(**args):\n    return args", {"n": 2}),
            ("def run(n, more=1):\n    return more", 1),
            ("def run(*, n, context):\n    return [n, context.attempt]", [2, 1]),
            ("class Run:\n    def __init__(self, n): self.n = n\nrun = lambda n: Run(n).n", 2),
            ("import functools\nrun = functools.partial(lambda n, context: [n, context.attempt])", [2, 1]),
            (DECORATED, [2, 1]),
            ("async def run(n):\n    return n", 2),
            ("def run(n): pass", None),
            ("import sys\nresult = 1\nsys.exit(0)", None),
            ("result = context.stage_id", "enrich"),
        ],
    )
    def test_inline_code(self, context: FakeContext, code: str, value: Any) -> None:
        context.inputs = {"day": "2026-01-05"}
        assert result(context, code, args={"n": 2}) == value

    def test_entrypoint_of_the_project(self, context: FakeContext) -> None:
        project(context, http="VALUE = 7", enrich="import http\nclass A:\n    def run(x): return [x, http.VALUE]")
        assert result(context, entrypoint="enrich:A.run", args={"x": 1}) == [1, 7]

    def test_context_knows_the_execution(self, context: FakeContext) -> None:
        context.upstream = {"fetch": {"data": [1]}}
        context.data = {"spec": True}
        context.attempt = 3
        code = """
            def run(context):
                return [context.execution_id, context.pipeline_id, context.attempt, context.index,
                        context.idempotency_key, context.upstream, context.data]
        """
        assert result(context, code) == [
            "exe-1", "orders", 3, 0, "exe-1:stage:0", {"fetch": {"data": [1]}}, {"spec": True},
        ]  # fmt: skip

    def test_log_and_progress_and_prints_arrive(self, context: FakeContext) -> None:
        code = """
            import sys
            def run(context):
                print("out")
                print("\\x1b[31merr", file=sys.stderr)
                context.log("warning", "first\\nsecond")
                context.progress(3, 3, "files")
        """
        run(context, code)
        assert sorted((line.level, line.message) for line in context.lines) == [
            ("info", "\x1b[31merr"),
            ("info", "out"),
            ("warning", "first"),
            ("warning", "second"),
        ]
        assert context.steps == [(3, 3, "files")]

    def test_lines_arrive_while_the_code_runs(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        assert run(context, "print('ready')\nimport signal\nsignal.pause()") == Cancelled("cancelled")

    @pytest.mark.parametrize(
        ("config", "sentence"),
        [
            ({"code": "x = 1"}, "The code neither defines a function run nor sets result."),
            ({"entrypoint": "nowhere.deep:run"}, "There is no module 'nowhere' for entrypoint 'nowhere.deep:run'"),
            ({"entrypoint": "enrich:walk"}, "Module 'enrich' has no 'walk' for entrypoint 'enrich:walk'."),
            ({"entrypoint": "enrich:VALUE"}, "'enrich:VALUE' is a int, not a function."),
            ({"entrypoint": "enrich:run"}, "run(context, day) does not fit the stage's args: missing a required"),
            ({"entrypoint": "enrich:run", "args": {"day": 1, "x": 2}}, "got an unexpected keyword argument 'x'"),
            ({"code": "def run(): len()", "args": {}}, "TypeError: len() takes exactly one argument (0 given)"),
            ({"code": "import sys\nsys.exit(3)"}, "The code left with sys.exit(3)."),
        ],
    )  # fmt: skip
    def test_code_that_does_not_fit_is_told(self, context: FakeContext, config: dict[str, Any], sentence: str) -> None:
        project(context, enrich="VALUE = 1\ndef run(context, day): pass")
        error = failure(context, **config)
        assert sentence in error.message
        assert error.kind == "permanent"

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ("{'rows': [1, {'at': set()}]}", "result.rows[1].at is a set"),
            ("{'odd key': __import__('datetime').date.today()}", "result['odd key'] is a datetime.date"),
            ("{(1, 2): 3}", "result has a key that is a tuple"),
            ("[float('nan')]", "result[0] is nan"),
            ("{'a': float('-inf')}", "result.a is -inf"),
            ("'\\ud800'", "result holds a lone surrogate"),
            ("{'\\ud800': 1}", "result has a key that holds a lone surrogate"),
            ("{'rows': 10**5000}", "result.rows is a number that does not fit into 64 bits"),
            ("b'x'", "result is a bytes"),
            ("(lambda l: l.append(l) or l)([])", "result[0] holds itself"),
        ],
    )
    def test_result_that_is_not_json_is_named(self, context: FakeContext, value: str, problem: str) -> None:
        assert failure(context, f"def run(): return {value}").message == f"The result is not JSON: {problem}."

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ("{'n': [2**70]}", "result.n[0] is a number that does not fit into 64 bits"),
            ("-10**19", "result is a number that does not fit into 64 bits"),
            ("10**500", "result is a number that does not fit into 64 bits"),
            ("['a\\0b']", "result[0] holds the character NUL"),
            ("{'a\\0b': 1}", "result has a key that holds the character NUL"),
        ],
    )
    def test_result_that_no_database_can_keep_is_named(self, context: FakeContext, value: str, problem: str) -> None:
        assert failure(context, f"def run(): return {value}").message == f"The result cannot be kept: {problem}."

    def test_numbers_of_64_bits_and_what_only_looks_like_nul_are_kept(self, context: FakeContext) -> None:
        code = "result = [2**64 - 1, -2**63, '\\\\u0000', '1' * 20]"
        assert result(context, code) == [2**64 - 1, -(2**63), "\\u0000", "1" * 20]

    @pytest.mark.parametrize(
        ("code", "memory_mb", "message"),
        [
            ("result = 'x' * 2_000_000", 1024, "The result is too large (2.0 MB, at most 1 MB): return context.w"),
            ("result = 'x' * 500_000_000", 4096, "The result is too large (500.0 MB, at most 1 MB): return context.w"),
            ("result = ['x' * 500_000_000]", 700, "The result is too large (more than 500.0 MB, at most 1 MB): ret"),
            ("result = {'a': ['x' * 10] * 70_000_000}", 700, "The result is too large (more than 1.0 MB, at mo"),
        ],
    )
    def test_large_result_is_refused(self, context: FakeContext, code: str, memory_mb: int, message: str) -> None:
        """Also when there is not even the memory to write it as JSON."""
        assert failure(context, code, memory_mb=memory_mb, max_result_mb=1).message.startswith(message)

    @pytest.mark.parametrize(
        ("config", "sentence"),
        [
            ({}, "exactly one of entrypoint and code"),
            ({"entrypoint": "a:b", "code": "x"}, "exactly one of entrypoint and code"),
            ({"entrypoint": "a.b"}, "should match pattern"),
            ({"entrypoint": "os; import x:y"}, "should match pattern"),
            ({"code": "x", "env": {"A=B": "x"}}, "cannot be set"),
            ({"code": "x", "memory_mb": 1}, "greater than or equal to 32"),
            ({"code": "x", "timeout": "5s"}, "Extra inputs"),
        ],
    )
    def test_wrong_config_is_refused(self, config: dict[str, Any], sentence: str) -> None:
        with pytest.raises(ValidationError, match=sentence):
            PythonConfig.model_validate(config)


class TestErrors:
    def test_exception_names_the_line_of_the_user(self, context: FakeContext) -> None:
        project(context, enrich="import json\ndef run():\n    help()\ndef help():\n    json.loads('{')\n")
        error = failure(context, entrypoint="enrich:run")
        assert error.message.startswith("JSONDecodeError: Expecting property name")
        assert error.location == Location(file="enrich.py", line=5)
        assert error.kind == "permanent"
        assert error.traceback is not None
        assert 'File "enrich.py", line 3, in run' in error.traceback
        assert str(context.root) not in error.traceback
        assert "process/inside" not in error.traceback

    def test_inline_traceback_shows_its_source(self, context: FakeContext) -> None:
        error = failure(context, "def run():\n    raise ValueError('no')\n")
        assert error.message == "ValueError: no"
        assert error.location == Location(file="<code of stage enrich>", line=2)
        assert error.traceback == (
            "Traceback (most recent call last):\n"
            '  File "<code of stage enrich>", line 2, in run\n'
            "    raise ValueError('no')\n"
            "ValueError: no\n"
        )

    def test_syntax_error_names_its_line(self, context: FakeContext) -> None:
        error = failure(context, "x = 1\ny = (")
        assert error.message.startswith("SyntaxError: '(' was never closed")
        assert error.location == Location(file="<code of stage enrich>", line=2)

    def test_missing_import_of_the_code_is_its_own_error(self, context: FakeContext) -> None:
        project(context, enrich="import nothing_here\ndef run(): pass")
        error = failure(context, entrypoint="enrich:run")
        assert error.message == "ModuleNotFoundError: No module named 'nothing_here'"
        assert error.location == Location(file="enrich.py", line=1)

    @pytest.mark.parametrize(
        ("raised", "kind", "seconds"),
        [
            ("raise ConnectionResetError('x')", "transient", None),
            ("raise TimeoutError('x')", "transient", None),
            ("raise KeyError('x')", "permanent", None),
            ("raise KeyboardInterrupt", "permanent", None),
            ("context.fail('x')", "permanent", None),
            ("context.fail('x', retry=True)", "transient", None),
            ("context.fail('x', retry_after_seconds=30)", "transient", 30),
        ],
    )
    def test_kind_of_errors(self, context: FakeContext, raised: str, kind: str, seconds: float | None) -> None:
        error = failure(context, raised)
        assert (error.kind, error.retry_after_seconds) == (kind, seconds)

    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            ("import os\nos.kill(os.getpid(), 11)", "The stage's process was ended by signal 11 (SIGSEGV)."),
            ("import os\nos.abort()", "The stage's process was ended by signal 6 (SIGABRT)."),
            ("import os\nos._exit(3)", "The stage's process ended with status 3 before it gave a result."),
            ("import os\nos._exit(0)", "The stage's process ended with status 0 before it gave a result."),
            ("class E(Exception):\n    def __str__(self): 1/0\nraise E", "E: (its text cannot be made)"),
        ],
    )
    def test_sudden_ends_are_told(self, context: FakeContext, code: str, sentence: str) -> None:
        assert failure(context, code).message == sentence

    def test_switched_off_code_stages_start_nothing(self, context: FakeContext) -> None:
        context.code_stages = False
        with pytest.raises(StageFailed, match="FLEXIROASTER_CODE_STAGES=on") as caught:
            run(context, "open('touched', 'w')")
        assert caught.value.code == "code_stages_off"
        assert list(context.scratch_dir.iterdir()) == []


class TestTables:
    def test_rows_become_a_table_artifact(self, context: FakeContext) -> None:
        code = """
            import datetime, decimal
            def run(context):
                rows = ({"id": i, "day": datetime.date(2026, 1, i + 1), "sum": decimal.Decimal("1.50"), "ö": None}
                        for i in range(3))
                return {"data": context.write_table(rows, name="orders"), "n": 3}
        """
        outcome = run(context, code)
        assert isinstance(outcome, Succeeded)
        table = TableRef.model_validate(outcome.result["data"])
        (artifact,) = context.artifacts
        assert context.kinds[artifact.id] == "table"
        assert (table.table, table.artifact_id, table.format) == (artifact.uri, artifact.id, "jsonl")
        assert (table.rows, outcome.rows, outcome.bytes) == (3, 3, artifact.path.stat().st_size)
        assert [(column.name, column.type) for column in table.columns] == [
            ("id", "BIGINT"),
            ("day", "VARCHAR"),
            ("sum", "VARCHAR"),
            ("ö", "VARCHAR"),
        ]
        lines = [json.loads(line) for line in artifact.path.read_text().splitlines()]
        assert lines[2] == {"id": 2, "day": "2026-01-03", "sum": "1.50", "ö": None}

    def test_data_frame_becomes_parquet_and_is_read_by_path(self, context: FakeContext) -> None:
        code = """
            import duckdb
            def run(context):
                return {"data": context.write_table(duckdb.sql("SELECT range AS id FROM range(5)"))}
        """
        made = result(context, code, memory_mb=2048)
        assert made["data"]["format"] == "parquet"
        context.upstream = {"make": made}
        read = """
            import duckdb
            def run(context, table):
                same = context.table("make") == context.table(table)
                return [same, duckdb.sql(f"SELECT sum(id) FROM '{context.table(table)}'").fetchall()[0][0]]
        """
        assert result(context, read, args={"table": made["data"]}, memory_mb=2048) == [True, 10]

    def test_tables_of_one_name_are_kept_apart(self, context: FakeContext) -> None:
        code = """
            def run(context):
                return [context.write_table([{"n": n}], name="../a b") for n in range(2)]
        """
        run(context, code)
        assert [artifact.path.name.partition("-")[2] for artifact in context.artifacts] == ["a_b.jsonl", "a_b-2.jsonl"]

    @pytest.mark.parametrize(
        ("rows", "read"),
        [
            (
                [{"a": 1, "m": 1, "n": [1], "d d": None}, {"a": 2, "m": "x"}],
                [[1, "1", "[1]", None], [2, '"x"', None, None]],
            ),
            ([], []),
        ],
    )
    def test_data_stages_can_read_the_table(self, context: FakeContext, rows: list[Any], read: list[Any]) -> None:
        made = result(context, "def run(context, rows): return context.write_table(rows)", args={"rows": rows})
        with open_tables({"t": TableRef.model_validate(made)}, context) as tables:
            assert [list(row) for row in tables.session.rows("SELECT * FROM t")] == read

    @pytest.mark.parametrize(
        ("call", "sentence"),
        [
            ("table('other')", "'other' is no stage that this one needs"),
            ("table({'a': 1})", "Not a table"),
            ("table({'table': 's3://b/k'})", "The table s3://b/k is not on this machine"),
            ("write_table([{'a': 1}, {'a': object()}])", "Row 2 cannot be written as JSON: a object is no JSON value"),
            ("keep_file('/etc/hostname')", "hostname is not in the stage's scratch_dir"),
            ("keep_file('link')", "is not in the stage's scratch_dir"),
            ("keep_file('missing')", "No such file"),
            ("keep_file('.')", "is not an ordinary file"),
        ],
    )
    def test_what_cannot_be_kept_or_read_is_told(self, context: FakeContext, call: str, sentence: str) -> None:
        (context.scratch_dir / "link").symlink_to("/etc/passwd")
        assert sentence in failure(context, f"result = context.{call}").message
        assert context.artifacts == []

    def test_file_is_kept(self, context: FakeContext) -> None:
        code = """
            open("chart.svg", "w").write("<svg/>")
            result = context.keep_file("chart.svg", media_type="image/svg+xml")
        """
        kept = result(context, code)
        (artifact,) = context.artifacts
        assert artifact.path.read_text() == "<svg/>"
        assert kept == {
            "artifact_id": artifact.id,
            "uri": artifact.uri,
            "bytes": 6,
            "media_type": "image/svg+xml",
        }


class TestIsolation:
    def test_environment_is_clean(self, context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLEXIROASTER_SECRET_KEY", "hidden")
        code = """
            import os
            own = dict(os.environ)
            parent = open(f"/proc/{os.getppid()}/environ").read() if os.path.exists("/proc/self") else ""
            result = [own, parent.split(chr(0)), os.getcwd()]
        """
        own, parent, folder = result(
            context, code, env={"REGION": "eu", "HOME": "/elsewhere", "RATE": 1.5, "DRY": True}
        )
        assert own.pop("FLEXIROASTER_STAGE_PROCESS")
        assert own == {
            **{
                name: os.environ[name] for name in ("PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ
            },
            "HOME": "/elsewhere",
            "TMPDIR": str(context.scratch_dir),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(context.code_dirs[0]),
            "REGION": "eu",
            "RATE": "1.5",
            "DRY": "true",
        }
        assert not any("hidden" in one for one in parent)
        assert folder == str(context.scratch_dir)

    def test_server_modules_and_descriptors_are_not_there(self, context: FakeContext) -> None:
        with (context.root / "secret").open("w") as held:
            os.set_inheritable(held.fileno(), True)
            code = """
                import os, sys
                loaded = [name for name in sys.modules if name.startswith(("flexiroaster.", "pydantic", "http"))]
                result = [loaded, [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]]
            """
            loaded, files = result(context, code)
        assert loaded == []
        assert str(context.root / "secret") not in files

    def test_own_session_and_group(self, context: FakeContext) -> None:
        session, group, pid = result(context, "import os\nresult = [os.getsid(0), os.getpgid(0), os.getpid()]")
        assert session == group == pid != os.getsid(0)

    def test_limits_are_set(self, context: FakeContext) -> None:
        code = """
            from resource import *
            kinds = (RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_CPU)
            result = [getrlimit(kind)[0] for kind in kinds]
        """
        assert result(context, code, memory_mb=256, file_mb=5, cpu_seconds=60) == [256 << 20, 5 << 20, 1024, 0, 60]

    @pytest.mark.parametrize(
        ("code", "config", "sentence", "code_of_error"),
        [
            ("open('big', 'wb').write(bytes(2 << 20))", {"file_mb": 1}, "file limit 1 MB", "file_limit"),
            (
                "files = [open('/dev/null') for _ in range(20)]",
                {"max_open_files": 16},
                "open file limit 16 at a time",
                "open_files_limit",
            ),
        ],
    )
    def test_limit_that_the_code_hears_of_is_named(
        self, context: FakeContext, code: str, config: dict[str, Any], sentence: str, code_of_error: str
    ) -> None:
        error = failure(context, code, **config)
        assert (error.message, error.code) == (f"stage stopped: {sentence}", code_of_error)
        assert error.suggestion is not None and error.suggestion.startswith("Raise ")
        assert error.location is not None and error.location.line == 1

    def test_limit_that_the_code_hears_of_can_be_dealt_with(self, context: FakeContext) -> None:
        code = """
            try:
                open("big", "wb").write(bytes(2 << 20))
            except OSError as error:
                result = error.strerror
        """
        assert result(context, code, file_mb=1) == "File too large"

    @linux
    @pytest.mark.parametrize(
        "code",
        [
            "x = bytearray(8 << 30)",
            "x = []\nwhile True: x.append(bytes(1 << 20))",
            "import os\nos.write(2, b'terminate called: std::bad_alloc')\nos.abort()",
        ],
    )
    def test_memory_limit_ends_the_stage(self, context: FakeContext, code: str) -> None:
        error = failure(context, code, memory_mb=128)
        assert (error.message, error.code) == ("stage killed: memory limit 128 MB", "memory_limit")

    @linux
    def test_memory_limit_holds_for_all_processes_together(self, context: FakeContext) -> None:
        code = """
            import os, signal
            for _ in range(3):
                if os.fork() == 0:
                    hold = b"x" * (60 << 20)
                    signal.pause()
            signal.pause()
        """
        assert failure(context, code, memory_mb=128).code == "memory_limit"

    @linux
    def test_pages_shared_by_forks_count_once(self, context: FakeContext) -> None:
        code = """
            import os, time
            hold = b"x" * (60 << 20)
            children = [os.fork() for _ in range(3)]
            time.sleep(0.6)  # longer than a sample of the supervisor takes
            if 0 in children:
                os._exit(0)
            result = len(hold)
        """
        assert result(context, code, memory_mb=128) == 60 << 20

    def test_processor_limit_ends_the_stage(self, context: FakeContext) -> None:
        error = failure(context, "while True: pass", cpu_seconds=1)
        assert (error.message, error.code) == ("stage killed: processor time limit 1 s", "cpu_limit")

    def test_flood_of_lines_is_bounded(self, context: FakeContext) -> None:
        run(context, "import os\nos.write(1, b'')\nfor i in range(100_000): print(i)\nprint('end')")
        assert len(context.lines) == 10_000 + 1 + 50
        assert context.messages[10_000] == "… 89,951 lines omitted"
        assert context.messages[-1] == "end"

    def test_garbage_on_the_connection_ends_the_stage(self, context: FakeContext) -> None:
        code = """
            import os, signal
            for fd in range(3, 1024):
                try: os.write(fd, b"\\0\\0\\0\\2[]")
                except OSError: pass
            signal.pause()
        """
        assert "wrote into the connection" in failure(context, code).message

    @pytest.mark.parametrize(
        "frame",
        ['{"op": "log", "level": "info", "message": 1}', '{"op": "save"}', '{"op": "progress", "done": "a"}', "1", '"'],
    )
    def test_frame_that_context_would_not_write_ends_the_stage(self, context: FakeContext, frame: str) -> None:
        code = """
            import signal
            def run(context, frame):
                context._channel.send(frame.encode())
                signal.pause()
        """
        assert "wrote into the connection" in failure(context, code, args={"frame": frame}).message

    def test_code_that_asks_and_does_not_listen_is_ended(self, context: FakeContext) -> None:
        code = """
            def run(context):
                while True:
                    context._channel.send(b'{"op": "save", "kind": "file", "path": "no-such-file"}')
        """
        assert "wrote into the connection" in failure(context, code).message

    def test_number_of_files_is_bounded(self, context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keep, "MOST_FILES", 3)
        code = """
            def run(context):
                for number in range(4):
                    open(f"{context.scratch_dir}/{number}", "w").close()
                    context.keep_file(f"{context.scratch_dir}/{number}")
        """
        assert failure(context, code).message == (
            "RuntimeError: A stage may keep 3 files and tables: put several into one."
        )
        assert len(context.artifacts) == 3

    def test_text_that_is_no_unicode_arrives_as_far_as_it_goes(self, context: FakeContext) -> None:
        """The names of files may be such."""
        code = """
            def run(context):
                context.log("warning", "b\\udcffd.csv")
                context.progress(1, 1, "b\\udcffd")
                raise ValueError("b\\udcffd.csv is empty")
        """
        error = failure(context, code)
        assert error.message == "ValueError: b?d.csv is empty"
        assert context.messages == ["b?d.csv"]
        assert context.steps == [(1, 1, "b?d")]

    def test_forked_process_may_log_but_not_keep(self, context: FakeContext) -> None:
        code = """
            import os
            def run(context):
                if os.fork() == 0:
                    context.log("info", "from the fork")
                    try:
                        context.write_table([{"a": 1}])
                    except RuntimeError as error:
                        print(error, flush=True)
                    os._exit(0)
                os.wait()
        """
        assert result(context, code) is None
        assert context.messages == [
            "from the fork",
            "context.save works in the stage's own process only, not in one that it forked.",
        ]


class TestEnding:
    def test_cancel_lets_the_code_clean_up(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        code = """
            import os, signal, sys
            def clean(*_):
                os.write(1, b"cleaned\\n")  # print is not reentrant: the signal may come while "ready" is printed
                sys.exit(1)
            signal.signal(signal.SIGTERM, clean)
            print("ready")
            signal.pause()
        """
        assert run(context, code) == Cancelled("cancelled")
        assert context.messages == ["ready", "cleaned"]

    def test_code_that_ignores_the_signal_is_killed_after_the_grace(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        code = """
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("ready")
            while True: signal.pause()
        """
        assert run(context, code, grace="100ms") == Cancelled(killed=True)

    def test_cancel_before_the_start_ends_it(self, context: FakeContext) -> None:
        context.cancel()
        assert isinstance(run(context, "import signal\nsignal.pause()"), Cancelled)

    def test_result_given_while_being_cancelled_does_not_count(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        code = """
            import signal
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            print("ready")
            signal.sigwait({signal.SIGTERM})
            result = 1
        """
        assert run(context, code) == Cancelled("cancelled")

    def test_deadline_ends_it_as_a_timeout(self, context: FakeContext) -> None:
        context.deadline = NOW + timedelta(milliseconds=300)
        error = failure(context, "import signal\nsignal.pause()")
        assert (error.message, error.kind) == ("The stage did not end within its timeout.", "timeout")

    def test_deadline_kills_what_ignores_the_signal(
        self, context: FakeContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        context.deadline = NOW + timedelta(hours=1)
        context.on_line = lambda _: clock.advance(3600)
        code = """
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("ready")
            while True: signal.pause()
        """
        message = "The stage did not end within its timeout and was killed."
        assert failure(context, code, grace="50ms").message == message

    @linux
    @pytest.mark.parametrize("how", ["returns", "cancelled", "crashes", "kills its supervisor"])
    def test_nothing_is_left_behind(self, context: FakeContext, how: str) -> None:
        """A child of the group, and one that double-forked into a session of its own and ignores SIGTERM."""
        code = """
            import os, signal, sys
            def run(context, how):
                told, tell = os.pipe()
                if os.fork() == 0:
                    os.write(tell, b"%d\\n" % os.getpid())
                    while True: signal.pause()
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0:
                        signal.signal(signal.SIGTERM, signal.SIG_IGN)
                        os.write(tell, b"%d\\n" % os.getpid())
                        while True: signal.pause()
                    os._exit(0)
                lines = b""
                while lines.count(b"\\n") < 2:
                    lines += os.read(told, 100)
                print("pids", *lines.split(), os.getpid(), flush=True)
                if how == "cancelled":
                    signal.pause()
                if how == "crashes":
                    os.abort()
                if how == "kills its supervisor":
                    os.kill(os.getppid(), signal.SIGKILL)
                    signal.pause()
        """
        pids: list[int] = []

        def look(line: Line) -> None:
            pids.extend(int(word.strip("b'")) for word in line.message.split()[1:])
            if how == "cancelled":
                context.cancel()

        context.on_line = look
        outcome = run(context, code, args={"how": how})
        assert len(pids) == 3
        # Nobody waits for what a supervisor that was killed leaves: it is killed, and ends a moment later.
        within_ms = 10_000 if how == "kills its supervisor" else 0
        assert [pid for pid in pids if not has_ended(pid, within_ms)] == []
        if how == "kills its supervisor":
            assert isinstance(outcome, Failed)
            assert outcome.error.message == "The stage's process was lost: its supervisor was killed."
            assert outcome.error.kind == "lost"

    @linux
    def test_death_of_the_server_ends_the_stage(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        server = """
            import sys
            from pathlib import Path
            sys.path.insert(0, sys.argv[1])
            from flexiroaster.stages.python import PythonConfig, PythonStage
            from tests.stages.context import FakeContext
            code = "import signal\\nfile = open(path, 'w')\\nprint('up', file=file, flush=True)\\nsignal.pause()"
            config = PythonConfig(code=code, args={"path": sys.argv[2]})
            PythonStage().run(config, FakeContext(Path(sys.argv[3])))
        """
        backend = Path(__file__).parents[2]
        command = [sys.executable, "-c", dedent(server), str(backend), str(fifo), str(tmp_path / "server")]
        with subprocess.Popen(command) as process, fifo.open() as said:
            assert said.readline() == "up\n"
            process.kill()
            assert said.read() == ""  # the end of the stream: the last process that held it is gone

    @linux
    def test_nothing_runs_after_the_last_word(self, context: FakeContext) -> None:
        """Not even code that says it in its own way and goes on."""
        code = """
            import os, signal
            def run(context):
                print(os.getpid(), flush=True)
                context._channel.send(b'{"op": "result", "value": "early"}')
                while True: signal.pause()
        """
        assert result(context, code, grace="10m") == "early"
        assert has_ended(int(context.messages[0]), PATIENCE_MS)

    @linux
    def test_what_was_printed_last_is_not_lost(self, context: FakeContext) -> None:
        for _ in range(20):
            run(context, "import sys\nprint('out')\nprint('err', file=sys.stderr)\nresult = 1")
        assert sorted(context.messages) == ["err"] * 20 + ["out"] * 20

    @linux
    def test_stream_that_somebody_outside_holds_open_is_not_waited_for(
        self, context: FakeContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(process_run, "LATE_SECONDS", 600.0)
        code = """
            import socket
            def run(path):
                print("printed")
                with socket.socket(socket.AF_UNIX) as there:
                    there.connect(path)
                    socket.send_fds(there, [b"my output"], [1])
                return "done"
        """
        path = str(context.data_dirs[0] / "socket")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()  # what was sent is held by the system until somebody accepts it
            assert result(context, code, args={"path": path}) == "done"
        assert context.messages == ["printed"]

    def test_threads_do_not_hold_the_stage_up(self, context: FakeContext) -> None:
        code = """
            import threading
            threading.Thread(target=threading.Event().wait).start()
            result = "done"
        """
        assert result(context, code) == "done"

    def test_exit_handlers_run(self, context: FakeContext) -> None:
        run(context, "import atexit\natexit.register(print, 'bye')\nresult = 1")
        assert context.messages == ["bye"]
