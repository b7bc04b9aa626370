from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flexiroaster.engine.definition import validate
from flexiroaster.engine.errors import StageError, StageFailed
from flexiroaster.engine.outcome import Cancelled, Skipped
from flexiroaster.stages.registry import default_registry
from flexiroaster.stages.shell import ShellConfig, ShellStage
from tests.stages.code import cancel_on, error_of, linux, result_of, shell
from tests.stages.context import NOW, FakeContext


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path, stage_id="report")


def result(context: FakeContext, command: str | list[Any], **config: Any) -> Any:
    return result_of(shell(context, command, **config))


def failure(context: FakeContext, command: str | list[Any], **config: Any) -> StageError:
    return error_of(shell(context, command, **config))


class TestCommand:
    def test_text_is_read_by_a_shell(self, context: FakeContext) -> None:
        assert result(context, "printf 'b\\na\\n' | sort | head -n 1") == {"exit_code": 0, "output": "a"}

    def test_list_is_run_as_it_is(self, context: FakeContext) -> None:
        command = ["printf", "%s|", "$HOME; rm -rf /", "a b", 7, 1.5]
        assert result(context, command)["output"] == "$HOME; rm -rf /|a b|7|1.5|"

    @pytest.mark.parametrize("name", ["sh", "bash"])
    def test_script_ends_at_the_first_command_that_fails(self, context: FakeContext, name: str) -> None:
        error = failure(context, "echo one\nfalse\necho two\n", shell=name)
        assert error.message == "The command ended with status 1."
        assert context.messages == ["one"]

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_bash_notices_a_failure_inside_a_pipe(self, context: FakeContext) -> None:
        assert result(context, "false | cat")["exit_code"] == 0
        assert failure(context, "false | cat", shell="bash").code == "command_failed"

    def test_pipe_whose_reader_leaves_ends_quietly(self, context: FakeContext) -> None:
        assert result(context, "yes | head -n 1") == {"exit_code": 0, "output": "y"}
        assert context.messages == ["y"]

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (["no-such-program"], "There is no program 'no-such-program': give its path, or add its folder to PATH in"),
            (["/etc/passwd"], "The program '/etc/passwd' cannot be started: "),
            ("no-such-program --x", "The command ended with status 127: /bin/sh: 1: no-such-program: not found"),
        ],
    )
    def test_program_that_is_not_there_is_told(
        self, context: FakeContext, command: str | list[str], message: str
    ) -> None:
        assert failure(context, command).message.startswith(message)

    @pytest.mark.parametrize(
        ("config", "sentence"),
        [
            ({}, "Field required"),
            ({"command": ""}, "There is nothing to run"),
            ({"command": []}, "There is nothing to run"),
            ({"command": ["a\0b"]}, "NUL character"),
            ({"command": "a", "env": {"A=B": "x"}}, "cannot be set"),
            ({"command": "a", "env": {"FLEXIROASTER_STAGE_PROCESS": "x"}}, "cannot be set"),
            ({"command": "a", "exit_codes": {"success": [300]}}, "300 is no exit status"),
            ({"command": "a", "timeout": "5s"}, "Extra inputs"),
        ],
    )
    def test_wrong_config_is_refused(self, config: dict[str, Any], sentence: str) -> None:
        with pytest.raises(ValidationError, match=sentence):
            ShellConfig.model_validate(config)

    def test_switched_off_code_stages_start_nothing(self, context: FakeContext) -> None:
        context.code_stages = False
        with pytest.raises(StageFailed, match="FLEXIROASTER_CODE_STAGES=on"):
            shell(context, "touch touched")
        assert list(context.scratch_dir.iterdir()) == []


