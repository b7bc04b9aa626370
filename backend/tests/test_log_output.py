"""Log lines: one event, one line, whatever is in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from flexiroaster.log_output import LINE_LIMIT, configure_logs


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    yield
    configure_logs("info", json=False)
    root.handlers, root.level = before[0], before[1]


def test_event_is_one_json_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", json=True)
    structlog.get_logger("x").info("execution.finished", execution="e1", seconds=1.5)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["execution"], line["seconds"], line["level"]) == (
        "execution.finished",
        "e1",
        1.5,
        "info",
    )
    assert line["timestamp"].endswith("Z")


def test_value_from_outside_cannot_fake_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", json=False)
    structlog.get_logger("x").warning("login.failed", email="a\n2026 admin signed in\x1b[2J")
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "\x1b[2J" not in written


def test_long_value_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", json=True)
    structlog.get_logger("x").info("long", value="a" * (LINE_LIMIT + 7))
    assert json.loads(capsys.readouterr().err)["value"].endswith("(7 more characters)")


def test_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", json=True)
    logging.getLogger("some.package").warning("slow %s", "answer")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("slow answer", "warning")


def test_exception_stays_on_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", json=True)
    try:
        raise ValueError("boom")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "ValueError: boom" in json.loads(written)["exception"]


def test_less_severe_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning", json=True)
    structlog.get_logger("x").info("unseen")
    logging.getLogger("x").info("unseen")
    assert capsys.readouterr().err == ""


def test_traceback_on_a_terminal_does_not_show_the_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", json=False)
    password = "correct horse"
    try:
        raise RuntimeError(f"{len(password)} characters")
    except RuntimeError:
        structlog.get_logger().exception("it.broke")
    shown = capsys.readouterr().err
    assert "RuntimeError: 13 characters" in shown
    assert "correct horse" not in shown.replace('password = "correct horse"', "")
