"""The broker of a fleet as one of its processes uses it: it tells others of work, and hears of some if it runs any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.engine.runs import Key

if TYPE_CHECKING:
    from flexiroaster.runtime.celery_app import CeleryConsumer


class Broker:
    """`start` once; `stop` may be called twice. Raises `ConfigurationError` where its libraries are missing."""

    def __init__(self, url: str) -> None:
        try:
            from flexiroaster.dispatch.celery import CeleryDispatch
        except ImportError as error:
            raise ConfigurationError(
                f"FLEXIROASTER_BROKER_URL is set, but {error.name} is not installed: install flexiroaster[fleet], or "
                "unset it to do without a broker."
            ) from None
        self._url = url
        self.dispatch = CeleryDispatch(url)
        self._consumer: CeleryConsumer | None = None

    @property
    def trouble(self) -> str | None:
        """A sentence while it is away."""
        return self.dispatch.trouble

    @property
    def is_dry(self) -> bool:
        """Whether nothing comes from it at the moment."""
        return self._consumer is None or self._consumer.is_dry

    def listen(
        self,
        pools: Sequence[str] | None,
        wait_for_room: Callable[[float], bool],
        take: Callable[[str, list[Key]], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Before `start`: hear of work for these pools while there is room."""
        from flexiroaster.runtime.celery_app import CeleryConsumer

        self._consumer = CeleryConsumer(
            self._url, pools, wait_for_room=wait_for_room, take=lambda hint: take(*hint), on_lost=on_lost
        )

    def start(self) -> None:
        self.dispatch.start()
        if self._consumer is not None:
            self._consumer.start()

    def listen_no_more(self) -> None:
        if self._consumer is not None:
            self._consumer.stop()

    def stop(self) -> None:
        """What was announced is told before, if that is possible soon."""
        self.listen_no_more()
        self.dispatch.stop()