class TestDefinition:
    def problems(self, config: dict[str, Any], type: str = "shell") -> list[tuple[str, str, str]]:
        document = {
            "id": "p",
            "name": "P",
            "inputs": {"day": {"type": "string"}},
            "stages": [{"id": "s", "type": type, "config": config}],
        }
        report = validate(document, format=None, stage_types=default_registry().types())
        return [(problem.code, problem.path, problem.message) for problem in report.problems]

    @pytest.mark.parametrize(
        ("type", "key", "cure"),
        [
            ("shell", "command", 'Hand it over in `env`, as `DAY: ${{ … }}`, and write "$DAY"'),
            ("python", "code", "Hand it over in `args`, as `day: ${{ … }}`"),
        ],
    )
    def test_value_cannot_be_put_into_code(self, type: str, key: str, cure: str) -> None:
        ((code, path, message),) = self.problems({key: "result = '${{ inputs.day }}'"}, type)
        assert (code, path) == ("expression_not_here", f"stages[0].config.{key}")
        assert message.startswith(f"`{key}` takes no expression: it would be run as part of the ")
        assert cure in message

    @pytest.mark.parametrize(
        "config",
        [
            {"command": ["import", "--day", "${{ inputs.day }}"]},
            {"command": 'import "$DAY"', "env": {"DAY": "${{ inputs.day }}", "COPIES": 2}},
            {"command": "cat", "stdin": {"day": "${{ inputs.day }}"}, "exit_codes": {"skip": []}},
        ],
    )
    def test_value_can_be_handed_over(self, config: dict[str, Any]) -> None:
        assert self.problems(config) == []

    def test_examples_are_valid(self) -> None:
        for example in ShellStage.examples:
            ShellConfig.model_validate(example.config)


