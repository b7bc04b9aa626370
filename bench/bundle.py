"""What a browser loads before the dashboard's first page shows, against React and its DOM alone."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

FRONTEND = Path(__file__).parents[1] / "frontend"
DIST = FRONTEND / "dist"
KILOBYTE = 1024
GOAL_KB = 220


def run() -> list[dict[str, Any]]:
    names = first_load((DIST / "index.html").read_text())
    script = sum(packed(DIST / name) for name in names if name.endswith(".js")) / KILOBYTE
    style = sum(packed(DIST / name) for name in names if name.endswith(".css")) / KILOBYTE
    react = bare_react() / KILOBYTE
    return [
        row("first load, JavaScript, gzip", script, react, GOAL_KB),
        row("first load, CSS, gzip", style, None, None),
    ]


def row(metric: str, value: float, limit: float | None, goal: float | None) -> dict[str, Any]:
    return {"workload": "dashboard", "metric": metric, "value": value, "unit": "KB", "limit": limit, "goal": goal}


def first_load(page: str) -> list[str]:
    """Files the page names itself (scripts, preloaded modules, styles), and what those import statically."""
    open_ = re.findall(r'(?:src|href)="/([^"]+\.(?:js|css))"', page)
    found: list[str] = []
    while open_:
        name = open_.pop()
        if name not in found:
            found.append(name)
            open_ += imported(name) if name.endswith(".js") else []
    return found


def imported(name: str) -> list[str]:
    """Chunks a built module imports at once; `import(…)` is loaded later and does not count."""
    text = (DIST / name).read_text()
    folder = Path(name).parent
    static = re.findall(r'(?:^|[;}])\s*import\s*(?:[\w$*{][^;"\'()]*?from\s*)?["\']\./([^"\']+\.js)["\']', text)
    return [(folder / other).as_posix() for other in static]


def packed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9))


def bare_react() -> int:
    """React, its DOM and its scheduler as they are published for production."""
    modules = FRONTEND / "node_modules"
    files = [
        modules / "react" / "cjs" / "react.production.js",
        modules / "react-dom" / "cjs" / "react-dom.production.js",
        modules / "react-dom" / "cjs" / "react-dom-client.production.js",
        modules / "scheduler" / "cjs" / "scheduler.production.js",
    ]
    return sum(packed(path) for path in files)
