"""The stage that runs a command in processes of its own."""

from __future__ import annotations

import fnmatch
import mimetypes
import os
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import Field, field_validator

from flexiroaster.engine.errors import StageError, StageFailed
from flexiroaster.engine.outcome import Failed, Outcome, Skipped, Succeeded
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample
from flexiroaster.stages.process.attempt import CodeAttempt, signal_name
from flexiroaster.stages.process.config import ProcessConfig, size
from flexiroaster.stages.process.keep import MOST_FILES, Keeper, within
from flexiroaster.stages.process.output import LineReader, shown
from flexiroaster.stages.process.run import Ending, Handlers

SHELLS: Mapping[str, list[str]] = {
    "sh": ["/bin/sh", "-e", "-c"],
    "bash": ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"],
}
"""Both end at the first command that fails: a script that goes on after it looks like a success."""
OF_A_SIGNAL = 128
"""A shell ends with this and the number of the signal that ended its command."""
_OUT_OF_MEMORY = re.compile(rb"[Cc]annot allocate memory|[Oo]ut of memory|memory exhausted|bad_alloc|MemoryError")

ExitStatus = Field(ge=0, le=255)


class ExitCodes(StageConfig):
    """What the exit status of the command means; any that is named nowhere is a failure."""

    success: list[int] = Field([0], description="It succeeded.")
    skip: list[int] = Field([99], description="There was nothing to do: the stage counts as skipped.")
    retry: list[int] | None = Field(
        None, description="It failed, and another try may help (see `retry` of the stage). By default any failure may."
    )

    @field_validator("success", "skip", "retry")
    @classmethod
    def _statuses(cls, codes: list[int] | None) -> list[int] | None:
        for code in codes or ():
            if not 0 <= code <= 255:
                raise ValueError(f"{code} is no exit status: they are 0 to 255.")
        return codes


class ShellConfig(ProcessConfig):
    command: str | list[str | int | float] = Field(
        description="Text for a shell, or a list of a program and its arguments, which no shell reads.",
        examples=["sort orders.csv | head -n 10", ["python3", "import.py", "--day", "${{ inputs.day }}"]],
        json_schema_extra={
            "x-literal": "it would be run as part of the command. Hand it over in `env`, as `DAY: ${{ … }}`, and write "
            '"$DAY", or give `command` as a list'
        },
    )
    shell: Literal["sh", "bash"] = Field(
        "sh",
        description="What reads `command` when it is text. Both end at the first command that fails (`-e`), bash also "
        "when that is inside a pipe (`pipefail`).",
    )
    cwd: str | None = Field(
        None,
        min_length=1,
        description="Where it runs: a folder of the project's code or of the data folders; `.` is the first of the "
        "code. By default an empty folder, which is removed afterwards.",
    )
    stdin: Any = Field(None, description="What it reads from standard input: text, or any value, as JSON.")
    output: Literal["text", "json", "lines", "none"] | None = Field(
        None,
        description="How its standard output is read for the result: as it is, as JSON, as a list of lines. By default "
        "as text, and left out when it is larger than `max_result_mb`.",
    )
    exit_codes: ExitCodes = Field(
        default_factory=lambda: ExitCodes.model_validate({}), description="What its exit status means."
    )
    files: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="Files to keep as artifacts: names or patterns such as `*.pdf`, in the empty folder it runs in.",
    )

    @field_validator("command")
    @classmethod
    def _something_to_run(cls, command: str | list[str | int | float]) -> str | list[str | int | float]:
        parts = [command] if isinstance(command, str) else [str(part) for part in command]
        if not parts or not parts[0].strip():
            raise ValueError("There is nothing to run: give a command.")
        if any("\0" in part for part in parts):
            raise ValueError("A command cannot hold a NUL character.")
        return command

    @property
    def arguments(self) -> list[str]:
        if isinstance(self.command, str):
            return [*SHELLS[self.shell], self.command]
        return [str(part) for part in self.command]


