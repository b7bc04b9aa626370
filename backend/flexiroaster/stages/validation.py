"""The stage that checks a table and sets bad rows aside."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from flexiroaster.data import checking, records
from flexiroaster.data.checking import Checked
from flexiroaster.data.confinement import uri_path
from flexiroaster.data.ingesting import Typed, ingest, typed_columns, typed_parquet
from flexiroaster.data.quoting import name
from flexiroaster.data.reading import Opened, Tables
from flexiroaster.data.rules import Check, ColumnRules, Rule, check_rules, column_rules, known_column, unique
from flexiroaster.data.table import TableRef
from flexiroaster.data.types import duckdb_type, is_moment
from flexiroaster.engine.errors import Location, StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.engine.plurals import counted
from flexiroaster.stages.base import ArtifactDraft, Stage, StageConfig, StageContext, StageExample
from flexiroaster.stages.tables import ENGINE, PARQUET_MEDIA_TYPE, Engine, as_table, given_table, open_tables, result_of

INPUT = "input"
_DURATION = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class RowCount(StageConfig):
    """How many rows the table may have."""

    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)


class Freshness(StageConfig):
    """The newest value of a time column may not be older than this."""

    column: str
    max_age: str = Field(pattern=r"^\d+[smhd]$", description="Such as `90s`, `30m`, `6h`, `2d`.")


class ValidationConfig(StageConfig):
    """Rules for records, columns, rows and the table."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    data: Any = Field(
        None, description="The table: `${{ results.<stage>.data }}`. Left out, it is the one needed stage's."
    )
    schema_: dict[str, Any] | None = Field(
        None,
        alias="schema",
        description="A JSON Schema for each record; with `type: array` for the table, its `items` for each record.",
    )
    columns: dict[str, ColumnRules] = Field({}, description="Rules by column.")
    unique: list[list[str]] = Field([], description="Columns whose values together may not repeat.")
    checks: list[Check] = Field([], description="Conditions in SQL that every row must meet.")
    rows: RowCount | None = Field(None, description="How many rows there may be.")
    freshness: Freshness | None = Field(None, description="How old the newest row may be.")
    max_invalid: int | str = Field(
        0, description="How many rows may break a rule: a number, or a share such as `1%`.", examples=[0, 10, "1%"]
    )
    invalid_to: Literal["quarantine", "keep"] = Field(
        "quarantine",
        description="Whether bad rows (up to `max_invalid`) are set aside, or only reported and handed on.",
    )
    samples: int = Field(5, ge=1, le=100, description="How many bad rows the report shows for each rule.")
    engine: Engine = ENGINE

    @field_validator("max_invalid")
    @classmethod
    def _count_or_share(cls, value: int | str) -> int | str:
        if isinstance(value, int):
            if value < 0:
                raise ValueError("give a number of at least 0, or a share such as '1%'")
            return value
        try:
            share = float(value.removesuffix("%"))
        except ValueError:
            share = -1
        if not value.endswith("%") or not 0 <= share <= 100:
            raise ValueError("give a number of rows, or a share such as '1%'")
        return value


class ValidationStage(Stage):
    type = "validation"
    summary = "Checks every row, and sets bad ones aside."
    description = (
        "All rules are checked in one scan. Rows that break one are counted by rule, with samples; up to `max_invalid` "
        "of them are kept in a quarantine table with the rules they broke, and the rest is handed on. More, and the "
        "stage fails naming the first bad row. A CSV or JSON file is kept as Parquet while it is checked, so that "
        "later stages read exactly what was checked; a cell that does not fit its column's type is such a bad row."
    )
    Config = ValidationConfig
    takes_data = True
    examples = (
        StageExample(
            "Orders",
            {
                "columns": {
                    "id": {"type": "integer", "not_null": True, "unique": True},
                    "amount": {"type": "decimal(12,2)", "min": 0},
                    "email": {"pattern": "^[^@]+@[^@]+$"},
                    "region": {"allowed": ["eu", "us"]},
                },
                "checks": [{"expr": "shipped_at >= ordered_at"}],
                "max_invalid": "1%",
            },
        ),
        StageExample(
            "A foreign key",
            {"columns": {"carrier": {"references": {"data": "${{ results.airlines.data }}", "column": "carrier"}}}},
        ),
        StageExample(
            "JSON Schema",
            {
                "schema": {
                    "type": "object",
                    "required": ["id", "amount"],
                    "properties": {"id": {"type": "integer"}, "amount": {"type": "number", "minimum": 0}},
                }
            },
        ),
        StageExample(
            "Enough rows, and fresh ones",
            {"rows": {"min": 1000}, "freshness": {"column": "updated_at", "max_age": "1d"}},
        ),
    )

    def run(self, config: ValidationConfig, context: StageContext) -> Succeeded:
        refs = {INPUT: given_table(config.data, context)}
        foreign: dict[str, str] = {}
        for column, given in config.columns.items():
            if given.references is not None:
                foreign[column] = f"table_of_{column}"
                refs[foreign[column]] = as_table(given.references.data, context, f"{foreign[column]}.parquet")
        with open_tables(refs, context) as tables, ExitStack() as artifacts:
            return _Validation(config, context, tables, artifacts, foreign).run()


