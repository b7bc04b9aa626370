"""Calls the user's Python function and sends what it gives. `Context` is what the function sees as `context`."""

# pathlib would double the start time
# ruff: noqa: PTH100, PTH118, PTH119, PTH120, PTH123, PTH208

from __future__ import annotations

import _thread
import atexit
import errno
import importlib
import inspect
import json
import linecache
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, NoReturn

PROGRESS_SECONDS = 1.0
LONGEST_MESSAGE = 2000
LEVELS = ("debug", "info", "warning", "error")
MOST_LOG_FRAMES = 20_000
"""More lines than are ever shown; the rest goes through standard output, where the server counts it in passing."""
BROKEN_LIMITS = {errno.EFBIG: "file", errno.EMFILE: "open_files"}
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class StageError(Exception):
    """Raised by `context.fail`."""

    def __init__(self, message: str, kind: str, retry_after_seconds: float | None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds


class Refused(Exception):
    """What the code gave or asked for cannot be taken; the text is the whole message."""


class Channel:
    """The frames to and from the server. A process that the code forks off cannot use it."""

    def __init__(self, fd: int, read: Callable[[int], Any], write: Callable[[int, bytes], None]) -> None:
        self._fd = fd
        self._read = read
        self._write = write
        self._owner = os.getpid()
        self._lock = _thread.allocate_lock()

    @property
    def usable(self) -> bool:
        return os.getpid() == self._owner

    def send(self, body: bytes) -> None:
        with self._lock:
            self._write(self._fd, body)

    def tell(self, op: str, **fields: Any) -> None:
        self.send(as_json({"op": op, **fields}))

    def ask(self, op: str, **fields: Any) -> Any:
        if not self.usable:
            raise RuntimeError(f"context.{op} works in the stage's own process only, not in one that it forked.")
        with self._lock:
            self._write(self._fd, as_json({"op": op, **fields}))
            answer = self._read(self._fd)
        if answer is None:
            raise RuntimeError("The server is gone.")
        if answer.get("errno") in NO_SPACE:
            raise OSError(answer["errno"], answer["error"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]


class Context:
    """What a stage's function gets as `context`.

    `inputs` are the inputs of the execution, `data` what the starter passed, `upstream` the results of the needed
    stages by id. `scratch_dir` is an empty folder of this attempt, removed afterwards.
    """

    def __init__(self, given: dict[str, Any], channel: Channel) -> None:
        self.execution_id: str = given["execution_id"]
        self.pipeline_id: str = given["pipeline_id"]
        self.stage_id: str = given["stage_id"]
        self.index: int = given["index"]
        self.attempt: int = given["attempt"]
        self.idempotency_key: str = given["idempotency_key"]
        self.inputs: dict[str, Any] = given["inputs"]
        self.data: Any = given["data"]
        self.upstream: dict[str, Any] = given["upstream"]
        self.data_dirs: list[str] = given["data_dirs"]
        self.scratch_dir: str = given["scratch_dir"]
        self._channel = channel
        self._next_progress = 0.0
        self._log_frames = 0
        self._tables = 0

    def log(self, level: str, message: object) -> None:
        """A line in the log of the stage; `level` is debug, info, warning or error."""
        if level not in LEVELS:
            raise ValueError(f"The log level {level!r} is unknown: use {', '.join(LEVELS)}.")
        self._log_frames += 1
        if self._channel.usable and self._log_frames <= MOST_LOG_FRAMES:
            self._channel.tell("log", level=level, message=str(message))
        else:
            print(message, flush=not self._channel.usable)  # noqa: T201 - what a forked process prints is log too

    def progress(self, done: float, total: float | None = None, unit: str = "rows") -> None:
        """How far the stage is; sent once a second at most."""
        now = time.monotonic()
        if self._channel.usable and (now >= self._next_progress or done == total):
            self._next_progress = now + PROGRESS_SECONDS
            self._channel.tell("progress", done=done, total=total, unit=unit)

    def table(self, table: str | dict[str, Any]) -> str:
        """The local path of a table: a reference, or the id of a needed stage whose `data` it is."""
        reference = self._reference(table)
        uri = reference["table"]
        if not uri.startswith("file://"):
            return str(self._channel.ask("fetch", uri=uri))
        from urllib.parse import unquote, urlsplit

        return unquote(urlsplit(uri).path)

    def write_table(self, rows: Any, name: str = "data") -> dict[str, Any]:
        """Keep rows as a table and give its reference, to be returned as `data`.

        `rows` are dicts, or a data frame of Polars, pandas or DuckDB.
        """
        self._tables += 1
        stem = os.path.join(self.scratch_dir, f"table-{self._tables}")
        write = getattr(rows, "write_parquet", None) or getattr(rows, "to_parquet", None)
        if write:
            write(f"{stem}.parquet")
            return self._save(f"{stem}.parquet", f"{name}.parquet", kind="table", format="parquet", rows=size(rows))
        count, samples = write_lines(rows, f"{stem}.jsonl")
        return self._save(f"{stem}.jsonl", f"{name}.jsonl", kind="table", format="jsonl", rows=count, samples=samples)

    def keep_file(self, path: str | os.PathLike[str], media_type: str = "application/octet-stream") -> dict[str, Any]:
        """Keep a file of `scratch_dir` as an artifact and give `{artifact_id, uri, bytes, media_type}`."""
        text = os.path.abspath(os.fspath(path))
        return self._save(text, os.path.basename(text), kind="file", media_type=media_type)

    def fail(self, message: str, *, retry: bool = False, retry_after_seconds: float | None = None) -> NoReturn:
        """Fail the stage with a sentence; with `retry` the stage's `retry` may try again."""
        transient = retry or retry_after_seconds is not None
        raise StageError(message, "transient" if transient else "permanent", retry_after_seconds)

    def _reference(self, table: str | dict[str, Any]) -> dict[str, Any]:
        if isinstance(table, str):
            if table not in self.upstream:
                raise KeyError(f"{table!r} is no stage that this one needs.")
            result = self.upstream[table]
            table = result.get("data", {}) if isinstance(result, dict) else result
        if not isinstance(table, dict) or not isinstance(table.get("table"), str):
            raise TypeError(f"Not a table: {shortened(repr(table), 80)}.")
        return table

    def _save(self, path: str, name: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._channel.ask("save", path=path, name=name, **fields)
        return answer


def size(frame: Any) -> int | None:
    try:
        return len(frame)
    except TypeError:
        return None


def write_lines(rows: Iterable[Any], path: str) -> tuple[int, dict[str, list[Any]]]:
    """JSON lines; gives the number of rows and, per column, one value of each type seen."""
    count = 0
    seen: dict[str, dict[type, Any]] = {}
    with open(path, "w", encoding="utf-8") as file:
        for count, row in enumerate(rows, 1):
            line = row if isinstance(row, dict) else {"value": row}
            try:
                text = json.dumps(line, allow_nan=False, default=plain, ensure_ascii=False)
            except (TypeError, ValueError) as error:
                raise ValueError(f"Row {count} cannot be written as JSON: {error}.") from None
            file.write(text + "\n")
            for column, value in line.items():
                seen.setdefault(str(column), {}).setdefault(type(value), sample(value))
    return count, {column: list(types.values()) for column, types in seen.items()}


def sample(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return [] if isinstance(value, (list, tuple, dict)) else ""


def plain(value: Any) -> str:
    """Dates and decimals as text, which JSON has no other way for."""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if type(value).__name__ in {"Decimal", "UUID"}:
        return str(value)
    raise TypeError(f"a {type_name(value)} is no JSON value")


def run_job(job: dict[str, Any], fd: int, read: Callable[[int], Any], write: Callable[[int, bytes], None]) -> None:
    """Run the code of a job and send its result or error as the last frame."""
    channel = Channel(fd, read, write)
    line_by_line()
    body = last_frame(job, channel)
    finish()
    channel.send(body)


def line_by_line() -> None:
    """Print so, that lines are read while the code runs."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def last_frame(job: dict[str, Any], channel: Channel) -> bytes:
    """Run the code; gives what there is to say of its end."""
    spare = bytearray(1 << 16)  # given back when memory runs out, to have room for saying so
    try:
        return result_frame(call(job, Context(job["context"], channel)), job["max_result_bytes"])
    except MemoryError:
        del spare
        return b'{"op": "error", "limit": "memory", "message": "MemoryError"}'
    except BaseException as error:
        return error_frame(error, job)


def finish() -> None:
    """What an ordinary exit would do, except waiting for threads: when the function returns, the stage is over."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the code closed it
            continue


def call(job: dict[str, Any], context: Context) -> Any:
    try:
        if job["code"] is not None:
            return call_inline(job["code"], job["file"], job["args"], context)
        return outcome(entry_function(job["entrypoint"]), job["args"], context)
    except SystemExit as leaving:
        if leaving.code in {None, 0}:
            return None
        raise Refused(f"The code left with sys.exit({leaving.code!r}).") from leaving


def entry_function(entrypoint: str) -> Callable[..., Any]:
    module_name, _, name = entrypoint.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise Refused(f"There is no module {error.name!r} for entrypoint {entrypoint!r} on the path.") from None
        raise
    for part in name.split("."):
        if not hasattr(found, part):
            raise Refused(f"Module {module_name!r} has no {part!r} for entrypoint {entrypoint!r}.")
        found = getattr(found, part)
    if not callable(found):
        raise Refused(f"{entrypoint!r} is a {type_name(found)}, not a function.")
    return found  # type: ignore[no-any-return]


def call_inline(code: str, file: str, args: dict[str, Any], context: Context) -> Any:
    """The code defines `run`, or sets `result`; `context` and the args are names in it."""
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": "__stage__", "__file__": file, "context": context, **args}
    exec(compile(code, file, "exec", dont_inherit=True), names)  # noqa: S102 - this is what the stage is for
    run = names.get("run")
    if callable(run) and "result" not in names:
        return outcome(run, args, context)
    if "result" not in names:
        raise Refused("The code neither defines a function run nor sets result.")
    return names["result"]


def outcome(function: Callable[..., Any], args: dict[str, Any], context: Context | None = None) -> Any:
    given = {"context": context, **args} if takes_context(function) else args
    try:
        value = function(**given)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # it has not begun
            check_fit(function, given)
        raise
    if inspect.iscoroutine(value):
        import asyncio

        return asyncio.run(value)
    return value


def takes_context(function: Callable[..., Any]) -> bool:
    if type(function) is FunctionType and not hasattr(function, "__wrapped__"):  # what `inspect` takes long to find out
        code = function.__code__
        return "context" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return "context" in inspect.signature(function).parameters


def check_fit(function: Callable[..., Any], given: dict[str, Any]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind(**given)
    except TypeError as error:
        raise Refused(f"{function.__name__}{signature} does not fit the stage's args: {error}.") from None


SUSPECT = re.compile(rb"[0-9]{19}|\\u0000")
"""In JSON, of what it can hold and a database cannot: a number beyond 64 bits, which would be rounded, and NUL."""


def result_frame(value: Any, max_bytes: int) -> bytes:
    try:
        body = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):  # also what cannot be encoded as UTF-8
        raise Refused(f"The result is not JSON: {first_problem(value)}.") from None
    except RecursionError:
        raise Refused("The result is not JSON: it is nested too deep.") from None
    except MemoryError:
        if (size := characters(value, max_bytes)) <= max_bytes:
            raise
        raise too_large(size, max_bytes, "more than ") from None
    if len(body) > max_bytes:
        raise too_large(len(body), max_bytes)
    if SUSPECT.search(body) and (problem := first_problem(value)):
        raise Refused(f"The result cannot be kept: {problem}.")
    return b'{"op": "result", "value": ' + body + b"}"


def too_large(size: int, max_bytes: int, about: str = "") -> Refused:
    return Refused(
        f"The result is too large ({about}{size / 1e6:.1f} MB, at most {max_bytes / 1e6:g} MB): "
        f"return context.write_table(rows) or context.keep_file(path), or raise max_result_mb."
    )


def characters(value: Any, enough: int) -> int:
    """How long the JSON of a value is at least; counted no further than `enough`."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, (dict, list, tuple)):
        return 1
    total = 0
    for item in value.items() if isinstance(value, dict) else value:
        total += characters(item, enough - total) + 1
        if total > enough:
            break
    return total


def first_problem(value: Any, path: str = "result", above: tuple[int, ...] = ()) -> str | None:
    """Names the first thing inside a value that JSON cannot hold."""
    if isinstance(value, (dict, list, tuple)):
        if id(value) in above:
            return f"{path} holds itself"
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            if isinstance(value, dict) and not isinstance(key, (str, int, float, bool, type(None))):
                return f"{path} has a key that is a {type_name(key)}"
            if isinstance(key, str) and (problem := unfit(key)):
                return f"{path} has a key that {problem}"
            step = f"[{key}]" if not isinstance(value, dict) else f".{key}" if str(key).isidentifier() else f"[{key!r}]"
            problem = first_problem(item, path + step, (*above, id(value)))
            if problem:
                return problem
        return None
    if isinstance(value, float):
        return None if float("-inf") < value < float("inf") else f"{path} is {value}"
    if isinstance(value, str):
        return f"{path} {problem}" if (problem := unfit(value)) else None
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**64 else f"{path} is a number that does not fit into 64 bits"
    return None if value is None else f"{path} is a {type_name(value)}"


def unfit(text: str) -> str | None:
    """What no database takes."""
    if "\0" in text:
        return "holds the character NUL"
    return "holds a lone surrogate" if any("\ud800" <= char <= "\udfff" for char in text) else None


def type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def error_frame(error: BaseException, job: dict[str, Any]) -> bytes:
    fields: dict[str, Any] = {"op": "error", "message": message(error), "kind": "permanent", "code": "python_error"}
    if isinstance(error, Refused):
        fields["code"] = "python_result"
    elif isinstance(error, StageError):
        fields |= {"kind": error.kind, "code": "stage_failed", "retry_after_seconds": error.retry_after_seconds}
    elif isinstance(error, OSError) and error.errno in BROKEN_LIMITS:
        fields |= {"limit": BROKEN_LIMITS[error.errno], **where(error, job)}
    elif isinstance(error, OSError) and error.errno in NO_SPACE:
        sentence = f"The disk is full: free some space and retry ({fields['message']})."
        fields |= {"message": sentence, "kind": "transient", "code": "disk_full", **where(error, job)}
    else:
        fields["kind"] = "transient" if isinstance(error, (ConnectionError, TimeoutError)) else "permanent"
        fields |= where(error, job)
    return as_json(fields)


def as_json(fields: dict[str, Any]) -> bytes:
    """Text that is no Unicode, as names of files may be, goes as far as it does."""
    return json.dumps(fields, default=str, ensure_ascii=False).encode("utf-8", "replace")


def message(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except Exception:
        text = "(its text cannot be made)"
    text = shortened(text.encode("utf-8", "replace").decode(), LONGEST_MESSAGE)
    if isinstance(error, (Refused, StageError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shortened(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


def where(error: BaseException, job: dict[str, Any]) -> dict[str, Any]:
    """The traceback without our frames, and the last line in the user's own files."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename in OWN_FILES:
        trace = trace.tb_next
    error.with_traceback(trace)
    lines = traceback.format_exception(error, limit=-50)
    text = "".join(line for line in lines if not any(f'File "{own}"' in line for own in OWN_FILES))
    frames: list[tuple[str, int]] = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno or 1))
    mine = [frame for frame in frames if frame[0] == job["file"] or frame[0].startswith(tuple(job["folders"]))]
    file, line = (mine or frames or [("", 0)])[-1]
    for folder in job["folders"]:  # a message is no place for the folders of the server
        text = text.replace(f"{folder}{os.sep}", "")
        file = file.removeprefix(f"{folder}{os.sep}")
    return {"traceback": text, "file": file or None, "line": line or None}


OWN_FILES = (
    *(os.path.join(os.path.dirname(__file__), name) for name in os.listdir(os.path.dirname(__file__))),
    importlib.__file__,
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
)
