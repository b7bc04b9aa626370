from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from flexiroaster.auth.errors import Throttled, Unauthenticated
from flexiroaster.auth.identity import SessionsEnded, SignedIn
from flexiroaster.auth.keys import signing_keys
from flexiroaster.auth.passwords import Passwords
from flexiroaster.auth.permissions import Role
from flexiroaster.auth.throttle import LoginThrottle
from flexiroaster.auth.tokens import Tokens
from flexiroaster.engine.errors import ConfigurationError, Conflict, InvalidRequest, NotFound
from flexiroaster.services.accounts import CACHE_LIFETIME, SESSION_LIFETIME, Accounts
from flexiroaster.store.database import Database

ADA, PASSWORD = "ada@example.com", "a quiet green river"
HERE = "192.0.2.1"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_accounts(database: Database, clock: Clock) -> Accounts:
    tokens = Tokens(signing_keys(["s" * 48]), clock=clock)
    passwords = Passwords(time_cost=1, memory_kib=64, parallelism=1)
    return Accounts(database, tokens, passwords, LoginThrottle(clock.seconds), clock)


@pytest.fixture
def accounts(database: Database, clock: Clock) -> Accounts:
    return make_accounts(database, clock)


@pytest.fixture
def ada(accounts: Accounts) -> SignedIn:
    return accounts.setup(accounts.create_setup_link(), ADA, PASSWORD)


