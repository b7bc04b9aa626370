"""Accounts and sessions: who may sign in, who is asking, and how a session ends everywhere at once.

A session is a family of refresh tokens that descend from one sign-in. Its access tokens carry the family's name and
the user's `token_version`, so that ending one session or all of a user takes effect at the next look-up.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from flexiroaster.auth.errors import Unauthenticated
from flexiroaster.auth.identity import Account, Caller, SessionsEnded, SignedIn
from flexiroaster.auth.passwords import Passwords
from flexiroaster.auth.permissions import Role
from flexiroaster.auth.throttle import Throttle
from flexiroaster.auth.tokens import AccessClaims, Clock, Tokens, digest, new_secret, utc_now
from flexiroaster.engine.errors import ConfigurationError, Conflict, FlexiRoasterError, InvalidRequest, NotFound
from flexiroaster.engine.ids import time_ordered_id
from flexiroaster.engine.quoting import quoted
from flexiroaster.store import accounts as store
from flexiroaster.store import groups
from flexiroaster.store.database import Database, Transaction

log = structlog.get_logger(__name__)

SESSION_LIFETIME = timedelta(days=30)
"""From the sign-in, however often it is renewed."""
SETUP_LINK_LIFETIME = timedelta(minutes=15)
CACHE_LIFETIME = timedelta(seconds=5)
"""How long another process's change may go unseen where its message is lost."""
CACHED_CALLERS = 10_000
KEPT_AFTER_EXPIRY = timedelta(days=1)
SETUP = "setup"
LONGEST_EMAIL = 320
GROUP_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")


class _Reused(NamedTuple):
    user_id: str
    family: str