@dataclass(slots=True)
class _Validation:
    config: ValidationConfig
    context: StageContext
    tables: Tables
    artifacts: ExitStack
    foreign: dict[str, str]

    def run(self) -> Succeeded:
        source = self.tables.opened[INPUT]
        schema = records.table_schema(self.config.schema_) if self.config.schema_ is not None else None
        wanted = self._wanted_types(source, schema)
        types = {column.name: column.type for column in typed_columns(source, wanted)}
        from_schema = records.sql_rules(schema, types) if schema is not None else []
        rules = [*self._rules(types), *(from_schema or [])]
        draft, typed, file = self._typed(source, wanted, rules)
        checking.begin(self.tables.session, typed)
        found = self._check_records(typed, schema) if schema is not None and from_schema is None else None
        with self._broken_rows(typed, file) as broken:
            checked = checking.check(self.tables.session, typed, self.config.samples, found, broken)
        self._check_table(typed, checked, schema)
        if draft is not None:
            draft.rows = checked.rows
            draft.schema = [column.model_dump() for column in typed.columns]
        if checked.invalid > self._allowed(checked.rows):
            raise self._failure(source, checked)
        return self._handed_on(source, draft, typed, checked)

    def _broken_rows(self, typed: Typed, file: Path) -> AbstractContextManager[str | None]:
        """What another engine than DuckDB has found."""
        if self.config.engine == "duckdb":
            return nullcontext(None)
        from flexiroaster.data.spark.checking import broken_rows

        foreign = {}
        for column, table in self.foreign.items():
            given = self.config.columns[column].references
            assert given is not None
            theirs = known_column(given.column, [c.name for c in self.tables.columns(table)])
            foreign[f"values_of_{column}"] = (table, str(theirs))
        return broken_rows(typed, file, self.tables, foreign, self.context.scratch_dir, self.context.on_cancel)

    def _load_foreign(self) -> dict[str, str]:
        """The values that columns refer to, read once, as the rules ask for them twice; gives their tables."""
        loaded = {}
        for column, table in self.foreign.items():
            given = self.config.columns[column].references
            assert given is not None
            theirs = known_column(given.column, [c.name for c in self.tables.columns(table)])
            values = name(str(theirs))
            loaded[column] = f"values_of_{column}"
            self.tables.session.run(
                f"CREATE OR REPLACE TEMP TABLE {name(loaded[column])} AS "
                f"SELECT {values} FROM {name(table)} WHERE {values} IS NOT NULL"
            )
        return loaded

    def _wanted_types(self, source: Opened, schema: records.TableSchema | None) -> dict[str, str]:
        types = {column.name: column.type for column in source.ref.columns}
        wanted = records.wanted_types(schema, types, from_text=source.ref.format == "csv") if schema else {}
        for given, rules in self.config.columns.items():
            column = known_column(given, types, required=rules.required)
            if column is not None and rules.type is not None:
                wanted[column] = duckdb_type(rules.type, f"Column '{column}': ")
        return {column: type_name for column, type_name in wanted.items() if types[column] != type_name}

    def _typed(
        self, source: Opened, wanted: dict[str, str], rules: list[Rule]
    ) -> tuple[ArtifactDraft | None, Typed, Path]:
        """The table with the wanted types, and its Parquet file; with a draft where that is written here."""
        as_it_is = source.single_parquet and source.without is None and not source.ref.equals
        if as_it_is:
            return None, typed_parquet(source, wanted, rules), source.files[0]
        draft = self.artifacts.enter_context(
            self.context.artifact("data.parquet", kind="table", media_type=PARQUET_MEDIA_TYPE)
        )
        # A store that is not on this disk gives a path that DuckDB may not use: the file is moved there in the end.
        path = draft.path
        if not self.tables.session.may_use(path):
            path = self.context.scratch_dir.resolve() / path.name
            self.artifacts.callback(shutil.move, path, draft.path)
        return draft, ingest(self.tables.session, source, wanted, rules, path), path

    def _rules(self, types: dict[str, str]) -> list[Rule]:
        rules = column_rules(self.config.columns, types, self._load_foreign())
        rules += [unique([str(known_column(column, types)) for column in columns]) for columns in self.config.unique]
        return rules + check_rules(self.config.checks, types)

    def _check_records(self, typed: Typed, schema: records.TableSchema) -> Path:
        """What SQL cannot say of the schema, record by record: the file of the rows found."""
        found = self.context.scratch_dir.resolve() / "broken.csv"
        session = self.tables.session
        typed.rules.extend(
            records.check_records(session, checking.TABLE, typed.columns, schema, len(typed.rules), found)
        )
        return found

    def _check_table(self, typed: Typed, checked: Checked, schema: records.TableSchema | None) -> None:
        limits = self.config.rows or RowCount()
        bounds = schema or records.TableSchema()
        least = max(limits.min or 0, bounds.min_rows or 0)
        most = min((n for n in (limits.max, bounds.max_rows) if n is not None), default=None)
        if checked.rows < least:
            raise _table_failure(f"The table has {counted(checked.rows, 'row')}, fewer than {least}.", "too_few_rows")
        if most is not None and checked.rows > most:
            raise _table_failure(f"The table has {counted(checked.rows, 'row')}, more than {most}.", "too_many_rows")
        if self.config.freshness is not None:
            self._check_freshness(self.config.freshness, typed)

    def _check_freshness(self, wanted: Freshness, typed: Typed) -> None:
        types = {column.name: column.type for column in typed.columns}
        column = str(known_column(wanted.column, types))
        if not is_moment(types[column]):
            raise StageFailed(
                f"Column '{column}' is {types[column]}, not a date or timestamp: give it a `type` in `columns`.",
                code="bad_rule", location=Location(column=column),
            )  # fmt: skip
        query = f"SELECT max(CAST({name(column)} AS TIMESTAMP)) FROM {checking.TABLE}"
        newest: datetime | None = self.tables.session.row(query)[0]
        age = timedelta(seconds=int(wanted.max_age[:-1]) * _DURATION[wanted.max_age[-1]])
        if newest is None or self.context.now - newest.replace(tzinfo=UTC) > age:
            raise _table_failure(
                f"The newest '{column}' is {newest.isoformat(sep=' ') if newest else 'empty'}, "
                f"older than {wanted.max_age} at {self.context.now:%Y-%m-%d %H:%M} UTC.",
                "not_fresh", Location(column=column, value=newest.isoformat() if newest else None),
            )  # fmt: skip

    def _allowed(self, rows: int) -> float:
        allowed = self.config.max_invalid
        return allowed if isinstance(allowed, int) else float(allowed.removesuffix("%")) / 100 * rows

    def _failure(self, source: Opened, checked: Checked) -> StageFailed:
        shown = self.tables.session.shown
        file = next((shown[str(f)] for f in source.files[:1] if source.ref.artifact_id is None), None)
        sentence, location = checking.first_failure(checked, file)
        allowed = f" (allowed: {self.config.max_invalid})" if self.config.max_invalid else ""
        return StageFailed(
            f"{sentence}. {_share(checked)} invalid{allowed}.",
            code="invalid_rows", kind="data", location=location,
            suggestion=(
                "Correct the rows at their source and retry; or set `max_invalid` (such as 10 or 1%), and bad rows are "
                "kept in quarantine while the rest goes on."
            ),
            details={"checked": checked.rows, "invalid_count": checked.invalid, "report": _report(checked)},
        )  # fmt: skip

    def _handed_on(self, source: Opened, draft: ArtifactDraft | None, typed: Typed, checked: Checked) -> Succeeded:
        aside = checked.invalid > 0 and self.config.invalid_to == "quarantine"
        quarantine = self._quarantine(typed) if aside else None
        if draft is not None:
            self.artifacts.close()
            good = TableRef(table=draft.uri, columns=typed.columns, bytes=draft.bytes, artifact_id=draft.id)
        else:
            good = source.ref.model_copy(update={"columns": typed.columns})
        rows = checked.rows - checked.invalid if aside else checked.rows
        options = {**good.options, "casts": typed.casts} if typed.casts else good.options
        good = good.model_copy(
            update={"rows": rows, "options": options, "without": quarantine.table if quarantine else None}
        )
        for finding in checked.findings:
            if finding.failed:
                self.context.log(
                    "warning", "Rows break a rule.", rule=finding.rule.label, rows=finding.failed,
                    first_row=finding.samples[0]["row"],
                )  # fmt: skip
        files = [self._file(good), self._file(quarantine) if quarantine else None]
        result = result_of(
            good,
            valid=checked.invalid == 0,
            checked=checked.rows,
            invalid_count=checked.invalid,
            quarantine=quarantine.to_json() if quarantine else None,
            digest=checking.digest(*files),
            report=_report(checked),
        )
        return Succeeded(result, rows=rows, bytes=good.bytes)

    def _file(self, ref: TableRef) -> Path:
        return self.context.local_artifact(ref.table) or uri_path(ref.table)

    def _quarantine(self, typed: Typed) -> TableRef:
        query = checking.quarantine_query(typed)
        session = self.tables.session
        with self.context.artifact("quarantine.parquet", kind="quarantine", media_type=PARQUET_MEDIA_TYPE) as draft:
            columns = session.columns(query)
            draft.rows = session.write(query, draft.path)
            draft.schema = [column.model_dump() for column in columns]
        return TableRef(table=draft.uri, columns=columns, rows=draft.rows, bytes=draft.bytes, artifact_id=draft.id)


def _report(checked: Checked) -> list[dict[str, Any]]:
    """Rules that were broken first, the most broken first of all."""
    ordered = sorted(checked.findings, key=lambda finding: -finding.failed)
    return [finding.to_json() for finding in ordered]


def _share(checked: Checked) -> str:
    return f"{checked.invalid} of {counted(checked.rows, 'row')} {'is' if checked.invalid == 1 else 'are'}"


def _table_failure(message: str, code: str, location: Location | None = None) -> StageFailed:
    return StageFailed(f"{message} Check the source, or change the rule.", code=code, kind="data", location=location)