class ShellStage(Stage):
    type = "shell"
    summary = "Runs a command or a shell script."
    description = (
        "The result is `{exit_code, output}`, with `files` when files are kept. What the command prints becomes log "
        "lines, those of standard error as warnings. A text is read by a shell and may not hold `${{ }}`: values come "
        'in as variables (`env`) and are written in quotes, `"$DAY"`; a list is run as it is, without a shell.\n\n'
        "The command starts in an empty folder, which is also its `HOME` and `TMPDIR`, with a clean environment that "
        "has `FLEXIROASTER_EXECUTION_ID`, `FLEXIROASTER_PIPELINE_ID`, `FLEXIROASTER_STAGE_ID`, `FLEXIROASTER_ATTEMPT` "
        "and `FLEXIROASTER_IDEMPOTENCY_KEY`. Its limits hold for all it starts; on cancel and timeout it is asked to "
        "end, then killed after `grace`, and nothing that it has started outlives it."
    )
    Config = ShellConfig
    runs_code = True
    examples = (
        StageExample(
            "A script of the project",
            {"command": 'sh import.sh "$DAY"', "cwd": ".", "env": {"DAY": "${{ inputs.day }}"}, "output": "lines"},
            "`import.sh` lies in the project's folder.",
        ),
        StageExample(
            "A program that answers JSON",
            {
                "command": ["jq", "-c", "{total: (map(.amount) | add)}"],
                "stdin": "${{ results.orders }}",
                "output": "json",
            },
            "Without a shell nothing has to be quoted. `results.<id>.output.total` is the sum.",
        ),
        StageExample(
            "Make a file, or skip",
            {
                "command": 'test -s "$SOURCE" || exit 99\npdftotext "$SOURCE" report.txt',
                "env": {"SOURCE": "${{ inputs.path }}"},
                "files": ["report.txt"],
            },
        ),
    )

    def run(self, config: ShellConfig, context: StageContext) -> Outcome:
        return ShellAttempt(config, context).outcome()


class ShellAttempt(CodeAttempt):
    """One run of a shell stage."""

    def __init__(self, config: ShellConfig, context: StageContext) -> None:
        super().__init__(config, context)
        self._shell = config
        self._output = Output(config)
        self._last_error = LastLine()

    def outcome(self) -> Outcome:
        stdout, stderr = LineReader(self.log), LineReader(self.log, "warning")

        def hear_stdout(chunk: bytes) -> None:
            self._output.feed(chunk)
            stdout.feed(chunk)

        def hear_stderr(chunk: bytes) -> None:
            self._last_error.feed(chunk)
            stderr.feed(chunk)

        with standard_input(self._shell.stdin, self._context) as stdin:
            ending = self.run(
                lambda: {"command": self._shell.arguments},
                Handlers(hear_stdout, hear_stderr),
                env=self._names(),
                folder=self._folder(),
                stdin=stdin,
            )
        stdout.close()
        stderr.close()
        self.log.close()
        return self.cut_short(ending) or self._judged(ending)

    def _names(self) -> dict[str, str]:
        context = self._context
        return {
            "FLEXIROASTER_EXECUTION_ID": context.execution_id,
            "FLEXIROASTER_PIPELINE_ID": context.pipeline_id,
            "FLEXIROASTER_STAGE_ID": context.stage_id,
            "FLEXIROASTER_ATTEMPT": str(context.attempt),
            "FLEXIROASTER_IDEMPOTENCY_KEY": context.idempotency_key,
        }

    def _folder(self) -> str | None:
        if self._shell.cwd is None:
            return None
        return str(folder_of(self._shell.cwd, (*self._context.code_dirs, *self._context.data_dirs)))

    def _judged(self, ending: Ending) -> Outcome:
        if ending.final is not None:  # it was never started
            return Failed(StageError(str(ending.final["message"]), str(ending.final["code"])))
        assert ending.status is not None
        status, codes = exit_status(ending.status), self._shell.exit_codes
        if status in codes.skip:
            return Skipped(f"the command ended with status {status}")
        if status not in codes.success:
            return Failed(self._failure(ending.status, status))
        result: dict[str, Any] = {"exit_code": status, **self._output.result()}
        if self._shell.files:
            result["files"] = self._kept()
        return Succeeded(result)

    def _failure(self, wait_status: int, status: int) -> StageError:
        limit = {signal.SIGXCPU: "cpu", signal.SIGXFSZ: "file"}.get(status - OF_A_SIGNAL)  # type: ignore[call-overload]
        if limit is not None:
            return self._shell.breach(limit)
        codes = self._shell.exit_codes.retry
        said = shown(self._last_error.text)
        memory = _OUT_OF_MEMORY.search(self._last_error.text) is not None
        return StageError(
            f"The command {how_it_ended(wait_status)}{f': {said}' if said else '.'}",
            "command_failed",
            "transient" if codes is None or status in codes else "permanent",
            suggestion=f"It may have met its memory limit of {size(self._shell.memory_mb)}: raise memory_mb."
            if memory
            else None,
            details={"exit_code": status},
        )

    def _kept(self) -> dict[str, Any]:
        keeper, scratch = Keeper(self._context), self._context.scratch_dir
        kept = {}
        for name in list(matching(scratch, self._shell.files)):
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            kept[name] = keeper.file(within(scratch, scratch / name), name, media_type)
        return kept