class Accounts:
    """Every method but `known_caller` and `on_sessions_ended` blocks: call it in a thread, not on the event loop."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        passwords: Passwords,
        throttle: Throttle,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock
        self._set_up = False
        self._hooks: tuple[Callable[[SessionsEnded], None], ...] = ()
        self._callers: dict[tuple[str, str], tuple[store.UserRow, datetime]] = {}
        self._endings = 0
        self.on_ended_here: Callable[[SessionsEnded], None] = lambda ended: None

    # The first account

    def setup_needed(self) -> bool:
        if not self._set_up:
            with self._database.read() as connection:
                self._set_up = store.any_user(connection)
        return not self._set_up

    def create_setup_link(self) -> str:
        """A token that makes the first account, once, within 15 minutes; links made before stop working."""
        if not self.setup_needed():
            raise Conflict("There is an account already: sign in with it.", "already_set_up")
        token = new_secret()
        now = self._clock()

        def operation(tx: Transaction) -> None:
            store.replace_link(
                tx.sa, purpose=SETUP, digest=digest(token), now=now, expires_at=now + SETUP_LINK_LIFETIME
            )

        self._database.write(operation)
        return token

    def setup(self, token: str, email: str, password: str) -> SignedIn:
        """Make the first account, an administrator, and sign it in."""
        with self._database.read() as connection:
            if store.any_user(connection):
                raise Conflict("There is an account already: sign in with it.", "already_set_up")
            if not store.link_is_good(connection, SETUP, digest(token), self._clock()):
                raise _bad_link()
        email = _checked_email(email)
        self._passwords.check_policy(password, email)
        password_hash = self._passwords.hash(password)
        now = self._clock()
        user_id = self._new_id(now)

        def operation(tx: Transaction) -> None:
            if store.any_user(tx.sa):
                raise Conflict("There is an account already: sign in with it.", "already_set_up")
            if not store.use_link(tx.sa, SETUP, digest(token), now):
                raise _bad_link()
            store.insert_user(
                tx.sa, id=user_id, email=email, password_hash=password_hash, role=Role.ADMIN.value, now=now
            )

        self._write_user(operation, email)
        log.info("auth.set_up", user=user_id)
        return self._open_session(user_id, password_hash)

    def ensure_admin(self, email: str, password: str) -> bool:
        """Make the administrator of an unattended start; an account that exists is left as it is. Answers whether
        it was made."""
        try:
            email = _checked_email(email)
            with self._database.read() as connection:
                if store.user_by_email(connection, email) is not None:
                    return False
            self.create_user(email, password, Role.ADMIN)
        except Conflict:
            return False
        except InvalidRequest as error:
            variable = "FLEXIROASTER_ADMIN_PASSWORD" if error.code == "weak_password" else "FLEXIROASTER_ADMIN_EMAIL"
            raise ConfigurationError(f"{variable} is not usable: {error}") from error
        return True

    # Sessions

    def sign_in(self, email: str, password: str, address: str) -> SignedIn:
        """Raises `Throttled`, or `Unauthenticated` with the same sentence and after the same time for whatever is
        wrong."""
        name = email.strip().lower()[:LONGEST_EMAIL]
        self._throttle.admit(name, address)
        user = self._user_named(name)
        known_hash = user.password_hash if user is not None and not user.disabled else None
        if not self._passwords.verify(password, known_hash) or user is None:
            log.warning("auth.sign_in_refused", email=name, address=address)
            raise _wrong_credentials()
        self._throttle.succeeded(name, address)
        password_hash = user.password_hash
        if self._passwords.is_outdated(password_hash):
            password_hash = self._rehash(user, password)
        signed_in = self._open_session(user.id, password_hash)
        log.info("auth.signed_in", user=user.id, address=address)
        return signed_in

    def sign_in_as_owner(self) -> SignedIn:
        """For who holds the server's secret (the command line beside the data folder): a session of the first
        administrator, without a password.
        """
        with self._database.read() as connection:
            users = store.all_users(connection)
        user = next((user for user in users if user.role == Role.ADMIN.value and not user.disabled), None)
        if user is None:
            raise Unauthenticated(
                "There is no administrator yet: follow the one-time link that the server printed, or run "
                "`flexiroaster user create E-MAIL --role admin`."
            )
        return self._open_session(user.id, user.password_hash)

    def refresh(self, refresh_token: str) -> SignedIn:
        """Trade a refresh token for the next one. One that was traded before was stolen: its session ends."""
        now = self._clock()
        new_token, new_id = new_secret(), self._new_id(now)

        def operation(tx: Transaction) -> tuple[store.RefreshRow, store.UserRow] | _Reused | None:
            row = store.refresh_by_digest(tx.sa, digest(refresh_token))
            if row is None or row.revoked_at is not None or row.expires_at <= now:
                return None
            if not store.use_refresh(tx.sa, row.id, now):
                store.end_family(tx.sa, row.family, now)
                return _Reused(row.user_id, row.family)
            user = store.user_by_id(tx.sa, row.user_id)
            if user is None or user.disabled:
                return None
            store.insert_refresh(
                tx.sa, id=new_id, user_id=user.id, family=row.family, digest=digest(new_token), now=now,
                expires_at=row.expires_at,
            )  # fmt: skip
            return row, user

        outcome = self._database.write(operation)
        if isinstance(outcome, _Reused):
            log.warning("auth.refresh_token_reused", user=outcome.user_id, session=outcome.family)
            self._announce(SessionsEnded(outcome.user_id, outcome.family))
            raise _session_over()
        if outcome is None:
            raise _session_over()
        row, user = outcome
        access = self._tokens.issue(user.id, row.family, user.token_version)
        return SignedIn(access, new_token, row.expires_at, _account(user))

    def sign_out(self, refresh_token: str) -> None:
        """End the session of a refresh token; one that is unknown or already ended does no harm."""
        with self._database.read() as connection:
            row = store.refresh_by_digest(connection, digest(refresh_token))
        if row is not None:
            self.end_session(row.user_id, row.family)

    def end_session(self, user_id: str, session: str) -> None:
        now = self._clock()
        self._database.write(lambda tx: store.end_family(tx.sa, session, now), durable=True)
        log.info("auth.signed_out", user=user_id)
        self._announce(SessionsEnded(user_id, session))

    def user_of(self, access_token: str) -> Caller:
        """Raises `Unauthenticated` for a token that is not ours, too old, or whose session or user has ended."""
        claims = self._tokens.read(access_token)
        return self._cached(claims) or self._looked_up(claims)

    def known_caller(self, access_token: str) -> Caller | None:
        """`user_of` without touching the database: None when that would be needed. Fit for the event loop."""
        return self._cached(self._tokens.read(access_token))

    def is_live(self, caller: Caller) -> bool:
        """Whether the session may go on with the same role, looked up now."""
        with self._database.read() as connection:
            user = store.user_of_session(connection, caller.user_id, caller.session)
        return user is not None and not user.disabled and user.role == caller.role

    def on_sessions_ended(self, hook: Callable[[SessionsEnded], None]) -> Callable[[], None]:
        """Call `hook` (in the thread that ended them) whenever sessions end; answers how to stop."""
        self._hooks = (*self._hooks, hook)

        def stop() -> None:
            self._hooks = tuple(known for known in self._hooks if known is not hook)

        return stop

    # Users

    def list_users(self) -> list[Account]:
        with self._database.read() as connection:
            members = groups.members(connection)
            return [_account(user, members.get(user.id, ())) for user in store.all_users(connection)]

    def user(self, user_id: str) -> Account:
        with self._database.read() as connection:
            found = store.user_by_id(connection, user_id)
        if found is None:
            raise NotFound("user", user_id)
        return _account(found)

    def user_named(self, email: str) -> Account:
        found = self._user_named(email.strip().lower())
        if found is None:
            raise NotFound("user", email)
        return _account(found)

    def create_user(self, email: str, password: str, role: Role) -> Account:
        email = _checked_email(email)
        self._passwords.check_policy(password, email)
        password_hash = self._passwords.hash(password)
        now = self._clock()
        user_id = self._new_id(now)

        def operation(tx: Transaction) -> None:
            if store.user_by_email(tx.sa, email) is not None:
                raise _email_taken(email)
            store.insert_user(tx.sa, id=user_id, email=email, password_hash=password_hash, role=role.value, now=now)

        self._write_user(operation, email)
        log.info("auth.user_created", user=user_id, role=role.value)
        return self.user(user_id)

    def change_password(self, user_id: str, current: str, new: str) -> None:
        """For the user themselves. Every session ends, the present one too."""
        with self._database.read() as connection:
            user = store.user_by_id(connection, user_id)
        if user is None:
            raise NotFound("user", user_id)
        place = "change of password"  # a count of its own, so that it cannot be used to get past the one of sign-in
        self._throttle.admit(user.email, place)
        if not self._passwords.verify(current, user.password_hash):
            raise InvalidRequest("The current password is wrong.", "wrong_password")
        self._throttle.succeeded(user.email, place)
        self.set_password(user_id, new)

    def set_password(self, user_id: str, new: str) -> None:
        """For an administrator and the command line. Every session of the user ends."""
        self._passwords.check_policy(new, self.user(user_id).email)
        password_hash = self._passwords.hash(new)
        self._change(user_id, "auth.password_changed", lambda sa: store.set_password_hash(sa, user_id, password_hash))

    def set_role(self, user_id: str, role: Role) -> None:
        """Every session of the user ends. Raises `Conflict` for the last administrator."""

        def change(connection: sa.Connection) -> None:
            if role is not Role.ADMIN:
                _refuse_last_admin(connection, user_id)
            store.set_role(connection, user_id, role.value)

        self._change(user_id, "auth.role_changed", change)

    def set_groups(self, user_id: str, names: Sequence[str]) -> None:
        """The groups that the user is in, and no others. They decide who is asked for an approval."""
        for name in names:
            if not GROUP_NAME.fullmatch(name):
                raise InvalidRequest(
                    f"{quoted(name)} is no name of a group: use letters, digits, _, - and ., at most 80.",
                    "invalid_group",
                )
        self.user(user_id)
        self._database.write(lambda tx: groups.set_groups(tx.sa, user_id, names), durable=True)
        log.info("auth.groups_changed", user=user_id, groups=sorted(names))

    def disable_user(self, user_id: str) -> None:
        """Every session of the user ends. Raises `Conflict` for the last administrator."""

        def change(connection: sa.Connection) -> None:
            _refuse_last_admin(connection, user_id)
            store.set_disabled(connection, user_id, True)

        self._change(user_id, "auth.user_disabled", change)

    def enable_user(self, user_id: str) -> None:
        self._change(user_id, "auth.user_enabled", lambda sa: store.set_disabled(sa, user_id, False))

    # Below: how

    def _open_session(self, user_id: str, password_hash: str) -> SignedIn:
        """`password_hash` is the one that was just verified: a password changed meanwhile opens no session."""
        now = self._clock()
        token, row_id, family = new_secret(), self._new_id(now), self._new_id(now)
        expires_at = now + SESSION_LIFETIME

        def operation(tx: Transaction) -> store.UserRow:
            user = store.user_by_id(tx.sa, user_id)
            if user is None or user.disabled or user.password_hash != password_hash:
                raise _wrong_credentials()
            store.forget_sessions(tx.sa, user_id, now - KEPT_AFTER_EXPIRY)
            store.insert_refresh(
                tx.sa, id=row_id, user_id=user_id, family=family, digest=digest(token), now=now, expires_at=expires_at
            )
            store.set_last_login(tx.sa, user_id, now)
            return user

        user = self._database.write(operation)
        return SignedIn(self._tokens.issue(user_id, family, user.token_version), token, expires_at, _account(user))

    def _rehash(self, user: store.UserRow, password: str) -> str:
        password_hash = self._passwords.hash(password)

        def operation(tx: Transaction) -> str:
            now = store.user_by_id(tx.sa, user.id)
            if now is None or now.password_hash != user.password_hash:
                raise _wrong_credentials()
            store.set_password_hash(tx.sa, user.id, password_hash)
            return password_hash

        return self._database.write(operation)

    def _cached(self, claims: AccessClaims) -> Caller | None:
        known = self._callers.get((claims.user_id, claims.session))
        if known is None or self._clock() >= known[1] or known[0].token_version != claims.token_version:
            return None
        return _caller(known[0], claims)

    def _looked_up(self, claims: AccessClaims) -> Caller:
        endings = self._endings
        with self._database.read() as connection:
            user = store.user_of_session(connection, claims.user_id, claims.session)
        if user is None or user.disabled or user.token_version != claims.token_version:
            raise _session_over()
        if endings == self._endings:  # else what was read may be older than an ending: it must not be remembered
            if len(self._callers) >= CACHED_CALLERS:
                self._callers.clear()
            self._callers[claims.user_id, claims.session] = (user, self._clock() + CACHE_LIFETIME)
        return _caller(user, claims)

    def _change(self, user_id: str, event: str, change: Callable[[sa.Connection], None]) -> None:
        """Change a user and end all their sessions in the same transaction."""
        now = self._clock()

        def operation(tx: Transaction) -> None:
            if store.user_by_id(tx.sa, user_id) is None:
                raise NotFound("user", user_id)
            change(tx.sa)
            store.end_all_sessions(tx.sa, user_id, now)

        self._database.write(operation, durable=True)
        log.info(event, user=user_id)
        self._announce(SessionsEnded(user_id))

    def _announce(self, ended: SessionsEnded) -> None:
        self.note_ended(ended)
        self.on_ended_here(ended)

    def note_ended(self, ended: SessionsEnded) -> None:
        """Sessions have ended, here or by another server."""
        self._endings += 1
        self._callers.clear()
        for hook in self._hooks:
            try:
                hook(ended)
            except Exception:
                log.exception("auth.hook_failed", user=ended.user_id)

    def _write_user(self, operation: Callable[[Transaction], None], email: str) -> None:
        try:
            self._database.write(operation, durable=True)
        except IntegrityError as error:  # another server was first
            raise _email_taken(email) from error
        self._set_up = True

    def _user_named(self, email: str) -> store.UserRow | None:
        if "\x00" in email or not _is_text(email):
            return None
        with self._database.read() as connection:
            return store.user_by_email(connection, email)

    def _new_id(self, now: datetime) -> str:
        return time_ordered_id(int(now.timestamp() * 1000), secrets.randbits(74))


def _account(user: store.UserRow, groups: Sequence[str] = ()) -> Account:
    return Account(user.id, user.email, user.role, user.disabled, user.created_at, user.last_login_at, tuple(groups))


def _caller(user: store.UserRow, claims: AccessClaims) -> Caller:
    return Caller(user.id, user.email, user.role, claims.session, claims.expires_at)


def _checked_email(email: str) -> str:
    """Lower case, as it is stored and compared."""
    plain = email.strip().lower()
    name, at, domain = plain.rpartition("@")
    if not (at and name and domain) or len(plain) > LONGEST_EMAIL or not plain.isprintable() or " " in plain:
        raise InvalidRequest(
            f"{email[:80]!r} is no e-mail address: write one such as ada@example.com.", "invalid_email"
        )
    return plain


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_last_admin(connection: sa.Connection, user_id: str) -> None:
    if store.lock_enabled_admins(connection) == [user_id]:
        raise Conflict("This is the last administrator: make another one first.", "last_administrator")


def _email_taken(email: str) -> FlexiRoasterError:
    return Conflict(f"There is an account with the address {email} already.", "email_taken")


def _bad_link() -> FlexiRoasterError:
    return Unauthenticated(
        "This sign-in link has been used or is older than 15 minutes: restart the server to print a new one.",
        "link_expired",
    )


def _wrong_credentials() -> FlexiRoasterError:
    return Unauthenticated("The e-mail address or the password is wrong.", "wrong_credentials")


def _session_over() -> FlexiRoasterError:
    return Unauthenticated("The session has ended: sign in again.", "session_ended")
