"""Redis between the servers of one PostgreSQL database: short messages, and counts that all of them share.

Nothing is in it that could not be lost: the database has the truth, and whoever uses it has another way for as long
as it is away. Whether it is there is found out by messages to oneself, which prove both directions.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import blake2b
from itertools import count
from typing import Any
from uuid import uuid4

import structlog

from flexiroaster.engine.errors import ConfigurationError

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 1.0
"""How long anything may take: it would have been there in one thousandth of that."""
RETRY_SECONDS = 1.0
ECHO_SECONDS = 3.0
"""Between two messages to oneself."""
SEAL_CHARACTERS = 32


class RedisLink:
    """`name` is common to the servers of a database, and so is `key`, by which they know their messages: whoever else
    writes to the same Redis is not heard.

    Before `start` nothing is heard; `stop` may be called twice, also without it.
    """

    def __init__(self, url: str, name: str, key: bytes) -> None:
        self._client = _client(url)
        self._prefix = f"flexiroaster:{name}"
        self._channel = f"{self._prefix}:messages"
        self._echoes = f"{self._prefix}:echo:{uuid4().hex}"
        self._key = key
        self._tokens = count(1)
        self._lock = threading.Lock()
        self._up = False
        self._away_since: float | None = None
        self._cause = ""
        self._refusal: str | None = None
        self._tries = 0
        """To be heard by itself, in vain."""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._hear: Callable[[str], None] = lambda text: None
        self._away: Callable[[], None] = lambda: None
        self._missed: Callable[[], None] = lambda: None

    @property
    def trouble(self) -> str | None:
        """Why not everything goes by Redis at this moment, in a sentence."""
        if self._away_since is not None:
            return (
                f"Redis does not answer ({self._cause}): messages between servers go through PostgreSQL, and each "
                "server counts failed sign-ins by itself."
            )
        if self._refusal is not None:
            return f"Redis refuses ({self._refusal}): each server counts failed sign-ins by itself."
        return None

    def start(self, hear: Callable[[str], None], away: Callable[[], None], missed: Callable[[], None]) -> None:
        """All are called in a thread of its own: `hear` with each message; `away` every second while none would be
        heard; `missed` when some may have been lost.
        """
        self._hear, self._away, self._missed = hear, away, missed
        self._thread = threading.Thread(target=self._loop, name="redis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is None:
            return
        if self._up:
            self.send([], wake=True)
        self._thread.join()
        self._thread = None
        self._client.close()

    def send(self, messages: Sequence[str], *, wake: bool = False) -> int:
        """By how many each was heard, this server included; 0 when not all have left. Returns within a second."""
        if not self._up:
            return 0
        try:
            with self._client.pipeline(transaction=False) as together:
                for message in messages:
                    together.publish(self._channel, self._seal(message) + message)
                if wake:
                    together.publish(self._echoes, "")
                return min(together.execute(), default=0)
        except Exception as failure:
            self._lose(failure)
            return 0

    def evaluate(self, script: str, keys: Sequence[str], arguments: Sequence[str | float]) -> Any:
        """What a Lua script answers, which nothing comes between; None where `trouble` says why."""
        names = [f"{self._prefix}:{key}" for key in keys]
        return self._ask(lambda: self._client.eval(script, len(names), *names, *arguments))

    def keep(self, name: str, text: str, seconds: float) -> None:
        """For all servers, for so long; nowhere where `trouble` says why."""
        sealed = self._seal(f"{name}\n{text}") + text
        self._ask(lambda: self._client.set(f"{self._prefix}:kept:{name}", sealed, px=round(seconds * 1000)))

    def kept(self, name: str) -> str | None:
        """What one of the servers keeps under this name; None also while Redis is away."""
        sealed = self._ask(lambda: self._client.get(f"{self._prefix}:kept:{name}")) or ""
        seal, text = sealed[:SEAL_CHARACTERS], sealed[SEAL_CHARACTERS:]
        return text if hmac.compare_digest(seal.encode(), self._seal(f"{name}\n{text}").encode()) else None

    def _ask(self, question: Callable[[], Any]) -> Any:
        """None where `trouble` says why."""
        if not self._up:
            return None
        from redis.exceptions import ResponseError

        try:
            answer = question()
        except ResponseError as failure:  # it is there, and has no memory left for example
            if self._refusal is None:
                log.warning("redis.refused", error=_first_line(failure))
            self._refusal = _first_line(failure)
            return None
        except Exception as failure:
            self._lose(failure)
            return None
        self._refusal = None
        return answer

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except Exception as failure:
                self._lose(failure)
            if self._stopped.is_set():
                return
            self._away()
            self._tries += 1
            if self._tries == 2:
                self._missed()  # what was told before they heard that we are away
            self._stopped.wait(RETRY_SECONDS)

    def _listen(self) -> None:
        """Returns when stopped."""
        with closing(self._client.pubsub(ignore_subscribe_messages=True)) as ears:
            ears.subscribe(self._channel, self._echoes)
            token, asked = self._ask_for_echo()
            while not self._stopped.is_set():
                found = ears.get_message(timeout=ANSWER_SECONDS)
                now = time.monotonic()
                if found is not None and found["channel"] == self._channel:
                    self._take(found["data"])
                    asked = now  # the echo comes behind it
                elif found is not None and found["data"] == token:
                    token = ""
                    self._find()
                if token and now - asked > 2 * ANSWER_SECONDS:
                    raise TimeoutError("a message to itself did not come back")
                if not token and (now - asked > ECHO_SECONDS or not self._up):
                    token, asked = self._ask_for_echo()

    def _ask_for_echo(self) -> tuple[str, float]:
        token = str(next(self._tokens))
        self._client.publish(self._echoes, token)
        return token, time.monotonic()

    def _take(self, sealed: str) -> None:
        seal, message = sealed[:SEAL_CHARACTERS], sealed[SEAL_CHARACTERS:]
        if hmac.compare_digest(seal.encode(), self._seal(message).encode()):
            self._hear(message)

    def _seal(self, message: str) -> str:
        return blake2b(message.encode(), key=self._key, digest_size=SEAL_CHARACTERS // 2).hexdigest()

    def _lose(self, failure: Exception) -> None:
        with self._lock:
            self._up = False
            self._cause = _first_line(failure)
            first = self._away_since is None
            if first:
                self._away_since = time.monotonic()
        if first and not self._stopped.is_set():
            log.warning("redis.away", error=self._cause, next_try_seconds=RETRY_SECONDS)

    def _find(self) -> None:
        with self._lock:
            self._up = True
            since, self._away_since = self._away_since, None
            tries, self._tries = self._tries, 0
        if since is not None:
            log.info("redis.back", seconds=round(time.monotonic() - since, 1))
        if tries:
            self._missed()


def _client(url: str) -> Any:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ConfigurationError(
            "FLEXIROASTER_REDIS_URL is set, but the Redis library is not installed: install flexiroaster[redis], or "
            "unset it."
        ) from error
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),  # what is tried again, and when, is decided here
    )


def _first_line(failure: Exception) -> str:
    return (str(failure).strip().splitlines() or [type(failure).__name__])[0][:200]
