"""The built dashboard: one page for every address of the browser, and the files it asks for."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""What is looked for beside a file, the smallest first."""
FOREVER = "public, max-age=31536000, immutable"
ALWAYS_ASK = "no-cache"


def find_dist() -> Path | None:
    """`frontend/dist` of a checkout, else what the wheel carries; None where the dashboard was not built."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "frontend" / "dist", here.parent / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


@dataclass(frozen=True, slots=True)
class BuiltFile:
    path: Path
    media_type: str
    etag: str
    cache: str
    variants: dict[str, Path] = field(default_factory=dict)


class Dashboard:
    """Answers with files of `folder`. Only what was found by walking it is served, so no address can leave it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built_at = 0
        self._files: dict[str, BuiltFile] = {}
        self._look()

    def page(self, request: Request) -> Response:
        self._look()
        return self._send(self._files["index.html"], request)

    def file(self, name: str, request: Request) -> Response | None:
        """The file of that name, None where the build has none."""
        found = self._files.get(name)
        return None if found is None or name == "index.html" else self._send(found, request)

    def _look(self) -> None:
        """Walk the folder again when it was built anew: the page names files by their content."""
        built_at = (self._folder / "index.html").stat().st_mtime_ns
        if built_at != self._built_at:
            self._files = _walk(self._folder)
            self._built_at = built_at

    def _send(self, file: BuiltFile, request: Request) -> Response:
        headers = {"etag": file.etag, "cache-control": file.cache, "vary": "accept-encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        accepted = request.headers.get("accept-encoding", "")
        for encoding, path in file.variants.items():
            if encoding in accepted:
                return FileResponse(path, media_type=file.media_type, headers=headers | {"content-encoding": encoding})
        return FileResponse(file.path, media_type=file.media_type, headers=headers)


def _walk(folder: Path) -> dict[str, BuiltFile]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: _built_file(name, path, paths) for name, path in paths.items() if not name.endswith((".br", ".gz"))}


def _built_file(name: str, path: Path, paths: dict[str, Path]) -> BuiltFile:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return BuiltFile(
        path=path,
        media_type=media_type,
        etag=f'"{hashlib.sha256(path.read_bytes()).hexdigest()[:24]}"',
        # The build puts a hash of the content into the names under assets/.
        cache=FOREVER if name.startswith("assets/") else ALWAYS_ASK,
        variants={encoding: paths[name + suffix] for encoding, suffix in ENCODINGS if name + suffix in paths},
    )
