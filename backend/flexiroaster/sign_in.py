"""From a secret and a database to accounts: for the server, and for commands that change accounts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flexiroaster.auth.keys import signing_keys
from flexiroaster.auth.passwords import Passwords
from flexiroaster.auth.throttle import LoginThrottle, Throttle
from flexiroaster.auth.tokens import Tokens
from flexiroaster.services.accounts import Accounts
from flexiroaster.store.database import Database

if TYPE_CHECKING:
    from flexiroaster.bus.redis import RedisLink


def make_accounts(database: Database, secret: str, link: RedisLink | None = None) -> Accounts:
    return Accounts(database, Tokens(signing_keys([secret])), Passwords(), _throttle(secret, link))


def _throttle(secret: str, link: RedisLink | None) -> Throttle:
    here = LoginThrottle(time.monotonic)
    if link is None:
        return here
    from flexiroaster.auth.shared_throttle import SharedThrottle
    from flexiroaster.several_servers import shared_key

    return SharedThrottle(link, shared_key(secret), here)