class Output:
    """Standard output, kept for the result within its limit."""

    def __init__(self, config: ShellConfig) -> None:
        self._how = config.output
        self._most = config.result_bytes
        self._megabytes = config.max_result_mb
        self._kept = bytearray()
        self._seen = 0

    def feed(self, chunk: bytes) -> None:
        self._seen += len(chunk)
        if self._how != "none":
            self._kept += chunk[: max(0, self._most - len(self._kept))]

    def result(self) -> dict[str, Any]:
        """What is added to the result. Raises StageFailed when the output is not what it should be."""
        if self._how == "none" or (self._how is None and self._seen > self._most):
            return {}
        if self._seen > self._most:
            raise StageFailed(
                f"The output is too large for a result ({self._seen / 1e6:.1f} MB, at most {self._megabytes:g} MB).",
                code="result_too_large",
                suggestion="Write it to a file and name it in files, or raise max_result_mb.",
            )
        text = self._kept.decode("utf-8", "replace").replace("\0", "\ufffd")
        match self._how:
            case "json":
                return {"output": self._json()}
            case "lines":
                return {"output": text.splitlines()}
            case _:
                return {"output": text.rstrip("\n")}

    def _json(self) -> Any:
        try:
            return orjson.loads(self._kept)
        except orjson.JSONDecodeError as error:
            raise StageFailed(
                f"The output is not JSON: {error}.",
                code="output_not_json",
                suggestion="Print nothing else on standard output, or set output: text.",
            ) from error


class LastLine:
    """The last line of a stream that is not empty: it usually says why."""

    LONGEST = 500

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk[-2 * self.LONGEST :])[-2 * self.LONGEST :]

    @property
    def text(self) -> bytes:
        return self._tail.rstrip().rpartition(b"\n")[2][-self.LONGEST :]


@contextmanager
def standard_input(given: Any, context: StageContext) -> Iterator[int | None]:
    """A descriptor to read the value from, None where there is none."""
    if given is None:
        yield None
        return
    with tempfile.TemporaryFile(dir=context.scratch_dir) as file:
        file.write(given.encode() if isinstance(given, str) else orjson.dumps(given, option=orjson.OPT_NON_STR_KEYS))
        file.seek(0)
        yield file.fileno()


def folder_of(cwd: str, allowed: tuple[Path, ...]) -> Path:
    """The folder that `cwd` names: relative to the first of the allowed ones that has it."""
    for root in allowed:
        path = (root / cwd).resolve()
        if path.is_dir() and any(path.is_relative_to(each.resolve()) for each in allowed):
            return path
    raise StageFailed(
        f"cwd: {cwd!r} is no folder in those of code or data.",
        code="no_such_folder",
        suggestion="An administrator names them in FLEXIROASTER_CODE_DIRS and FLEXIROASTER_DATA_DIRS.",
    )


def matching(folder: Path, patterns: list[str]) -> Iterator[str]:
    """The files that fit, each once, by the order of the patterns. Raises StageFailed for a pattern that fits none."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    given: dict[str, None] = {}
    for pattern in patterns:
        fitting = fnmatch.filter(names, pattern)
        if not fitting:
            raise StageFailed(
                f"files: the command has left no file {pattern!r}.",
                code="no_such_file",
                suggestion="Files are looked for in the empty folder it starts in, which $HOME names.",
            )
        given |= dict.fromkeys(fitting)
    if len(given) > MOST_FILES:
        raise StageFailed(f"files: {len(given):,} files fit, at most {MOST_FILES:,} are kept.", code="too_many_files")
    yield from given


def exit_status(wait_status: int) -> int:
    """As a shell counts it."""
    if os.WIFSIGNALED(wait_status):
        return OF_A_SIGNAL + os.WTERMSIG(wait_status)
    return os.WEXITSTATUS(wait_status)


def how_it_ended(wait_status: int) -> str:
    status = exit_status(wait_status)
    if os.WIFSIGNALED(wait_status):
        return f"was ended by signal {os.WTERMSIG(wait_status)} ({signal_name(os.WTERMSIG(wait_status))})"
    if status > OF_A_SIGNAL and status - OF_A_SIGNAL in set(signal.Signals):
        return f"ended with status {status} ({signal_name(status - OF_A_SIGNAL)})"
    return f"ended with status {status}"
