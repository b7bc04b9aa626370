"""The dashboard in a real browser, against a real server: the scripts in frontend/e2e."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flexiroaster.web.dashboard import find_dist
from tests.system.server import ServerProcess

FRONTEND = Path(__file__).parents[3] / "frontend"
PATIENCE_SECONDS = 280


@pytest.mark.browser
def test_first_day_from_link_to_success_and_to_a_cause(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, options=()) as server:
        play("first-run.mjs", tmp_path, SIGN_IN=server.ready["sign_in"])


def play(script: str, folder: Path, **environment: str) -> None:
    """Run a script of frontend/e2e to its end; what it says is what the test says."""
    assert find_dist() is not None, "the dashboard is not built: run `make setup`"
    node = shutil.which("node")
    assert node is not None, "there is no node on the PATH: run `make setup`, and put .venv/bin on the PATH"
    done = subprocess.run(
        [node, f"e2e/{script}"],
        cwd=FRONTEND,
        env=dict(os.environ) | {"SCREENSHOTS": str(folder / "screenshots")} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nPictures: {folder / 'screenshots'}"
