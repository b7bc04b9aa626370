"""Compressed or unusually encoded text files become plain UTF-8 in the scratch folder, within bounds."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from flexiroaster.data.failures import disk_full, wrong_encoding
from flexiroaster.data.limits import Limits
from flexiroaster.engine.errors import Location, StageFailed

_CHUNK = 1 << 20
_RATIO_COUNTS_FROM = 64 << 20
PLAIN = frozenset({"utf-8", "ascii"})


def codec(encoding: str) -> str:
    """The codec's one name (`UTF8` → `utf-8`, `latin-1` → `iso8859-1`). Raises StageFailed for unknown ones."""
    try:
        info = codecs.lookup(encoding)
    except LookupError as error:
        raise StageFailed(
            f"There is no encoding {encoding!r}: use utf-8, utf-16, latin-1, cp1252 or another Python codec.",
            code="unknown_encoding",
        ) from error
    if not getattr(info, "_is_text_encoding", True):
        raise StageFailed(f"{encoding!r} is not a text encoding.", code="unknown_encoding")
    return info.name


def head(path: Path, shown: str, *, gzipped: bool, size: int) -> bytes:
    """The first `size` bytes of the (decompressed) file."""
    with path.open("rb") as file:
        if not gzipped:
            return file.read(size)
        return b"".join(_within(_inflate(file, shown), size))


def expand(
    path: Path,
    target: Path,
    shown: str,
    *,
    gzipped: bool,
    encoding: str,
    limits: Limits,
    cancelled: threading.Event | None = None,
) -> Path:
    """Write the file as plain UTF-8 to `target`; stops at the limits, at the first undecodable byte, on cancel."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("rb") as file, target.open("wb") as out:
            chunks = _inflate(file, shown) if gzipped else iter(lambda: file.read(_CHUNK), b"")
            bounded = _bounded(chunks, path.stat().st_size, shown, limits)
            for chunk in bounded if encoding in PLAIN else _to_utf8(bounded, encoding, shown):
                if cancelled is not None and cancelled.is_set():
                    raise StageFailed(
                        "The stage was stopped while a file was read.", code="cancelled", kind="cancelled"
                    )
                out.write(chunk)
    except OSError as error:
        target.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise disk_full(f"the expanded copy of {shown}") from error
        raise
    except StageFailed:
        target.unlink(missing_ok=True)
        raise
    return target


def _inflate(file: io.BufferedReader, shown: str) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as inflated:
            while chunk := inflated.read(_CHUNK):
                yield chunk
    except (gzip.BadGzipFile, zlib.error) as error:
        raise StageFailed(
            f"{shown} is not a gzip file or is damaged: compress it again, or remove `.gz` from its name.",
            code="bad_gzip",
            kind="data",
            location=Location(file=shown),
        ) from error
    except EOFError as error:
        raise StageFailed(
            f"{shown} ends in the middle of its compressed data: it was cut off; copy or download it again.",
            code="bad_gzip",
            kind="data",
            location=Location(file=shown),
        ) from error


def _within(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


def _bounded(chunks: Iterator[bytes], packed: int, shown: str, limits: Limits) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        bomb = total > _RATIO_COUNTS_FROM and total > packed * limits.expanded_ratio
        if bomb or total > limits.expanded_bytes:
            raise StageFailed(
                f"{shown} expands from {packed:,} to more than {total:,} bytes, which looks like a decompression bomb. "
                "If the file is right, decompress it yourself and use the plain file.",
                code="expands_too_much",
                kind="data",
                location=Location(file=shown),
            )
        yield chunk


def _to_utf8(chunks: Iterator[bytes], encoding: str, shown: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    bytes_before, lines_before, first = 0, 0, True
    for chunk in _and_last(chunks):
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line = lines_before + error.object[: error.start].count(b"\n") + 1
            byte = bytes_before - pending + error.start
            raise wrong_encoding(shown, encoding=encoding, line=line, byte=byte) from error
        bytes_before += len(chunk)
        lines_before += text.count("\n")
        yield (text.removeprefix("\ufeff") if first else text).encode()
        first = first and not text


def _and_last(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b""
