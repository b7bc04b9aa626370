"""What a browser loads before the dashboard's first page shows, against React and its DOM alone."""

from __future__ import annotations

import gzip
import re
import subprocess
import tempfile
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
    """The smallest React page, built by the same Vite."""
    with tempfile.TemporaryDirectory(dir=FRONTEND / "node_modules", prefix=".bench-") as folder:
        root = Path(folder)
        (root / "index.html").write_text('<div id="root"></div><script type="module" src="/main.js"></script>')
        (root / "main.js").write_text(
            "import { createElement } from 'react'\nimport { createRoot } from 'react-dom/client'\n"
            "createRoot(document.getElementById('root')).render(createElement('p', null, 'Hello'))\n"
        )
        vite = FRONTEND / "node_modules" / ".bin" / "vite"
        subprocess.run([vite, "build", root, "--logLevel", "error"], cwd=FRONTEND, check=True)
        return sum(packed(path) for path in (root / "dist" / "assets").glob("*.js"))
