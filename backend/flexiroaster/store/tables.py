"""The tables. Alembic's migrations are checked against this file.

Times are aware UTC: TIMESTAMPTZ on PostgreSQL, ISO 8601 text with microseconds on SQLite (it sorts as it reads).

Nothing here names what is PostgreSQL's alone: SQLAlchemy would load all its drivers for it, 2 MB. The conditions of
indexes, which are SQLite's by name, are taken over by `dialects.postgres`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

from flexiroaster.store.moments import microseconds_of, moment_of


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime in both databases; SQLite, which has no type for it, keeps microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return microseconds_of(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return moment_of(value) if isinstance(value, int) else value.astimezone(UTC)


class JsonText(JSON):
    """JSON kept as TEXT: a column that SQLite knows as `JSON` has numeric affinity and turns `"3"` into 3."""


@compiles(JsonText, "sqlite")
def _as_text(_type: JsonText, _compiler: object, **_options: object) -> str:
    return "TEXT"


class _Json(TypeDecorator[Any]):
    """JSONB on PostgreSQL."""

    impl = JsonText(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB(none_as_null=True))
        return JsonText(none_as_null=True)  # as it is: SQLite's own in its place would be a column named JSON

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        return self.impl_instance.coerce_compared_value(op, value)  # a key inside is no JSON


Json = _Json()
BigId = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("labels", Json, nullable=False),
    Column("version", Integer, nullable=False),  # the one published last, which new executions run
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("paused_at", UtcDateTime),
    Column("paused_by", String(320)),
    Column("last_number", Integer, nullable=False, server_default="0"),  # of the newest execution
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("created_by", String(320)),
    Column("deleted_at", UtcDateTime),
)

pipeline_versions = Table(
    "pipeline_versions",
    metadata,
    Column("pipeline_id", String(80), ForeignKey("pipelines.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Json, nullable=False),  # normalised
    Column("source", Text, nullable=False),  # the text as its author wrote it
    Column("source_format", String(8), nullable=False),  # yaml | json
    Column("digest", String(64), nullable=False),  # SHA-256 of the normalised document
    Column("note", Text, nullable=False, server_default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(320)),
    Column("based_on", Integer),  # the published version that it was made from
    Column("published_at", UtcDateTime),  # null: a draft, which only runs where it is asked for by its number
    Column("published_by", String(320)),
    Column("discarded_at", UtcDateTime),  # of a draft that nobody wants; it stays for the executions that ran it
)

executions = Table(
    "executions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("pipeline_id", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    Column("number", Integer, nullable=False),  # #1, #2, … within its pipeline
    Column("status", String(16), nullable=False),
    Column("trigger", String(32), nullable=False),
    Column("actor", String(320)),
    Column("inputs", Json, nullable=False),
    Column("data", Json),
    Column("outputs", Json),
    Column("error", Json),
    Column("failed_stage", String(80)),
    Column("reason", Text),
    Column("rerun_of", String(36)),
    Column("from_stage", String(80)),  # of a re-run: results before it were taken over
    Column("alone", Boolean, nullable=False, server_default=text("false")),  # of a re-run: nothing but that stage ran
    Column("trial", Boolean, nullable=False, server_default=text("false")),  # of a draft: statistics leave it out
    Column("idempotency_key", String(200)),
    Column("idempotency_digest", String(64)),  # SHA-256 of what was asked for with that key
    Column("concurrency_key", String(200)),  # those of a pipeline with the same one share its places; null: no limit
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("stages_total", Integer, nullable=False),
    Column("retries", Integer, nullable=False, server_default="0"),  # how often a person retried it
    Column("logical_date", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("waiting_since", UtcDateTime),  # for its place; null once it was admitted
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("idle_seconds", Float, nullable=False, server_default="0"),  # between its end and a retry, in all
    Column("timeout_at", UtcDateTime),
    Column("cancel_requested_at", UtcDateTime),
    Column("stopping_as", String(16)),  # the final state it will get, once that is known
    Column("phase", String(16), nullable=False, server_default="main"),
    Column("paused_at", UtcDateTime),
    Column("parent_id", String(36)),  # the execution whose stage run started it
    Column("parent_position", Integer),
    Column("parent_idx", Integer),
    Column("depth", Integer, nullable=False, server_default="0"),  # how many executions are above it
    Column("use_cache", Boolean, nullable=False, server_default=text("true")),
    ForeignKeyConstraint(["pipeline_id", "version"], ["pipeline_versions.pipeline_id", "pipeline_versions.version"]),
    UniqueConstraint("pipeline_id", "number"),
    Index(
        "ix_executions_idempotency_key",
        "pipeline_id",
        "idempotency_key",
        unique=True,
        sqlite_where=text("idempotency_key IS NOT NULL"),
    ),
    Index(None, "pipeline_id", "created_at"),
    Index(None, "created_at", "id"),
    Index(
        "ix_executions_parent",
        "parent_id",
        "parent_position",
        "parent_idx",
        sqlite_where=text("parent_id IS NOT NULL"),
    ),
    Index(
        "ix_executions_open",
        "status",
        sqlite_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_executions_admitted",
        "pipeline_id",
        "concurrency_key",
        sqlite_where=text("concurrency_key IS NOT NULL AND ended_at IS NULL AND waiting_since IS NULL"),
    ),
)
Index(
    "ix_executions_waiting",
    executions.c.pipeline_id,
    executions.c.concurrency_key,
    executions.c.priority.desc(),
    executions.c.number,
    sqlite_where=text("waiting_since IS NOT NULL"),
)

stage_runs = Table(
    "stage_runs",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # of the stage in its version, from 0
    Column("idx", Integer, primary_key=True, autoincrement=False),  # foreach index, 0 without foreach
    Column("stage", String(80), nullable=False),
    Column("type", String(80), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),  # the fencing number: only the current attempt may write
    Column("spent", Integer, nullable=False, server_default="0"),  # attempts that do not count against the retry budget
    Column("lost", Integer, nullable=False, server_default="0"),  # attempts whose worker died
    Column("needs_left", Integer, nullable=False),
    Column("needs_ok", Integer, nullable=False),
    Column("needs_failed", Integer, nullable=False),
    Column("pool", String(80)),  # whose slots it takes while it has a lease
    Column("reused_from", String(36)),  # the execution that ran it, where a re-run took its result over
    Column("lease_owner", String(64)),
    Column("lease_until", UtcDateTime),
    Column("due_at", UtcDateTime),  # of a retry, a wait or a timeout
    Column("reason", Text),  # why it waits, was skipped, cancelled or retried
    Column("state", Json),  # what a waiting stage remembers
    Column("error", Json),
    Column("rows", BigInteger),
    Column("bytes", BigInteger),
    Column("ready_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("waits_for", String(16)),  # of an attempt that waited: time | approval | execution | event
    Column("iterations", Integer, nullable=False, server_default="0"),  # of a repeated stage
    Column("cached_from", String(36)),  # the execution whose result it took from the cache
    Index(
        "ix_stage_runs_waits_for",
        "waits_for",
        sqlite_where=text("waits_for IS NOT NULL"),
    ),
    Index(
        "ix_stage_runs_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "ix_stage_runs_pool",
        "pool",
        "status",
        sqlite_where=text("pool IS NOT NULL AND ended_at IS NULL"),
    ),
    Index(
        "ix_stage_runs_reused_from",
        "reused_from",
        sqlite_where=text("reused_from IS NOT NULL"),
    ),
    Index(
        "ix_stage_runs_cached_from",
        "cached_from",
        sqlite_where=text("cached_from IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

foreach_items = Table(
    "foreach_items",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("value", Json),  # the item; of idx 0 how many there are, once all of them are here
    sqlite_with_rowid=False,
)

results = Table(
    "results",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("value", Json),  # inline up to 64 KB
    Column("artifact_id", String(36)),  # otherwise the artifact that holds the JSON
)

attempts = Table(
    "attempts",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("worker", String(64)),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("error", Json),
)
"""The attempts before the current one; the current one is the stage run itself."""

events = Table(
    "events",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("type", String(32), nullable=False),
    Column("stage", String(80)),
    Column("idx", Integer),
    Column("payload", Json),
    sqlite_with_rowid=False,
)

logs = Table(
    "logs",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("level", String(8), nullable=False),
    Column("pipeline_id", String(80)),
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE")),
    Column("stage", String(80)),
    Column("idx", Integer),
    Column("attempt", Integer),
    Column("seq", Integer),  # of the event it tells; null for a stage's own line
    Column("message", Text, nullable=False),
    Column("fields", Json),
    Index(None, "execution_id", "id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), nullable=False),
    Column("stage", String(80), nullable=False),
    Column("idx", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("kind", String(16), nullable=False),  # table | quarantine | file | result | report
    Column("media_type", String(100), nullable=False),
    Column("key", String(500), nullable=False),
    Column("rows", BigInteger),
    Column("bytes", BigInteger, nullable=False),
    Column("columns", Json),
    Column("profile", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "execution_id", "stage"),
)

signals = Table(
    "signals",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("data", Json),
    Column("actor", String(320)),
    Column("at", UtcDateTime, nullable=False),
)
"""What an execution was told from outside: the newest of each name, for stages that wait for it now or later."""

stage_cache = Table(
    "stage_cache",
    metadata,
    Column("pipeline_id", String(80), primary_key=True),
    Column("stage", String(80), primary_key=True),
    Column("key", String(64), primary_key=True),  # SHA-256 of the key's value and of what the stage does
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
"""Where the result of a stage lies that others may take instead of running it."""

deadlines = Table(
    "deadlines",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # of the stage, -1 for the execution itself
    Column("due_at", UtcDateTime, nullable=False),
    Column("missed_at", UtcDateTime),
)

pools = Table(
    "pools",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("slots", Integer, nullable=False),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("full_at", UtcDateTime, nullable=False),  # when nothing of what was started counts any more
)

chores = Table(
    "chores",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),
)
"""What is to be done now and then, and by one of the servers: who sets the time on does it."""

workers = Table(
    "workers",
    metadata,
    Column("id", String(64), primary_key=True),  # as leases name it; a new one at each start
    Column("kind", String(16), nullable=False),  # server | api | worker | scheduler
    Column("pools", Json),  # whose stages it runs, "default" those of none; null: of all
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(40), nullable=False),  # of FlexiRoaster
    Column("folder", String(64)),  # names its data folder, which one process has at a time
    Column("shares", Json, nullable=False),  # what all on one database must have in common, as digests
    Column("concurrency", Integer, nullable=False),
    Column("running", Integer, nullable=False, server_default="0"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("last_poll_at", UtcDateTime),  # when it last looked for work with success
    Column("alive_until", UtcDateTime, nullable=False),
    Column("stopping_at", UtcDateTime),  # since when it takes no more work, or is to take none
    Column("lost_at", UtcDateTime),  # when others took over what it had
)
"""Who works on this database. Times are the database's own: the clocks of several machines differ."""

