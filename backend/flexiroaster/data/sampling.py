"""The beginning of a source file, as plain text that DuckDB can look at."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from flexiroaster.data import limits as machine
from flexiroaster.data.expanding import PLAIN, head
from flexiroaster.data.failures import wrong_encoding
from flexiroaster.engine.errors import Location, StageFailed

SAMPLE_BYTES = 2 << 20
SAMPLE_ROWS = 20_480


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of one text file as plain UTF-8, or the file itself where it is plain and needs no copy."""

    source: Path
    file: Path
    shown: str
    start: bytes


def take_sample(file: Path, shown: str, folder: Path, *, gzipped: bool, encoding: str) -> Sample:
    size = SAMPLE_BYTES
    if file.stat().st_size <= machine.current().fully_read_bytes:
        size = machine.current().fully_read_bytes * 4
    raw = head(file, shown, gzipped=gzipped, size=size + 1)
    whole = len(raw) <= size
    text = _decoded(raw[:size], shown, encoding, whole=whole)
    if "\0" in text:
        _refuse_nul(text, shown)
    if encoding in PLAIN and not gzipped:
        return Sample(file, file, shown, raw[:4096])
    cut = text if whole else text[: text.rfind("\n") + 1]
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / file.name.removesuffix(".gz")
    copy.write_text(cut, encoding="utf-8", newline="")
    return Sample(file, copy, shown, cut[:4096].encode())


def _decoded(raw: bytes, shown: str, encoding: str, *, whole: bool) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        if encoding in PLAIN and b"\0" in raw[:200]:
            _refuse_nul(raw.decode("latin-1"), shown)
        raise wrong_encoding(shown, encoding=encoding, line=line, byte=error.start) from error


def _refuse_nul(text: str, shown: str) -> None:
    byte = text.index("\0")
    line = text.count("\n", 0, byte) + 1
    raise StageFailed(
        f"{shown}, line {line}: there is a NUL byte at byte {byte}, so this is not plain text. If the file was "
        "exported as Unicode, set `encoding: utf-16`; otherwise write it again without NUL bytes.",
        code="nul_byte",
        kind="data",
        location=Location(file=shown, line=line),
    )


def inferred(type_name: str) -> str:
    """A column that is empty in the sample, or whose type DuckDB leaves open, is text."""
    return "VARCHAR" if type_name in ("NULL", '"NULL"', "SQLNULL") else type_name
