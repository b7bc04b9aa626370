"""The other servers of this database, as whoever changes executions knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from flexiroaster.dispatch.port import Ready, Work


class Others(Protocol):
    """Every message only wakes: what it says is in the database. All of it returns at once, from any thread."""

    @property
    def present(self) -> bool:
        """Whether there may be any. While there are none, what is in memory is what is committed."""
        ...

    def work(self, ready: Sequence[Ready]) -> None:
        """These are more than this server comes to soon."""
        ...

    def stop(self, work: Iterable[Work]) -> None:
        """Whoever runs these must stop."""
        ...

    def slots(self, freed: Mapping[str, int | None]) -> None:
        """So many slots of these pools are free; None: look at all that wait for it."""
        ...


class Nobody:
    """This server is alone on its database."""

    present = False

    def work(self, ready: Sequence[Ready]) -> None:
        pass

    def stop(self, work: Iterable[Work]) -> None:
        pass

    def slots(self, freed: Mapping[str, int | None]) -> None:
        pass


NOBODY = Nobody()