def refused(accounts: Accounts, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        accounts.user_of(token)
    return caught.value.code


def test_the_first_account_is_made_by_a_link_and_is_an_administrator(accounts: Accounts) -> None:
    assert accounts.setup_needed()
    signed_in = accounts.setup(accounts.create_setup_link(), " Ada@Example.com ", PASSWORD)
    assert (signed_in.user.email, signed_in.user.role) == (ADA, "admin")
    assert accounts.user_of(signed_in.access.text).user_id == signed_in.user.id
    assert not accounts.setup_needed()
    with pytest.raises(Conflict):
        accounts.create_setup_link()


def test_a_link_works_once_and_only_until_an_account_exists(accounts: Accounts) -> None:
    link = accounts.create_setup_link()
    accounts.setup(link, ADA, PASSWORD)
    with pytest.raises(Conflict):
        accounts.setup(link, "eve@example.com", PASSWORD)


def test_a_link_lives_fifteen_minutes(accounts: Accounts, clock: Clock) -> None:
    link = accounts.create_setup_link()
    clock.now += timedelta(minutes=15)
    with pytest.raises(Unauthenticated, match="15 minutes"):
        accounts.setup(link, ADA, PASSWORD)


def test_a_new_link_replaces_the_one_before(accounts: Accounts) -> None:
    old, new = accounts.create_setup_link(), accounts.create_setup_link()
    with pytest.raises(Unauthenticated):
        accounts.setup(old, ADA, PASSWORD)
    accounts.setup(new, ADA, PASSWORD)


def test_a_refused_password_leaves_the_link_good(accounts: Accounts) -> None:
    link = accounts.create_setup_link()
    with pytest.raises(InvalidRequest):
        accounts.setup(link, ADA, "password123")
    with pytest.raises(InvalidRequest, match="no e-mail address"):
        accounts.setup(link, "ada", PASSWORD)
    accounts.setup(link, ADA, PASSWORD)


def test_of_many_set_ups_at_once_one_wins(accounts: Accounts) -> None:
    link = accounts.create_setup_link()
    outcomes: list[str] = []

    def attempt(number: int) -> None:
        try:
            accounts.setup(link, f"user{number}@example.com", PASSWORD)
            outcomes.append("made")
        except (Conflict, Unauthenticated, Throttled):
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["refused"] * 7
    assert len(accounts.list_users()) == 1


def test_the_administrator_of_the_settings_is_made_once(accounts: Accounts) -> None:
    assert accounts.ensure_admin(ADA, PASSWORD)
    assert not accounts.ensure_admin(ADA, "another long password")
    assert not accounts.setup_needed()
    assert accounts.sign_in(ADA, PASSWORD, HERE).user.role == "admin"


def test_a_weak_password_in_the_settings_stops_the_start(accounts: Accounts) -> None:
    with pytest.raises(ConfigurationError, match="FLEXIROASTER_ADMIN_PASSWORD"):
        accounts.ensure_admin(ADA, "short")
    with pytest.raises(ConfigurationError, match="FLEXIROASTER_ADMIN_EMAIL"):
        accounts.ensure_admin("ada", PASSWORD)


@pytest.mark.usefixtures("ada")
def test_sign_in_takes_the_address_in_any_case(accounts: Accounts) -> None:
    assert accounts.sign_in(" ADA@example.COM", PASSWORD, HERE).user.email == ADA


@pytest.mark.parametrize("email", [ADA, "nobody@example.com", "", "\x00", "lone \ud800", "x" * 5000, "' OR 1=1 --"])
@pytest.mark.usefixtures("ada")
def test_whatever_is_wrong_the_answer_is_the_same(accounts: Accounts, email: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        accounts.sign_in(email, "not the password", HERE)
    assert str(caught.value) == "The e-mail address or the password is wrong."


@pytest.mark.usefixtures("ada")
def test_guessing_is_slowed_down_for_known_and_unknown_accounts_alike(accounts: Accounts) -> None:
    for email in (ADA, "nobody@example.com"):
        for _ in range(5):
            with pytest.raises(Unauthenticated):
                accounts.sign_in(email, "not the password", HERE)
        with pytest.raises(Throttled):
            accounts.sign_in(email, PASSWORD, HERE)
    assert accounts.sign_in(ADA, PASSWORD, "192.0.2.2").user.email == ADA


def test_a_hash_of_older_parameters_is_made_anew(database: Database, clock: Clock, ada: SignedIn) -> None:
    tokens = Tokens(signing_keys(["s" * 48]), clock=clock)
    stronger = Passwords(time_cost=2, memory_kib=64, parallelism=1)
    accounts = Accounts(database, tokens, stronger, LoginThrottle(clock.seconds), clock)
    for _ in range(2):
        accounts.sign_in(ADA, PASSWORD, HERE)
    with database.read() as connection:
        stored = connection.exec_driver_sql("SELECT password_hash FROM users").scalar_one()
    assert ",t=2," in stored


def test_refreshing_gives_a_new_pair_in_the_same_session(accounts: Accounts, ada: SignedIn, clock: Clock) -> None:
    clock.now += timedelta(minutes=11)
    assert refused(accounts, ada.access.text) == "token_expired"
    renewed = accounts.refresh(ada.refresh_token)
    assert renewed.refresh_token != ada.refresh_token
    assert renewed.refresh_expires_at == ada.refresh_expires_at
    assert accounts.user_of(renewed.access.text).email == ADA


def test_a_refresh_token_used_twice_ends_its_session_alone(accounts: Accounts, ada: SignedIn) -> None:
    other = accounts.sign_in(ADA, PASSWORD, HERE)
    ended: list[SessionsEnded] = []
    accounts.on_sessions_ended(ended.append)
    renewed = accounts.refresh(ada.refresh_token)
    with pytest.raises(Unauthenticated):
        accounts.refresh(ada.refresh_token)
    with pytest.raises(Unauthenticated):
        accounts.refresh(renewed.refresh_token)
    assert refused(accounts, renewed.access.text) == "session_ended"
    assert accounts.user_of(other.access.text).email == ADA
    assert [event.session is not None for event in ended] == [True]


def test_of_two_refreshes_at_once_at_most_one_wins(accounts: Accounts, ada: SignedIn) -> None:
    renewed: list[SignedIn] = []

    def attempt() -> None:
        try:
            renewed.append(accounts.refresh(ada.refresh_token))
        except Unauthenticated:
            pass

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(renewed) == 1
    with pytest.raises(Unauthenticated):
        accounts.refresh(renewed[0].refresh_token)


def test_a_session_ends_after_thirty_days_however_often_renewed(
    accounts: Accounts, ada: SignedIn, clock: Clock
) -> None:
    token = ada.refresh_token
    for _ in range(29):
        clock.now += timedelta(days=1)
        token = accounts.refresh(token).refresh_token
    clock.now += SESSION_LIFETIME - timedelta(days=29)
    with pytest.raises(Unauthenticated):
        accounts.refresh(token)


@pytest.mark.parametrize("token", ["", "x", "\ud800", "x" * 5000])
def test_unknown_refresh_tokens_are_refused_and_signing_out_with_them_does_no_harm(
    accounts: Accounts, ada: SignedIn, token: str
) -> None:
    with pytest.raises(Unauthenticated):
        accounts.refresh(token)
    accounts.sign_out(token)
    assert accounts.user_of(ada.access.text).email == ADA


def test_signing_out_ends_access_and_refresh_of_that_session(accounts: Accounts, ada: SignedIn) -> None:
    other = accounts.sign_in(ADA, PASSWORD, HERE)
    accounts.user_of(ada.access.text)
    accounts.sign_out(ada.refresh_token)
    assert refused(accounts, ada.access.text) == "session_ended"
    with pytest.raises(Unauthenticated):
        accounts.refresh(ada.refresh_token)
    assert accounts.user_of(other.access.text).email == ADA


def add(accounts: Accounts, role: Role = Role.EDITOR) -> SignedIn:
    accounts.create_user("bob@example.com", PASSWORD, role)
    return accounts.sign_in("bob@example.com", PASSWORD, HERE)


@pytest.mark.parametrize("change", ["password", "own password", "role", "disable"])
@pytest.mark.usefixtures("ada")
def test_a_change_of_the_user_ends_all_their_sessions_at_once(accounts: Accounts, change: str) -> None:
    bob = add(accounts)
    ended: list[SessionsEnded] = []
    accounts.on_sessions_ended(ended.append)
    caller = accounts.user_of(bob.access.text)
    match change:
        case "password":
            accounts.set_password(bob.user.id, "another long password")
        case "own password":
            accounts.change_password(bob.user.id, PASSWORD, "another long password")
        case "role":
            accounts.set_role(bob.user.id, Role.VIEWER)
        case _:
            accounts.disable_user(bob.user.id)
    assert refused(accounts, bob.access.text) == "session_ended"
    assert not accounts.is_live(caller)
    with pytest.raises(Unauthenticated):
        accounts.refresh(bob.refresh_token)
    assert ended == [SessionsEnded(bob.user.id)]


@pytest.mark.usefixtures("ada")
def test_who_is_disabled_cannot_sign_in_until_enabled(accounts: Accounts) -> None:
    bob = add(accounts)
    accounts.disable_user(bob.user.id)
    with pytest.raises(Unauthenticated, match="password is wrong"):
        accounts.sign_in("bob@example.com", PASSWORD, HERE)
    accounts.enable_user(bob.user.id)
    accounts.sign_in("bob@example.com", PASSWORD, HERE)


def test_another_servers_change_is_seen_within_seconds(
    accounts: Accounts, database: Database, clock: Clock, ada: SignedIn
) -> None:
    bob = add(accounts)
    accounts.user_of(bob.access.text)
    assert accounts.known_caller(bob.access.text) is not None
    make_accounts(database, clock).disable_user(bob.user.id)
    clock.now += CACHE_LIFETIME
    assert accounts.known_caller(bob.access.text) is None
    assert refused(accounts, bob.access.text) == "session_ended"


@pytest.mark.usefixtures("ada")
def test_changing_ones_password_needs_the_present_one_and_cannot_be_guessed(accounts: Accounts) -> None:
    bob = add(accounts)
    for _ in range(5):
        with pytest.raises(InvalidRequest, match="current password"):
            accounts.change_password(bob.user.id, "a wild guess", "another long password")
    with pytest.raises(Throttled):
        accounts.change_password(bob.user.id, PASSWORD, "another long password")


def test_the_last_administrator_stays(accounts: Accounts, ada: SignedIn) -> None:
    with pytest.raises(Conflict, match="last administrator"):
        accounts.disable_user(ada.user.id)
    with pytest.raises(Conflict, match="last administrator"):
        accounts.set_role(ada.user.id, Role.EDITOR)
    assert accounts.user_of(ada.access.text).role == "admin"
    bob = add(accounts, Role.ADMIN)
    accounts.disable_user(ada.user.id)
    with pytest.raises(Conflict):
        accounts.disable_user(bob.user.id)


def test_users_are_listed_found_and_unique(accounts: Accounts, ada: SignedIn) -> None:
    add(accounts)
    assert [user.email for user in accounts.list_users()] == [ADA, "bob@example.com"]
    assert accounts.user_named("BOB@example.com").role == "editor"
    with pytest.raises(Conflict):
        accounts.create_user(ADA, PASSWORD, Role.VIEWER)
    for missing in (accounts.user, accounts.user_named, accounts.disable_user, accounts.enable_user):
        with pytest.raises(NotFound):
            missing("nobody")


def test_a_failing_hook_hurts_nobody_and_can_be_removed(accounts: Accounts, ada: SignedIn) -> None:
    ended: list[SessionsEnded] = []

    def fails(_: SessionsEnded) -> None:
        raise RuntimeError("boom")

    accounts.on_sessions_ended(fails)
    stop = accounts.on_sessions_ended(ended.append)
    accounts.sign_out(ada.refresh_token)
    assert len(ended) == 1
    stop()
    accounts.end_session(ada.user.id, "another")
    assert len(ended) == 1


def test_neither_passwords_nor_tokens_are_stored(accounts: Accounts, database: Database, ada: SignedIn) -> None:
    link_like = (ada.refresh_token, ada.access.text, PASSWORD)
    with database.read() as connection:
        for table in ("users", "refresh_tokens", "one_time_links"):
            text = str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            assert not any(secret in text for secret in link_like)
