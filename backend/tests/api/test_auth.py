from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import jwt
import pytest
import time_machine
from fastapi import APIRouter, Depends, FastAPI

from flexiroaster.api.auth import COOKIE
from flexiroaster.api.deps import STARTS_AT_ONCE, GuardedRoute, install_accounts, permit, undeclared_routes
from flexiroaster.auth.errors import Throttled
from flexiroaster.auth.permissions import LOWEST_ROLE, Role, open_to_all
from flexiroaster.auth.throttle import RequestRate
from flexiroaster.services.accounts import Accounts
from flexiroaster.store.database import Database
from tests.api.auth_app import KEYS, ORIGIN, PASSWORD, Seconds, client_of, make_accounts, make_app

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = Database.open(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def accounts(database: Database, seconds: Seconds) -> Accounts:
    return make_accounts(database, seconds)


@pytest.fixture
def app(accounts: Accounts) -> FastAPI:
    return make_app(accounts)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as opened:
        yield opened


@pytest.fixture
def users(accounts: Accounts) -> None:
    accounts.ensure_admin(ADA, PASSWORD)
    for role in (Role.VIEWER, Role.OPERATOR, Role.EDITOR):
        accounts.create_user(f"{role}@example.com", PASSWORD, role)


async def sign_in(client: httpx.AsyncClient, email: str = ADA, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/api/auth/login", data={"username": email, "password": password})


async def bearer(client: httpx.AsyncClient, email: str = ADA) -> dict[str, str]:
    answer = await sign_in(client, email)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_first_start_link_account_and_session(client: httpx.AsyncClient, accounts: Accounts) -> None:
    assert (await client.get("/api/auth/setup")).json() == {"needed": True}
    body = {"token": accounts.create_setup_link(), "email": ADA, "password": PASSWORD}
    made = await client.post("/api/auth/setup", json=body)
    assert made.status_code == 201
    assert made.json()["user"]["role"] == "admin"
    headers = {"Authorization": f"Bearer {made.json()['access_token']}"}
    assert (await client.get("/api/auth/me", headers=headers)).json()["email"] == ADA
    assert (await client.get("/api/auth/setup")).json() == {"needed": False}
    assert (await client.post("/api/auth/setup", json=body)).status_code == 409


async def test_a_guessed_link_makes_no_account(client: httpx.AsyncClient, accounts: Accounts) -> None:
    accounts.create_setup_link()
    body = {"token": "guess", "email": ADA, "password": PASSWORD}
    answer = await client.post("/api/auth/setup", json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "link_expired")
    assert accounts.setup_needed()


@pytest.mark.usefixtures("users")
async def test_login_answers_as_oauth_says_and_sets_a_strict_cookie(client: httpx.AsyncClient) -> None:
    answer = await sign_in(client)
    body = answer.json()
    assert answer.status_code == 200
    assert body["token_type"] == "bearer"
    assert 0 < body["expires_in"] <= 900
    assert body["user"]["email"] == ADA
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(COOKIE)
    for flag in ("httponly", "samesite=strict", "path=/api/auth"):
        assert flag in cookie
    assert "secure" not in cookie
    assert answer.headers["cache-control"] == "no-store"


async def test_cookies_are_secure_exactly_when_the_public_address_is_https(accounts: Accounts) -> None:
    accounts.ensure_admin(ADA, PASSWORD)
    app = make_app(accounts, public_url="https://roast.example.com")
    async with client_of(app, base_url="https://roast.example.com") as client:
        assert "; Secure" in (await sign_in(client)).headers["set-cookie"]


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("media", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_login_takes_a_form_only(client: httpx.AsyncClient, media: str) -> None:
    body = b"username=ada%40example.com&password=a+quiet+green+river"
    answer = await client.post("/api/auth/login", content=body, headers={"Content-Type": media})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.usefixtures("users")
async def test_wrong_password_and_unknown_user_get_the_same_answer(client: httpx.AsyncClient) -> None:
    wrong = await sign_in(client, ADA, "a wrong password")
    unknown = await sign_in(client, "nobody@example.com", "a wrong password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]
    assert "set-cookie" not in wrong.headers


@pytest.mark.usefixtures("users")
async def test_guessing_is_answered_with_retry_after(client: httpx.AsyncClient, app: FastAPI, seconds: Seconds) -> None:
    statuses = [(await sign_in(client, ADA, "a wrong password")).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    refused = await sign_in(client)
    assert refused.status_code == 429
    async with client_of(app, "192.0.2.99") as elsewhere:
        assert (await sign_in(elsewhere)).status_code == 200
    seconds.now += int(refused.headers["retry-after"])
    assert (await sign_in(client)).status_code == 200


@pytest.mark.usefixtures("users")
async def test_a_forwarded_address_does_not_get_around_the_limit(client: httpx.AsyncClient) -> None:
    for number in range(6):
        form = {"username": ADA, "password": "a wrong password"}
        spoofed = {"X-Forwarded-For": f"10.0.0.{number}", "X-Real-IP": f"10.0.0.{number}", "Forwarded": "for=10.0.0.1"}
        answer = await client.post("/api/auth/login", data=form, headers=spoofed)
    assert answer.status_code == 429


@pytest.mark.usefixtures("users")
async def test_refresh_rotates_and_a_second_use_ends_the_session(client: httpx.AsyncClient) -> None:
    first = (await sign_in(client)).cookies[COOKIE]
    renewed = await client.post("/api/auth/refresh")
    assert renewed.status_code == 200
    second = renewed.cookies[COOKIE]
    assert second != first
    client.cookies.clear()
    reused = await client.post("/api/auth/refresh", headers={"Cookie": f"{COOKIE}={first}"})
    assert reused.status_code == 401
    assert "max-age=0" in reused.headers["set-cookie"].lower()
    ended = await client.post("/api/auth/refresh", headers={"Cookie": f"{COOKIE}={second}"})
    assert ended.status_code == 401
    headers = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
    assert (await client.get("/api/auth/me", headers=headers)).status_code == 401


@pytest.mark.usefixtures("users")
async def test_an_access_token_is_no_refresh_token(client: httpx.AsyncClient) -> None:
    token = (await sign_in(client)).json()["access_token"]
    client.cookies.clear()
    assert (await client.post("/api/auth/refresh")).status_code == 401
    answer = await client.post("/api/auth/refresh", headers={"Cookie": f"{COOKIE}={token}"})
    assert answer.status_code == 401


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("by", ["cookie", "bearer"])
async def test_logout_ends_the_access_token_too(client: httpx.AsyncClient, by: str) -> None:
    headers = await bearer(client)
    if by == "bearer":
        client.cookies.clear()
    answer = await client.post("/api/auth/logout", headers=headers if by == "bearer" else {})
    assert answer.status_code == 200
    assert (await client.get("/api/auth/me", headers=headers)).status_code == 401
    assert (await client.post("/api/auth/refresh")).status_code == 401


@pytest.mark.usefixtures("users")
async def test_an_access_token_ends_by_itself(client: httpx.AsyncClient) -> None:
    headers = await bearer(client)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
        answer = await client.get("/api/auth/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert answer.headers["www-authenticate"] == "Bearer"


def forged(user_id: str) -> list[str]:
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": "flexiroaster", "typ": "access", "sub": user_id, "sid": "x", "ver": 0, "jti": "j"}
    claims |= {"iat": str(now), "exp": str(now + 600)}
    return [jwt.encode(claims, b"k" * 32, algorithm="HS256", headers={"kid": KEYS.current}), "x.y.z", "fr_0123"]


@pytest.mark.usefixtures("users")
async def test_nothing_but_a_good_bearer_token_opens_a_route(client: httpx.AsyncClient, accounts: Accounts) -> None:
    good = (await sign_in(client)).json()["access_token"]
    refused: list[dict[str, str]] = [{}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"X-Api-Key": good}]
    refused += [{"Authorization": f"{scheme} {good}"} for scheme in ("Basic", "Token", "Bearer x")]
    refused += [{"Authorization": f"Bearer {token}"} for token in forged(accounts.user_named(ADA).id)]
    refused += [{"Cookie": f"access_token={good}"}]
    for headers in refused:
        assert (await client.get("/api/auth/me", headers=headers)).status_code == 401, headers
        assert (await client.get(f"/api/auth/me?token={good}&access_token={good}", headers=headers)).status_code == 401
    assert (await client.get("/api/auth/me", headers={"Authorization": f"bearer {good}"})).status_code == 200


@pytest.mark.usefixtures("users")
async def test_resources_named_like_open_routes_stay_closed(client: httpx.AsyncClient) -> None:
    for name in ("health", "login", "setup", "refresh", "ready"):
        assert (await client.get(f"/api/things/{name}")).status_code == 401


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize(
    ("role", "statuses"), [("viewer", (200, 403, 403)), ("operator", (200, 200, 403)), ("editor", (200, 200, 200))]
)
async def test_roles_decide(client: httpx.AsyncClient, role: str, statuses: tuple[int, int, int]) -> None:
    headers = await bearer(client, f"{role}@example.com")
    answers = [
        await client.get("/api/things/1", headers=headers),
        await client.post("/api/things/1/run", headers=headers),
        await client.post("/api/things", headers=headers, json={"name": "x"}),
    ]
    assert tuple(answer.status_code for answer in answers) == statuses


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("token", ["none", "viewer"])
async def test_permission_comes_before_everything_about_the_request(client: httpx.AsyncClient, token: str) -> None:
    """Before unknown ids, wrong types, malformed JSON, foreign media types and deep bodies."""
    headers = await bearer(client, "viewer@example.com") if token == "viewer" else {}
    expected = 403 if token == "viewer" else 401
    json_type = {"Content-Type": "application/json"}
    answers = [
        await client.put("/api/things/not-a-number", headers=headers),
        await client.post("/api/things", headers=headers, json={"wrong": True}),
        await client.post("/api/things", headers=headers | json_type, content=b"{broken"),
        await client.post("/api/things", headers=headers | json_type, content=b"[NaN]"),
        await client.post("/api/things", headers=headers | {"Content-Type": "text/plain"}, content=b"{}"),
        await client.post("/api/things/missing/run", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [expected] * len(answers)


@pytest.mark.usefixtures("users")
async def test_the_answer_names_the_role_that_is_missing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/things", headers=await bearer(client, "viewer@example.com"), json={})
    assert "editor" in answer.json()["detail"]


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("change", ["password", "role", "disable"])
async def test_a_change_of_the_user_shuts_the_door_at_once(
    client: httpx.AsyncClient, accounts: Accounts, change: str
) -> None:
    headers = await bearer(client, "editor@example.com")
    assert (await client.get("/api/things/1", headers=headers)).status_code == 200
    user_id = accounts.user_named("editor@example.com").id
    match change:
        case "password":
            accounts.set_password(user_id, "another long password")
        case "role":
            accounts.set_role(user_id, Role.VIEWER)
        case _:
            accounts.disable_user(user_id)
    assert (await client.get("/api/things/1", headers=headers)).status_code == 401
    assert (await client.post("/api/auth/refresh")).status_code == 401


def test_every_route_of_the_app_is_declared(app: FastAPI) -> None:
    assert undeclared_routes(app) == []


def test_a_route_that_declares_nothing_is_found(app: FastAPI) -> None:
    late = APIRouter(prefix="/late")

    @late.get("/undeclared")
    def undeclared() -> None: ...

    @late.get("/unguarded", dependencies=[Depends(permit("pipelines:read"))])
    def unguarded() -> None: ...

    @late.get("/open")
    @open_to_all
    def opened() -> None: ...

    guarded = APIRouter(prefix="/late", route_class=GuardedRoute)

    @guarded.get("/changes", dependencies=[Depends(permit("executions:run"))])
    def changes() -> None: ...

    outer = APIRouter(prefix="/outer")
    outer.include_router(late)
    outer.include_router(guarded)
    app.include_router(outer)
    app.mount("/mounted", FastAPI())
    found = "\n".join(undeclared_routes(app))
    for name in (
        "undeclared declares no",
        "unguarded is not a Guarded",
        "changes is a GET",
        "/mounted is not declared",
    ):
        assert name in found
    assert len(undeclared_routes(app)) == 4


def test_a_misspelt_operation_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="executions:rnu"):
        permit("executions:rnu")
    assert all(permit(operation).operation == operation for operation in LOWEST_ROLE)


async def test_pages_of_other_origins_cannot_sign_anybody_in_or_out(client: httpx.AsyncClient) -> None:
    for origin in ("https://evil.example", "null", "http://localhost.evil.example:8000", ORIGIN + ".evil.example"):
        for path in ("login", "refresh", "logout", "setup"):
            answer = await client.post(f"/api/auth/{path}", headers={"Origin": origin})
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


@pytest.mark.usefixtures("users")
async def test_starting_is_limited_for_each_user(client: httpx.AsyncClient, app: FastAPI, seconds: Seconds) -> None:
    app.state.rates = {"executions:run": RequestRate(seconds, 1, 3, "executions started")}
    headers = await bearer(client, "operator@example.com")
    statuses = [(await client.post("/api/things/1/run", headers=headers)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    others = await bearer(client)
    assert (await client.post("/api/things/1/run", headers=others)).status_code == 200
    refused = await client.post("/api/things/1/run", headers=headers)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("too_many_requests", "1")


async def test_a_script_may_start_four_hundred_executions_a_second(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, seconds: Seconds, accounts: Accounts
) -> None:
    monkeypatch.setattr("flexiroaster.api.deps.time", SimpleNamespace(monotonic=seconds))
    install_accounts(app, accounts)
    rate = app.state.rates["executions:run"]
    for _ in range(10 * 400):
        seconds.now += 1 / 400
        rate.take("ada")
    seconds.now += 1
    for _ in range(STARTS_AT_ONCE):
        rate.take("ada")
    with pytest.raises(Throttled):
        rate.take("ada")
