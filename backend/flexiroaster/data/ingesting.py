"""The table to be checked, as Parquet with the wanted types: read where it is, or written once from its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flexiroaster.data.quoting import literal, name
from flexiroaster.data.reading import BROKEN, FILE, ROW, UNPARSED, Opened, ReadOptions, lenient, scan, scan_text
from flexiroaster.data.rules import Rule, any_broken, type_rule
from flexiroaster.data.session import Session
from flexiroaster.data.table import Column, TableRef
from flexiroaster.engine.errors import StageFailed


@dataclass(frozen=True, slots=True)
class Typed:
    """A table whose columns have the wanted types, as a numbered scan of Parquet.

    `rules` are all its rules; those of cells that do not fit their type (they read as NULL) come first. `original`
    gives the text of such cells by column. `broken` is the condition of rows that break a rule of the row, None where
    there is no such rule.
    """

    scan: str
    columns: tuple[Column, ...]
    rules: list[Rule]
    broken: str | None
    original: dict[str, str] = field(default_factory=dict)
    casts: dict[str, str] = field(default_factory=dict)
    """Columns that the Parquet file holds as another type."""
    has_files: bool = False


def typed_columns(source: Opened, wanted: dict[str, str]) -> tuple[Column, ...]:
    return tuple(Column(name=column.name, type=wanted.get(column.name, column.type)) for column in source.ref.columns)


def typed_parquet(source: Opened, wanted: dict[str, str], rules: Sequence[Rule]) -> Typed:
    """A single Parquet file, read where it is: casts happen while reading."""
    columns = typed_columns(source, wanted)
    casts = {**source.options.casts, **wanted}
    types = {column.name: column.type for column in columns}
    raw = {column: name(f"_raw_{position}") for position, column in enumerate(casts)}
    texts = [f"CAST({name(column)} AS VARCHAR) AS {text}" for column, text in raw.items()]
    cast = replace(
        source,
        ref=source.ref.model_copy(update={"columns": columns}),
        options=source.options.model_copy(update={"casts": casts}),
    )
    misfits = {c: f"{text} IS NOT NULL AND {name(c)} IS NULL" for c, text in raw.items()}
    complete = _all_rules(types, misfits, raw, rules)
    numbered = scan(cast, numbered=True, also=texts)
    return Typed(numbered, columns, complete, any_broken(complete), raw, casts=casts)


def ingest(session: Session, source: Opened, wanted: dict[str, str], rules: Sequence[Rule], path: Path) -> Typed:
    """Write the table as one Parquet file with the wanted types.

    This costs little more than loading it into memory, every later look is fast, and what was checked is what later
    stages read, whatever happens to the source. Rows that break a rule are marked on the way: half the work of reading
    the file again for it. Strict reading is a fifth faster, so it is tried first; cells that do not fit are kept as
    text beside the typed columns.
    """
    columns = typed_columns(source, wanted)
    if source.ref.format == "parquet":
        session.write(scan(source), path)
        copy = TableRef(table=path.as_uri(), columns=source.ref.columns)
        return typed_parquet(Opened(copy, ReadOptions(), (path,), None), wanted, rules)
    typed = replace(source, ref=source.ref.model_copy(update={"columns": columns}))
    several = len(source.files) > 1 and source.ref.format == "csv"
    try:
        hidden = _write(session, _with_file(typed, scan) if several else scan(typed), rules, path)
    except StageFailed as error:
        if error.code != "bad_value":
            raise
        return _ingest_leniently(session, typed, rules, path, several=several)
    hidden += [FILE] if several else []
    return Typed(
        _numbered(columns, path, hidden), columns, list(rules), name(BROKEN) if BROKEN in hidden else None,
        has_files=several,
    )  # fmt: skip


def _ingest_leniently(session: Session, source: Opened, rules: Sequence[Rule], path: Path, *, several: bool) -> Typed:
    columns, is_json = source.ref.columns, source.ref.format != "csv"
    text = {c.name: f"({name(c.name)} ->> '$')" if is_json else name(c.name) for c in columns}
    cast = {c.name: _cast_text(c, source.options, text[c.name]) for c in columns if c.type not in ("VARCHAR", "JSON")}
    if is_json:
        floats = [c.name for c in columns if c.type in ("DOUBLE", "FLOAT")]
        cast |= {c: f"CASE WHEN isfinite({cast[c]}) THEN {cast[c]} END" for c in floats}
    misfits = {c: f"{text[c]} IS NOT NULL AND {sql} IS NULL" for c, sql in cast.items()}
    chosen = [
        f"{cast.get(c.name, name(c.name) if c.type == 'JSON' else text[c.name])} AS {name(c.name)}" for c in columns
    ]
    texts = ", ".join(f"{name(c)} := CASE WHEN {condition} THEN {text[c]} END" for c, condition in misfits.items())
    chosen.append(f"CASE WHEN {' OR '.join(misfits.values())} THEN struct_pack({texts}) END AS {name(UNPARSED)}")
    chosen += [name(FILE)] if several else []
    relation = _with_file(source, scan_text) if several else scan_text(source)
    original = {c: f"{name(UNPARSED)}.{name(c)}" for c in cast}
    types = {column.name: column.type for column in columns}
    unfit = {c: f"{original[c]} IS NOT NULL" for c in cast}
    complete = _all_rules(types, unfit, original, rules)
    _write(session, f"SELECT {', '.join(chosen)} FROM ({relation})", complete, path)
    numbered = _numbered(columns, path, [BROKEN, UNPARSED, *([FILE] if several else [])])
    return Typed(numbered, columns, complete, name(BROKEN), original, has_files=several)


def _write(session: Session, query: str, rules: Sequence[Rule], path: Path) -> list[str]:
    """Write a query's rows, marking those that break a rule. Gives the column of the mark."""
    broken = any_broken(rules)
    if broken is None:
        session.write(query, path)
        return []
    session.write(f"SELECT *, CASE WHEN {broken} THEN true END AS {name(BROKEN)} FROM ({query})", path)
    return [BROKEN]


