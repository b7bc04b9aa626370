"""The rules of a table checked on Spark: which rows break which of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlglot import exp

from flexiroaster.data import nodes
from flexiroaster.data.checking import TABLE
from flexiroaster.data.ingesting import Typed
from flexiroaster.data.reading import ROW, Tables
from flexiroaster.data.rules import Rule
from flexiroaster.data.session import OnCancel
from flexiroaster.data.spark.dialect import NotInSpark
from flexiroaster.data.spark.language import SparkSql
from flexiroaster.data.spark.refusing import refuse_unsaid, sentence
from flexiroaster.data.spark.running import Run
from flexiroaster.data.spark.types import quoted
from flexiroaster.data.spark.typing import annotate
from flexiroaster.data.table import Column

_FILE = "checked_file"
_NUMBER = "file_row_number"
_COLUMNS = (Column(name=ROW, type="BIGINT"), Column(name="rule", type="INTEGER"))


@contextmanager
def broken_rows(
    typed: Typed,
    file: Path,
    tables: Tables,
    foreign: Mapping[str, tuple[str, str]],
    scratch: Path,
    on_cancel: OnCancel | None = None,
) -> Iterator[str]:
    """A DuckDB query, for the block, of the numbers of rows and rules. Call `checking.begin` first.

    `file` is the Parquet file that `typed` scans. `foreign` gives the table and column that rules refer to, by the name
    that their conditions have for its values.
    """
    with Run(tables, scratch, on_cancel) as run:
        run.register(table for table, _ in foreign.values())
        run.read_file(_FILE, file, _NUMBER)
        yield run.write(_query(typed, tables, foreign), _COLUMNS)


def _query(typed: Typed, tables: Tables, foreign: Mapping[str, tuple[str, str]]) -> str:
    parts = [f"{TABLE} AS ({_said(_scan(typed), 'The table', tables)})"]
    for values, (table, column) in foreign.items():
        parts.append(
            f"{quoted(values)} AS (SELECT {quoted(column)} FROM {quoted(table)} WHERE {quoted(column)} IS NOT NULL)"
        )
    found = [*_conditions(typed.rules, tables), *_repeated(typed.rules)]
    none = f"SELECT CAST(NULL AS BIGINT) AS {quoted(ROW)}, 0 AS rule WHERE FALSE"
    return f"WITH {', '.join(parts)} {' UNION ALL '.join(found) or none}"


def _scan(typed: Typed) -> exp.Select:
    """The scan of the typed table, over the file as Spark knows it."""
    scan = nodes.parsed(typed.scan)
    assert isinstance(scan, exp.Select)
    scan.find(exp.From).set("this", nodes.table(_FILE))  # type: ignore[union-attr]
    return scan


def _conditions(rules: Sequence[Rule], tables: Tables) -> Iterator[str]:
    """One scan for all; a rule that looks into another table has one of its own, as Spark wants it in a WHERE."""
    together = []
    for number, rule in enumerate(rules):
        if rule.broken is None:
            continue
        query = nodes.parsed(f"SELECT 1 FROM {TABLE} WHERE {rule.broken}")
        assert isinstance(query, exp.Select)
        said = _said(query, f"Rule '{rule.label}'", tables).partition(" WHERE ")[2]
        if len(list(query.find_all(exp.Select))) > 1:
            yield f"SELECT {quoted(ROW)}, {number} AS rule FROM {TABLE} WHERE {said}"
        else:
            together.append((number, said))
    if together:
        cases = ", ".join(f"CASE WHEN {said} THEN {number} END" for number, said in together)
        yield (
            f"SELECT {quoted(ROW)}, rule FROM {TABLE} LATERAL VIEW explode(array({cases})) found AS rule "
            "WHERE rule IS NOT NULL"
        )


def _repeated(rules: Sequence[Rule]) -> Iterator[str]:
    for number, rule in enumerate(rules):
        if rule.unique_over:
            keys = ", ".join(map(quoted, rule.unique_over))
            present = " AND ".join(f"{quoted(column)} IS NOT NULL" for column in rule.unique_over)
            yield (
                f"SELECT {quoted(ROW)}, {number} AS rule FROM (SELECT {quoted(ROW)}, row_number() OVER (PARTITION BY "
                f"{keys} ORDER BY {quoted(ROW)}) AS occurrence FROM {TABLE} WHERE {present}) WHERE occurrence > 1"
            )


def _said(query: exp.Select, where: str, tables: Tables) -> str:
    refuse_unsaid(query, where)
    annotate(query, tables.session.columns)
    try:
        return query.sql(dialect=SparkSql, comments=False)
    except NotInSpark as error:
        raise sentence(where, error.what, error.cure) from error
