"""Executions that use much of the engine, and the people around them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from flexiroaster.auth.identity import Caller
from flexiroaster.engine.errors import StageFailed
from flexiroaster.services.approvals import Answer
from flexiroaster.stages.base import StageContext
from flexiroaster.store.tables import events, executions, stage_runs
from tests.faults.lives import Lives

ADA = Caller("id-ada", "ada@example.com", "operator", "session", datetime.max.replace(tzinfo=UTC))
BIG = "x" * 70_000
"""More than is kept inline."""


class Story:
    """A scenario whose pipelines were stored, by the names they have in its stages."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    def started(self, lives: Lives, pipeline: str, key: str) -> str | None:
        """The execution with this idempotency key; None, and it is asked for, while there is none."""
        table = executions.c
        query = sa.select(table.id).where(table.pipeline_id == self.ids[pipeline], table.idempotency_key == key)
        found = lives.rows(query)
        if found:
            return str(found[0]["id"])
        lives.ask(lambda: lives.engine.executions.start(self.ids[pipeline], idempotency_key=key))
        return None

    def row(self, lives: Lives, execution_id: str) -> sa.RowMapping:
        return lives.rows(sa.select(executions).where(executions.c.id == execution_id))[0]

    def stage(self, lives: Lives, execution_id: str, stage: str) -> sa.RowMapping | None:
        table = stage_runs.c
        query = sa.select(stage_runs).where(table.execution_id == execution_id, table.stage == stage, table.idx == 0)
        found = lives.rows(query)
        return found[0] if found else None

    def told(self, lives: Lives, execution_id: str, type: str) -> int:
        query = sa.select(events.c.seq).where(events.c.execution_id == execution_id, events.c.type == type)
        return len(lives.rows(query))


def stage(config: Mapping[str, Any], *needs: str, **more: Any) -> dict[str, Any]:
    return {"type": "act", "needs": list(needs), "config": dict(config), **more}