def _all_rules(
    types: dict[str, str], misfits: dict[str, str], original: dict[str, str], rules: Sequence[Rule]
) -> list[Rule]:
    """Rules of types first; a cell that does not fit its type is not reported as empty too."""
    first = [type_rule(column, types[column], broken) for column, broken in misfits.items()]
    return first + [
        replace(rule, broken=f"{rule.broken} AND {original[rule.column]} IS NULL")
        if rule.rule == "not_null" and rule.column in original
        else rule
        for rule in rules
    ]


def _cast_text(column: Column, options: ReadOptions, text: str) -> str:
    """Nested types are cast from the JSON itself, plain ones from the text."""
    nested = ("(" in column.type and not column.type.startswith("DECIMAL")) or column.type.endswith("]")
    return f"TRY_CAST({name(column.name)} AS {column.type})" if nested else lenient(column, options, text)


def _with_file(source: Opened, read: Callable[[Opened], str]) -> str:
    """The scan with each row's file, so that a bad row can be found again."""
    column = source.options.file_column or FILE
    if source.options.file_column:
        return f"SELECT *, {name(column)} AS {name(FILE)} FROM ({read(source)})"
    options = source.options.model_copy(update={"file_column": FILE})
    columns = (*source.ref.columns, Column(name=FILE, type="VARCHAR"))
    return read(replace(source, ref=source.ref.model_copy(update={"columns": columns}), options=options))


def _numbered(columns: Iterable[Column], path: Path, hidden: Sequence[str] = ()) -> str:
    chosen = ", ".join([*(name(column.name) for column in columns), *map(name, hidden)])
    return f"SELECT {chosen}, file_row_number AS {name(ROW)} FROM read_parquet({literal(path)}, file_row_number = true)"
