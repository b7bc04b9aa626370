"""How log lines look: one event, one line, fields instead of prose; for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

LINE_LIMIT = 16 * 1024


def configure_logs(level: str, *, json: bool, own_server: bool = True) -> None:
    """Send structlog and the standard library's logging (uvicorn, SQLAlchemy) to stderr in one form.

    Who starts uvicorn themselves (`own_server=False`) gets its lines about where it listens.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _bounded,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _without_uvicorn_colours],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(json)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "sqlalchemy"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    # One line a request is what a proxy writes; ours would drown the events.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    # "Started server process", "Waiting for application startup", …: `server.started` says it in one line.
    logging.getLogger("uvicorn.error").setLevel(max(number, logging.WARNING) if own_server else number)
    for name in ("httpx", "httpcore", "alembic", "engineio", "socketio"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _renderers(json: bool) -> list[Any]:
    if json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]
    # The formatter it takes by itself shows the values of all local variables: secrets, and minutes for large ones.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28, exception_formatter=plain)]


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _bounded(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Cut long fields and make control characters visible: a value from outside must not fake a second line."""
    for key, value in event.items():
        if isinstance(value, str) and key not in {"exc_info", "exception"}:
            event[key] = _one_line(value)
    return event


def _one_line(text: str) -> str:
    if len(text) > LINE_LIMIT:
        text = f"{text[:LINE_LIMIT]}… ({len(text) - LINE_LIMIT} more characters)"
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _without_uvicorn_colours(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)
    return event