ai_predictions = Table(
    "ai_predictions",
    metadata,
    Column("execution_id", String(36), ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("pipeline_id", String(80), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),  # only what had ended by then was known
    Column("model_id", String(80)),  # the learned model that answered; null where shares of failures did
    Column("features", Json, nullable=False),  # as they were at the start, in the order of the model's schema
    Column("schema", String(16), nullable=False),  # names the features and their order
    Column("probability", Float, nullable=False),
    Column("body", Json, nullable=False),  # what is shown
    Column("outlook", Json),  # while it runs: what is left of it
    Column("updated_at", UtcDateTime, nullable=False),
)
"""What was expected of an execution at its start."""

ai_forecasts = Table(
    "ai_forecasts",
    metadata,
    Column("pipeline_id", String(80), primary_key=True),
    Column("made_at", UtcDateTime, nullable=False),
    Column("body", Json, nullable=False),
)
"""What is expected of the next execution of a pipeline."""

insights = Table(
    "insights",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("rule", String(32), nullable=False),
    Column("subject", String(400), nullable=False),
    Column("stage", String(80)),
    Column("text", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),  # null while it lasts
    Column("score", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("pipelines", Json, nullable=False),
    Column("executions", Json, nullable=False),
    Column("numbers", Json, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),  # when it was last found
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", String(320)),
    Index(None, "since", "id"),
)

insight_pipelines = Table(
    "insight_pipelines",
    metadata,
    Column("pipeline_id", String(80), primary_key=True),
    Column("insight_id", String(16), ForeignKey("insights.id", ondelete="CASCADE"), primary_key=True),
)

insight_verdicts = Table(
    "insight_verdicts",
    metadata,
    Column("insight_id", String(16), primary_key=True),
    Column("by", String(320), primary_key=True),
    Column("rule", String(32), nullable=False),
    Column("subject", String(400), nullable=False),
    Column("verdict", String(8), nullable=False),  # useful | noise
    Column("at", UtcDateTime, nullable=False),
)
"""What people said of insights: it moves the thresholds, also after the insight is gone."""

suggestions = Table(
    "suggestions",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("pipeline_id", String(80), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("stages", Json, nullable=False),
    Column("text", Text, nullable=False),
    Column("edits", Json, nullable=False),  # empty: advice that no definition can follow by itself
    Column("saving", Json),
    Column("numbers", Json, nullable=False),
    Column("replay", Json),  # how a usual execution goes now and would go then
    Column("call", Json),  # the request that makes a change which is none of a definition
    Column("executions", Integer, nullable=False),
    Column("shown", Json, nullable=False),  # ids of executions that it rests on
    Column("confidence", Float, nullable=False),
    Column("gain", Float, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False),  # open | draft | applied | undone | dismissed | gone
    Column("found_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),  # its state
    Column("by", String(320)),  # who changed it
    Column("reason", Text),
    Column("version_before", Integer),  # of one that is a draft, or was applied
    Column("version_applied", Integer),
    Column("version_undone", Integer),
    Index(None, "state", "found_at", "id"),
    Index(None, "pipeline_id", "state"),
)

ai_models = Table(
    "ai_models",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("status", String(16), nullable=False),  # champion | retired
    Column("schema", String(16), nullable=False),
    Column("trained_at", UtcDateTime, nullable=False),
    Column("file", String(200), nullable=False),  # in the folder of models
    Column("size", Integer, nullable=False),
    Column("card", Json, nullable=False),
    Index(None, "kind", "trained_at"),
)

ai_state = Table(
    "ai_state",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""What the learner did last, by the name of the work."""

ai_projects = Table(
    "ai_projects",
    metadata,
    Column("name", String(200), primary_key=True),  # the label of its pipelines
    Column("learning", Boolean, nullable=False),
    Column("assistant", Boolean, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(320)),
)
"""For whose pipelines somebody switched learning or the assistant on or off."""

maintenance_windows = Table(
    "maintenance_windows",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("pipeline_id", String(80)),  # null: all of them
    Column("begins_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("by", String(320)),
)
"""Times in which what happens is no news."""

triggers = Table(
    "triggers",
    metadata,
    Column("pipeline_id", String(80), ForeignKey("pipelines.id"), primary_key=True),
    Column("id", String(80), primary_key=True),
    Column("document", Json, nullable=False),  # as the published version has it
    Column("due_at", UtcDateTime, nullable=False),  # the next instant that nobody has dealt with
    Column("paused_at", UtcDateTime),
    Column("paused_by", String(320)),
    Index("ix_triggers_due", "due_at", sqlite_where=text("paused_at IS NULL")),
)
"""The schedules of the published versions."""

firings = Table(
    "firings",
    metadata,
    Column("pipeline_id", String(80), primary_key=True),
    Column("trigger_id", String(80), primary_key=True),
    Column("instant", UtcDateTime, primary_key=True),  # one is dealt with once, whoever comes to it
    Column("state", String(16), nullable=False),  # started | skipped | refused | missed
    Column("execution_id", String(36)),
    Column("count", Integer, nullable=False, server_default="1"),  # instants that were missed, this being the last
    Column("reason", Text),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "at"),
)
"""What became of the instants of triggers; also of triggers that are gone."""

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("email", String(320), nullable=False, unique=True),  # lower case
    Column("password_hash", String(200), nullable=False),
    Column("role", String(16), nullable=False),  # viewer | operator | editor | admin
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("token_version", Integer, nullable=False, server_default="0"),  # raised to end every token at once
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_login_at", UtcDateTime),
)

user_groups = Table(
    "user_groups",
    metadata,
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(80), primary_key=True),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("family", String(36), nullable=False, index=True),  # every token that descends from one sign-in
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

one_time_links = Table(
    "one_time_links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("purpose", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)
