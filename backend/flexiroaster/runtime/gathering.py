"""The result of a foreach stage, joined as text: as objects, the results of 100,000 items would fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson
from pydantic import ValidationError

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.data.table import TableRef, is_table
from flexiroaster.engine.foreach import ItemGroup, items
from flexiroaster.runtime.attempt import Attempt, World
from flexiroaster.services.stage_runs import INLINE_BYTES, Produced
from flexiroaster.store.items import ItemResult

MOST_BYTES = 16_000_000
"""Of the list of results, and of `data`: whoever reads them has them in memory as a whole."""
MOST_TABLES = 1_000
"""Tables that are put together by reference: each is a file that the next stage opens."""


def gather(attempt: Attempt, group: ItemGroup, results: Iterator[ItemResult], world: World) -> Produced:
    """`{count, succeeded, failed, skipped, items, data?}`; `items` has null where an item left no result."""
    counts = {"count": group.total, "succeeded": group.success, "failed": group.failed, "skipped": group.skipped}
    listed, data = _List(), _Data(attempt)
    for result in results:
        text = result.value.encode() if result.value is not None else _spilled(world, result)
        listed.fill(result.index - 1)
        listed.add(text, 1)
        data.put(text)
    listed.fill(group.total)
    told = {**counts, **_left_out(attempt, group, listed)}
    table, rows = data.table, data.rows
    whole = _Whole({**told, "data": table.to_json()} if table else told)
    if not listed.overflowed:
        whole.add("items", listed)
    if rows is not None:
        whole.add("data", rows)
    return whole.produced(attempt, world, {**told, "data": _briefly(table)} if table else told)


def _spilled(world: World, result: ItemResult) -> bytes:
    if result.artifact_id is None:
        return b"null"
    return orjson.dumps(world.read_spilled(result.artifact_id))


def _left_out(attempt: Attempt, group: ItemGroup, listed: _List) -> dict[str, str]:
    if not listed.overflowed:
        return {}
    sentence = (
        f"The results of the {items(group.total)} are larger than {MOST_BYTES // 1_000_000} MB together and are not "
        "listed: let the items answer less, or write tables or files."
    )
    attempt.log("warning", sentence)
    return {"items_omitted": sentence}


class _List:
    """A JSON list in the making, up to `MOST_BYTES`."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.count = 0
        self.overflowed = False

    def add(self, text: bytes, count: int) -> None:
        """Members as they stand in the list."""
        self.overflowed = self.overflowed or len(self.text) + len(text) > MOST_BYTES
        if self.overflowed or not count:
            return
        if self.count:
            self.text += b","
        self.text += text
        self.count += count

    def fill(self, until: int) -> None:
        missing = until - self.count
        if missing > 0:
            self.add(b",".join([b"null"] * missing), missing)


class _Data:
    """The `data` of all results as one: lists joined, tables put together by reference; None where they differ."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._rows = _List()
        self._tables: list[TableRef] = []
        self._fits = True
        self._any = False

    def put(self, text: bytes) -> None:
        if not self._fits:
            return
        self._any = True
        result = orjson.loads(text) if b'"data"' in text else None
        data = result.get("data") if isinstance(result, dict) else None
        if isinstance(data, list) and not self._tables:
            self._rows.add(orjson.dumps(data)[1:-1], len(data))
            self._fits = not self._rows.overflowed
        elif is_table(data) and self._rows.count == 0:
            self._fits = self._takes(data)
        else:
            self._fits = False

    @property
    def table(self) -> TableRef | None:
        if not (self._fits and self._tables):
            return None
        first = self._tables[0]
        paths = [path for table in self._tables for path in (table.options.get("paths") or [table.table])]
        if len(paths) == 1:
            return first
        return first.model_copy(
            update={
                "rows": _sum([table.rows for table in self._tables]),
                "bytes": _sum([table.bytes for table in self._tables]),
                "artifact_id": None,
                "options": {"paths": paths},
            }
        )

    @property
    def rows(self) -> _List | None:
        return self._rows if self._fits and self._any and not self._tables else None

    def _takes(self, data: Any) -> bool:
        """Whether a table can be read as one with those before it: Parquet files with the same columns, as they are."""
        try:
            table = TableRef.model_validate(data)
        except ValidationError:
            return False
        self._tables.append(table)
        if len(self._tables) > MOST_TABLES:
            self._attempt.log("warning", f"More than {MOST_TABLES:,} tables are not put together as `data`.")
            return False
        plain = table.without is None and table.equals is None and set(table.options) <= {"paths"}
        return plain and table.format == "parquet" and table.columns == self._tables[0].columns


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


class _Whole:
    """The result's JSON, piece by piece."""

    def __init__(self, head: dict[str, Any]) -> None:
        self._pieces: list[bytes | bytearray] = [orjson.dumps(head)[:-1]]

    def add(self, name: str, values: _List) -> None:
        self._pieces += [f',"{name}":['.encode(), values.text, b"]"]

    def produced(self, attempt: Attempt, world: World, told: dict[str, Any]) -> Produced:
        """`told` is what events say of a result that is too large to be kept inline."""
        pieces = [*self._pieces, b"}"]
        if sum(map(len, pieces)) <= INLINE_BYTES:
            text = b"".join(pieces)
            return Produced(result=orjson.loads(text), result_json=text.decode())
        with (
            attempt.artifact("result.json", kind="result", media_type="application/json") as draft,
            draft.path.open("wb") as file,
        ):
            file.writelines(pieces)
        read = partial(_read, world.artifacts, attempt.kept[-1].key)
        return Produced(result=told, spilled_to=draft.id, read=read)


def _briefly(table: TableRef) -> dict[str, Any]:
    return {"rows": table.rows, "bytes": table.bytes, "schema": [column.model_dump() for column in table.columns]}


def _read(artifacts: ArtifactStore, key: str) -> Any:
    return orjson.loads(artifacts.local_path(key).read_bytes())