def handler(id: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": id, "type": "act", "config": dict(config)}


class Work(Story):
    """Parallel stages, one of which is at work while the others run; retry, foreach, repeat, switch, cache, pool and
    rate limit, a large result, artifacts, log lines; it fails, undoes what it did, is retried and succeeds.
    """

    def define(self, lives: Lives) -> None:
        act = lives.engine.act
        noted = act(lambda context: note(lives, context))

        def meanwhile(context: StageContext) -> Any:
            """The other threads go on while this stage is at work."""
            note(lives, context)
            lives.work()
            return {"text": BIG}

        def writes(context: StageContext) -> Any:
            note(lives, context)
            context.log("info", "half way")
            with context.artifact("report.txt", kind="report", media_type="text/plain") as draft:
                draft.path.write_text(context.idempotency_key)
            return {"rows": 2}

        def flaky(context: StageContext) -> Any:
            note(lives, context)
            if context.attempt == 1:
                raise StageFailed("busy", kind="transient")
            return {"rows": 1}

        def repeats(context: StageContext) -> Any:
            note(lives, context)
            return {"done": context.idempotency_key.endswith(":2")}

        def broken(context: StageContext) -> Any:
            note(lives, context)
            assert context.upstream["large"]["text"] == BIG
            if not self.row(lives, context.execution_id)["retries"]:
                raise StageFailed("not yet")
            return {"rows": 3}

        lives.engine.embedded.pools.set("one", 1)
        retry = {"retry": {"max_attempts": 3, "delay": "10s"}}
        rate = {"rate_limit": {"key": "r", "limit": 1, "per": "10s"}}
        until_done = {"until": "${{ results.again.done }}", "delay": "5s", "max": 3}
        b_of_two = {"value": "b", "cases": {"a": "no", "b": "yes"}}
        items = stage(
            {"act": "say", "value": "${{ item * 2 }}"}, "start", foreach={"items": [1, 2, 3], "max_parallel": 2}
        )
        self.ids["work"] = lives.engine.add(
            {
                "start": [],
                "large": stage(act(meanwhile), "start"),
                "report": stage(act(writes), "start", pool="one", compensate=bare(noted)),
                "flaky": stage(act(flaky), "start", **retry),
                "cached": stage(noted, "start", pool="one", cache={"key": "k", "ttl": "7d"}),
                "limited": stage(noted, "start", **rate),
                "also_limited": stage(noted, "start", **rate),
                "each": items,
                "again": stage(act(repeats), "start", repeat=until_done),
                "choose": {"type": "switch", "needs": ["each"], "config": b_of_two},
                "no": ["choose"],
                "yes": ["choose"],
                "last": stage(
                    act(broken), "large", "report", "flaky", "cached", "limited", "also_limited", "again", "yes",
                    when="${{ size(results.large.text) > 10 }}",
                ),
                "end": ["last"],
            },
            outputs={"doubled": "${{ results.each.items }}", "rows": "${{ results.last.rows }}"},
            timeout="1h",
            on_failure=[handler("mourn", noted)],
            on_success=[handler("cheer", noted)],
            **{"finally": [handler("tidy", noted)]},
        )  # fmt: skip

    def act(self, lives: Lives) -> bool:
        id = self.started(lives, "work", "once")
        if id is None:
            return True
        if self.row(lives, id)["status"] == "failed":
            return lives.ask(lambda: lives.engine.executions.retry(id, "ada"))
        return False


class Waits(Story):
    """An approval, an event, a time, a pause, and two executions of another pipeline that wait for its one place."""

    def define(self, lives: Lives) -> None:
        noted = lives.engine.act(lambda context: note(lives, context))
        self.ids["turn"] = lives.engine.add(
            {"a": stage(noted), "b": {"type": "wait", "needs": ["a"], "config": {"seconds": 20}}},
            concurrency={"limit": 1},
            inputs={"n": {"type": "integer"}},
            outputs={"n": "${{ inputs.n }}"},
        )
        each = {"items": [1, 2]}
        child = {"pipeline": self.ids["turn"], "inputs": {"n": "${{ item }}"}}
        self.ids["waits"] = lives.engine.add(
            {
                "ask": {"type": "approval", "needs": [], "config": {"message": "Go?"}, "timeout": "1h"},
                "hear": {"type": "wait", "needs": [], "config": {"event": "ready"}},
                "sub": {"type": "pipeline", "needs": [], "config": child, "foreach": each},
                "time": {"type": "wait", "needs": ["ask"], "config": {"seconds": 5}},
                "end": stage(noted, "ask", "hear", "sub", "time"),
            },
            outputs={"by": "${{ results.ask.by }}", "heard": "${{ results.hear.data }}"},
        )

    def act(self, lives: Lives) -> bool:
        id = self.started(lives, "waits", "once")
        if id is None:
            return True
        embedded = lives.engine.embedded
        if self.row(lives, id)["status"] == "paused":
            return lives.ask(lambda: embedded.executions.resume(id, "ada"))
        if not self.told(lives, id, "execution_paused"):
            return lives.ask(lambda: embedded.executions.pause(id, "ada"))
        asking = self.stage(lives, id, "ask")
        if asking is not None and asking["status"] == "waiting":
            return lives.ask(lambda: embedded.approvals.decide(id, "ask", 0, Answer(True, "fine"), ADA))
        if not self.told(lives, id, "execution_signalled"):
            return lives.ask(lambda: embedded.signals.send(id, "ready", 7, "ada@example.com"))
        return False


class Stops(Story):
    """An execution that is cancelled while one stage is at work and another waits for an execution of its own; one
    that runs out of time; one that a stage ends early.
    """

    def define(self, lives: Lives) -> None:
        act = lives.engine.act
        noted = act(lambda context: note(lives, context))

        def is_cancelled(context: StageContext) -> None:
            note(lives, context)
            while self.row(lives, context.execution_id)["status"] == "running":
                lives.ask(lambda: lives.engine.executions.cancel(context.execution_id, "ada"))
            raise StageFailed("interrupted")

        def broken(_: StageContext) -> None:
            raise StageFailed("busy", kind="transient")

        tidy = {"finally": [handler("tidy", noted)]}
        ask = {"type": "approval", "needs": [], "config": {"message": "Go?"}}
        self.ids["asks"] = lives.engine.add({"ask": ask})
        self.ids["cancelled"] = lives.engine.add(
            {
                "sub": {"type": "pipeline", "needs": [], "config": {"pipeline": self.ids["asks"]}},
                "time": {"type": "wait", "needs": [], "config": {"seconds": 5}},
                "work": stage(act(is_cancelled), "time"),
                "end": ["work", "sub"],
            },
            **tidy,
        )
        retry = {"retry": {"max_attempts": 5, "delay": "15m"}}
        self.ids["late"] = lives.engine.add(
            {"a": stage(act(broken), **retry), "b": ["a"]},
            timeout="3m",
            on_failure=[handler("mourn", noted)],
        )
        self.ids["short"] = lives.engine.add(
            {
                "a": stage(noted),
                "stop": {"type": "stop", "needs": ["a"], "config": {"status": "success", "message": "nothing to do"}},
                "ask": ask,
                "b": ["stop"],
            },
            **tidy,
        )

    def act(self, lives: Lives) -> bool:
        for pipeline in ("late", "cancelled", "short"):
            id = self.started(lives, pipeline, "once")
            if id is None:
                return True
        return False


def note(lives: Lives, context: StageContext) -> None:
    """A side effect, and which work it belongs to."""
    lives.ran.append(f"{context.stage_id}[{context.index}]")


def bare(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "act", "config": dict(config)}
