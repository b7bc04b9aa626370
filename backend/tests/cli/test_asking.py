"""`flexiroaster run` of a pipeline that asks a person."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.server import PATIENCE_SECONDS, clean_environment

SOURCE = Path(__file__).parents[2]
ASKING = """
id: prices
name: Prices
stages:
  - id: review
    type: approval
    config: {message: "Publish the prices?", form: {discount: {type: integer, minimum: 0}}}
  - {id: publish, type: noop}
outputs:
  discount: ${{ results.review.values.discount }}
"""
PLAIN = ASKING.replace(", form: {discount: {type: integer, minimum: 0}}", "").replace(".values.discount", ".approved")


def environment(folder: Path) -> dict[str, str]:
    return {**clean_environment(folder), "PYTHONPATH": str(SOURCE), "TERM": "dumb"}


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "prices.yaml").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "flexiroaster", "run", "prices.yaml", *options],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def at_a_terminal(folder: Path, text: str, *answers: tuple[str, str]) -> tuple[int, str]:
    """Type each answer when its question comes on the screen; the exit status and what was shown."""
    (folder / "prices.yaml").write_text(text)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flexiroaster", "run", "prices.yaml"]
    running = subprocess.Popen(command, cwd=folder, env=environment(folder), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, seen, waiting = "", 0, list(answers)
    try:
        while select.select([ours], [], [], PATIENCE_SECONDS)[0]:
            try:
                shown += os.read(ours, 4096).decode(errors="replace")
            except OSError:  # the other side is closed
                break
            if waiting and (place := shown.find(waiting[0][0], seen)) >= 0:
                question, answer = waiting.pop(0)
                seen = place + len(question)
                os.write(ours, answer.encode())
        return running.wait(PATIENCE_SECONDS), shown
    finally:
        running.kill()
        running.wait()
        os.close(ours)


def test_where_nobody_can_be_asked_it_does_not_begin(tmp_path: Path) -> None:
    refused = run(tmp_path, PLAIN)
    assert refused.returncode == 2
    assert "Stage review asks a person, and nobody can be asked here: say --approve review" in refused.stderr
    assert "review" not in refused.stdout


def test_approved_by_an_option(tmp_path: Path) -> None:
    done = run(tmp_path, PLAIN, "--approve", "review")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "discount  true" in done.stdout
    unknown = run(tmp_path, PLAIN, "--approve", "publish")
    assert (unknown.returncode, "'publish' is no approval stage of this pipeline" in unknown.stderr) == (2, True)


def test_an_option_cannot_fill_in_a_form(tmp_path: Path) -> None:
    form = ASKING.replace("{type: integer, minimum: 0}", "{type: integer}")
    done = run(tmp_path, form, "--approve", "review")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "review: " in done.stderr
    assert "cancelled by --approve, which cannot fill in its form" in done.stdout


def test_one_with_a_timeout_decides_by_itself(tmp_path: Path) -> None:
    text = PLAIN.replace('prices?"}', 'prices?", on_timeout: approve}\n    timeout: 50ms')
    done = run(tmp_path, text)
    assert done.returncode == 0, done.stdout + done.stderr


APPROVE = "Approve? [y/N]:"


@pytest.mark.parametrize(
    ("answers", "status", "shown"),
    [
        ([(APPROVE, "y\n"), ("discount:", "10\n")], 0, "discount  10"),
        ([(APPROVE, "y\n"), ("discount:", "-1\n"), (APPROVE, "y\n"), ("discount:", "5\n")], 0, "discount  5"),
        ([(APPROVE, "n\n"), ("Why:", "too low\n")], 1, "local rejected it: too low"),
        ([(APPROVE, "\x04")], 1, "cancelled by Ctrl-D"),
    ],
    ids=["approved", "asked again", "rejected", "given up"],
)
def test_asked_on_the_terminal(tmp_path: Path, answers: list[tuple[str, str]], status: int, shown: str) -> None:
    found, screen = at_a_terminal(tmp_path, ASKING, *answers)
    assert (found, shown in screen) == (status, True), screen
    assert "review: Publish the prices?" in screen