class TestSurroundings:
    def test_environment_is_clean(self, context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLEXIROASTER_SECRET_KEY", "hidden")
        context.attempt = 2
        lines = result(context, ["env"], env={"DAY": "2026-01-05", "COPIES": 2, "DRY": False}, output="lines")["output"]
        variables = dict(line.split("=", 1) for line in lines)
        taken_over = {"PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"} & set(os.environ)
        assert variables.pop("FLEXIROASTER_STAGE_PROCESS")
        assert {variables.pop(name) for name in taken_over} == {os.environ[name] for name in taken_over}
        assert variables == {
            "HOME": str(context.scratch_dir),
            "TMPDIR": str(context.scratch_dir),
            "LANG": "C.UTF-8",
            "FLEXIROASTER_EXECUTION_ID": "exe-1",
            "FLEXIROASTER_PIPELINE_ID": "orders",
            "FLEXIROASTER_STAGE_ID": "report",
            "FLEXIROASTER_ATTEMPT": "2",
            "FLEXIROASTER_IDEMPOTENCY_KEY": "exe-1:stage:0",
            "DAY": "2026-01-05",
            "COPIES": "2",
            "DRY": "false",
        }

    def test_value_in_a_variable_is_no_code(self, context: FakeContext) -> None:
        evil = "$(touch touched); `touch touched`\n\"'"
        assert result(context, 'printf %s "$VALUE"', env={"VALUE": evil})["output"] == evil
        assert list(context.scratch_dir.iterdir()) == []

    def test_no_descriptor_of_the_server_is_open(self, context: FakeContext) -> None:
        opened = [
            "/proc/self/fd/0",
            "/proc/self/fd/1",
            "/proc/self/fd/2",
            "/proc/self/fd/3",
        ]  # 3 is the folder it lists
        assert result(context, "echo /proc/self/fd/*")["output"].split() == opened

    def test_starts_in_the_empty_folder(self, context: FakeContext) -> None:
        assert result(context, "pwd; ls -A")["output"] == str(context.scratch_dir)

    @pytest.mark.parametrize(("cwd", "shown"), [(".", "code"), ("jobs", "code/jobs"), ("orders", "data/orders")])
    def test_cwd_is_looked_for_in_code_and_data(self, context: FakeContext, cwd: str, shown: str) -> None:
        (context.code_dirs[0] / "jobs").mkdir()
        (context.data_dirs[0] / "orders").mkdir()
        assert result(context, "pwd", cwd=cwd)["output"] == str(context.root / shown)
        assert result(context, "pwd", cwd=str(context.root / shown))["output"] == str(context.root / shown)

    @pytest.mark.parametrize("cwd", ["/etc", "..", "missing", "link", "jobs/../.."])
    def test_cwd_stays_inside(self, context: FakeContext, cwd: str) -> None:
        (context.code_dirs[0] / "link").symlink_to("/etc")
        (context.code_dirs[0] / "jobs").mkdir()
        with pytest.raises(StageFailed, match="is no folder in those of code or data") as caught:
            shell(context, "pwd", cwd=cwd)
        assert caught.value.suggestion is not None and "FLEXIROASTER_CODE_DIRS" in caught.value.suggestion

    @pytest.mark.parametrize(
        ("stdin", "read"), [("a\nb\n", "a\nb"), ({"a": [1, None]}, '{"a":[1,null]}'), ([], "[]"), (None, "")]
    )
    def test_stdin(self, context: FakeContext, stdin: Any, read: str) -> None:
        assert result(context, ["cat"], stdin=stdin)["output"] == read

    def test_large_stdin_that_nobody_reads_holds_nothing_up(self, context: FakeContext) -> None:
        assert result(context, ["true"], stdin="x" * 5_000_000)["exit_code"] == 0


class TestOutput:
    @pytest.mark.parametrize(
        ("output", "value"),
        [
            ("text", {"output": '[1, 2,\n {"a": "ö"}]'}),
            ("json", {"output": [1, 2, {"a": "ö"}]}),
            ("lines", {"output": ["[1, 2,", ' {"a": "ö"}]']}),
            ("none", {}),
        ],
    )
    def test_output_is_read_as_asked(self, context: FakeContext, output: str, value: Any) -> None:
        command = ["printf", "%s\n", '[1, 2,\n {"a": "ö"}]']
        assert result(context, command, output=output) == {"exit_code": 0, **value}

    def test_output_and_errors_are_logged_as_they_come(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        outcome = shell(context, "echo failing >&2; echo ready; sleep 60")
        assert outcome == Cancelled("cancelled")
        assert {(line.level, line.message) for line in context.lines} == {("warning", "failing"), ("info", "ready")}

    def test_output_that_is_not_json_is_told(self, context: FakeContext) -> None:
        with pytest.raises(StageFailed, match="The output is not JSON: ") as caught:
            shell(context, "echo 'Loading…'; echo '{}'", output="json")
        assert caught.value.code == "output_not_json"

    def test_bytes_that_are_no_text_are_marked(self, context: FakeContext) -> None:
        assert result(context, ["printf", "a\\377\\000b"])["output"] == "a\ufffd\ufffdb"

    def test_output_too_large_for_a_result(self, context: FakeContext) -> None:
        command = "head -c 2000000 /dev/zero | tr '\\0' x"
        assert result(context, command, max_result_mb=1) == {"exit_code": 0}
        with pytest.raises(StageFailed, match=r"too large for a result \(2.0 MB, at most 1 MB\)"):
            shell(context, command, max_result_mb=1, output="text")

    def test_exit_status_counts_before_the_output_is_read(self, context: FakeContext) -> None:
        assert failure(context, "echo no json; exit 3", output="json").details == {"exit_code": 3}


class TestExitStatus:
    def test_failure_tells_status_and_last_error(self, context: FakeContext) -> None:
        error = failure(context, "echo 'reading…' >&2; echo 'orders.csv: no column \"amount\"' >&2; exit 3")
        assert error.message == 'The command ended with status 3: orders.csv: no column "amount"'
        assert (error.code, error.kind, error.details) == ("command_failed", "transient", {"exit_code": 3})

    def test_default_of_skip(self, context: FakeContext) -> None:
        assert shell(context, "exit 99") == Skipped("the command ended with status 99")

    @pytest.mark.parametrize(
        ("codes", "status", "kind"),
        [({}, 1, "transient"), ({"retry": [7, 28]}, 28, "transient"), ({"retry": [7, 28]}, 1, "permanent")],
    )
    def test_retry_codes(self, context: FakeContext, codes: dict[str, Any], status: int, kind: str) -> None:
        assert failure(context, f"exit {status}", exit_codes=codes).kind == kind

    def test_success_codes(self, context: FakeContext) -> None:
        assert result(context, ["grep", "x", "/dev/null"], exit_codes={"success": [0, 1]})["exit_code"] == 1
        assert failure(context, "exit 99", exit_codes={"skip": []}).details == {"exit_code": 99}

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            ("kill -SEGV $$", "The command was ended by signal 11 (SIGSEGV)."),
            ("sh -c 'kill -SEGV $$'; echo", "The command ended with status 139 (SIGSEGV)"),
            ("exit 200", "The command ended with status 200."),
        ],
    )
    def test_signals_are_named(self, context: FakeContext, command: str, message: str) -> None:
        assert failure(context, command).message.startswith(message)


class TestFiles:
    def test_files_are_kept(self, context: FakeContext) -> None:
        command = "mkdir out; echo 1 > out/a.csv; echo 22 > out/b.csv; echo x > notes.txt; echo y > other"
        kept = result(context, command, files=["out/*.csv", "notes.txt", "*.txt"])["files"]
        assert {name: (value["bytes"], value["media_type"]) for name, value in kept.items()} == {
            "out/a.csv": (2, "text/csv"),
            "out/b.csv": (3, "text/csv"),
            "notes.txt": (2, "text/plain"),
        }
        assert sorted(artifact.path.read_text() for artifact in context.artifacts) == ["1\n", "22\n", "x\n"]
        assert kept["notes.txt"]["uri"] == context.artifacts[2].uri

    @pytest.mark.parametrize("pattern", ["missing.txt", "*.pdf", "/etc/passwd", "../data/*", "link"])
    def test_file_that_is_not_there_fails_the_stage(self, context: FakeContext, pattern: str) -> None:
        with pytest.raises(StageFailed):
            shell(context, "ln -s /etc/passwd link", files=[pattern])
        assert context.artifacts == []


class TestEnding:
    def test_timeout(self, context: FakeContext) -> None:
        context.deadline = NOW + timedelta(milliseconds=200)
        error = failure(context, "sleep 60")
        assert (error.message, error.kind) == ("The stage did not end within its timeout.", "timeout")

    def test_cancel_ends_the_whole_group(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        assert shell(context, "sleep 60 & sleep 60 | sleep 60 & echo ready; wait") == Cancelled("cancelled")

    def test_script_may_clean_up(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        shell(context, "trap 'echo cleaned; exit 1' TERM; echo ready; sleep 60 & wait")
        assert context.messages == ["ready", "cleaned"]

    def test_script_that_ignores_the_signal_is_killed(self, context: FakeContext) -> None:
        cancel_on(context, "ready")
        outcome = shell(context, "trap '' TERM; echo ready; while :; do sleep 60; done", grace="100ms")
        assert outcome == Cancelled(killed=True)

    def test_background_processes_end_with_the_script(self, context: FakeContext) -> None:
        """They hold its standard output, which the stage would wait for."""
        assert result(context, "sleep 60 & (setsid sleep 60 &) ; echo done")["output"] == "done"


class TestLimits:
    @linux
    def test_memory(self, context: FakeContext) -> None:
        command = ["python3", "-c", "x = []\nwhile True: x.append(bytes(1 << 20))"]
        error = failure(context, command, memory_mb=64)
        told = {
            "stage killed: memory limit 64 MB",  # its supervisor was faster
            "The command ended with status 1: MemoryError",
        }
        assert error.message in told
        assert error.suggestion is not None and "aise memory_mb" in error.suggestion

    @pytest.mark.parametrize("command", [["python3", "-c", "while True: pass"], "while :; do :; done"])
    def test_processor_time(self, context: FakeContext, command: Any) -> None:
        error = failure(context, command, cpu_seconds=1)
        assert (error.message, error.code) == ("stage killed: processor time limit 1 s", "cpu_limit")

    @linux
    def test_processor_time_of_all_processes_together(self, context: FakeContext) -> None:
        error = failure(context, "for i in 1 2 3 4; do (while :; do :; done) & done; wait", cpu_seconds=1)
        assert error.code == "cpu_limit"

    @pytest.mark.parametrize("command", [["head", "-c", "2M", "/dev/zero"], "head -c 2M /dev/zero > big; echo"])
    def test_file_size(self, context: FakeContext, command: Any) -> None:
        if isinstance(command, list):
            command = ["sh", "-c", "exec dd if=/dev/zero of=big bs=1M count=2 2>/dev/null"]
        error = failure(context, command, file_mb=1)
        assert (error.message, error.code) == ("stage stopped: file limit 1 MB", "file_limit")

    @linux
    def test_number_of_processes(self, context: FakeContext) -> None:
        command = "i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; wait"
        error = failure(context, command, max_processes=20)
        assert (error.message, error.code) == ("stage killed: process limit 20 at a time", "processes_limit")
        assert error.suggestion == "Raise max_processes, or start fewer at a time."

    def test_endless_output(self, context: FakeContext) -> None:
        error = failure(context, ["yes"], max_output_mb=0.1)
        assert (error.message, error.code) == ("stage killed: output limit 10 MB", "output_limit")
        assert any(message.endswith("lines omitted") for message in context.messages)

    def test_result_survives_a_million_lines(self, context: FakeContext) -> None:
        assert len(result(context, ["seq", "1000000"], output="lines")["output"]) == 1_000_000
        assert f"… {1_000_000 - 10_000 - 50:,} lines omitted" in context.messages
        assert context.messages[-1] == "1000000"
