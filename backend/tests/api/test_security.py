from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from flexiroaster.api import security
from flexiroaster.api.bodies import parse_json
from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.services.accounts import Accounts
from flexiroaster.store.database import Database
from tests.api.auth_app import ORIGIN, PASSWORD, client_of, make_accounts, make_app

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def accounts(sqlite_url: str) -> Iterator[Accounts]:
    database = Database.open(sqlite_url)
    made = make_accounts(database)
    made.ensure_admin(ADA, PASSWORD)
    yield made
    database.close()


@pytest.fixture
def app(accounts: Accounts) -> FastAPI:
    return make_app(accounts)


@pytest.fixture
async def client(app: FastAPI, accounts: Accounts) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in as the administrator."""
    async with client_of(app) as opened:
        token = accounts.sign_in(ADA, PASSWORD, "192.0.2.1").access.text
        opened.headers["Authorization"] = f"Bearer {token}"
        yield opened


JSON = {"Content-Type": "application/json"}


async def test_every_answer_carries_the_headers(client: httpx.AsyncClient) -> None:
    paths = ("/health", "/api/things/1", "/nowhere", "/api/things/crash", "/api/things/missing")
    for answer in [await client.get(path) for path in paths]:
        policy = answer.headers["content-security-policy"]
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert scripts == "script-src 'self'"
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert len(answer.headers["x-request-id"]) == 16


async def test_errors_have_one_shape(client: httpx.AsyncClient) -> None:
    expected = {
        "/api/things/missing": (404, "not_found"),
        "/api/things/clash": (409, "conflict"),
        "/api/things/broken": (422, "invalid_definition"),
        "/api/things/crash": (500, "internal_error"),
        "/nowhere": (404, "not_found"),
    }
    for path, (status, code) in expected.items():
        answer = await client.get(path)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (status, code)
        assert body["detail"].endswith((".", ")"))
        assert body["request_id"] == answer.headers["x-request-id"]
        assert isinstance(body["problems"], list)
    answer = await client.delete("/health")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["code"] == "method_not_allowed"


async def test_an_unexpected_error_shows_nothing_of_the_inside(client: httpx.AsyncClient) -> None:
    text = (await client.get("/api/things/crash")).text
    for secret in ("Traceback", "passwd", "SELECT", "RuntimeError", ".py"):
        assert secret not in text


async def test_problems_of_a_definition_are_listed(client: httpx.AsyncClient) -> None:
    problem = (await client.get("/api/things/broken")).json()["problems"][0]
    assert (problem["code"], problem["path"], problem["line"], problem["column"]) == ("bad", "stages[0]", 3, 5)


async def test_wrong_values_are_named_but_never_repeated(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/things", json={"name": "a secret that is too long", "options": 7})
    body = answer.json()
    assert answer.status_code == 422
    assert [problem["path"] for problem in body["problems"]] == ["name", "options"]
    assert "secret" not in answer.text


async def test_with_and_without_a_slash_are_the_same_address(client: httpx.AsyncClient) -> None:
    for path in ("/health", "/api/things/1", "/api/auth/me"):
        with_slash = await client.get(path + "/")
        assert with_slash.status_code == 200
        assert with_slash.json() == (await client.get(path)).json()
    answer = await client.post("/api/things/", json={"name": "x"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("localhost.", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost@evil.example", 400),
        ("[::1]evil.example", 400),
        ("localhost:80x", 400),
        ("", 400),
    ],
)
async def test_only_known_hosts_are_answered(client: httpx.AsyncClient, host: str, status: int) -> None:
    answer = await client.get("/api/things/1", headers={"Host": host})
    assert answer.status_code == status


async def test_a_probe_may_use_any_host(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health", headers={"Host": "10.0.0.7:8000"})).status_code == 200


async def test_the_public_name_is_a_known_host(accounts: Accounts) -> None:
    app = make_app(accounts, public_url="https://roast.example.com")
    async with client_of(app, base_url="https://roast.example.com") as client:
        assert (await client.get("/api/auth/setup")).status_code == 200
        assert (await client.get("/api/auth/setup", headers={"Host": "other.example.com"})).status_code == 400


async def raw(app: FastAPI, headers: list[tuple[bytes, bytes]], path: str = "/health", **more: Any) -> int:
    """A request as no client library would write it; answers the status."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": ("localhost", 8000),
        "scheme": "http",
        "http_version": "1.1",
        **more,
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


async def test_two_hosts_are_one_too_many(app: FastAPI) -> None:
    hosts = [(b"host", b"localhost"), (b"host", b"evil.example")]
    assert await raw(app, hosts, "/api/auth/setup") == 400
    assert await raw(app, [], "/api/auth/setup") == 400


async def test_large_headers_are_refused(app: FastAPI) -> None:
    many = [(b"host", b"localhost")] + [(b"x-%d" % number, b"y" * 1000) for number in range(70)]
    assert await raw(app, many) == 431
    assert await raw(app, [(b"host", b"localhost"), (b"cookie", b"y" * 63_000)]) == 200


async def test_nul_in_the_address_is_refused(app: FastAPI) -> None:
    assert await raw(app, [(b"host", b"localhost")], "/api/things/a\x00b") == 400
    assert await raw(app, [(b"host", b"localhost")], query_string=b"q=a%00b") == 400


async def test_a_large_body_is_refused_by_its_length(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/things", content=b" " * 2_000_001, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_chunked_body_is_counted_while_it_comes(client: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(60):
            sent += 1_000_000
            yield b" " * 1_000_000

    for path in ("/api/things", "/api/auth/login"):
        sent = 0
        media = "application/x-www-form-urlencoded" if path.endswith("login") else "application/json"
        answer = await client.post(path, content=chunks(), headers={"Content-Type": media})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert sent <= 4_000_000


async def test_a_body_just_below_the_limit_is_read(client: httpx.AsyncClient) -> None:
    body = b'{"name": "x"' + b" " * 1_999_000 + b"}"
    assert (await client.post("/api/things", content=body, headers=JSON)).status_code == 200


BAD_JSON = [
    b"{broken",
    b'{"name": NaN}',
    b'{"name": "x", "options": {"a": Infinity}}',
    b'{"name": "x", "options": {"a": -Infinity}}',
    b'{"name": "x", "options": {"a": 1e400}}',
    b'{"name": "\\ud800"}',
    b'{"name": "a\\u0000b"}',
    b'{"name": "x", "options": {"a\\u0000": 1}}',
    b'{"name": "a\x00b"}',
    b'{"name": "\xff"}',
    b'{"name": "x", "options": {"a": ' + b"[" * 65 + b"]" * 65 + b"}}",
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
]


@pytest.mark.parametrize("number", range(len(BAD_JSON)))
async def test_json_that_could_not_be_kept_is_refused_in_a_sentence(client: httpx.AsyncClient, number: int) -> None:
    answer = await client.post("/api/things", content=BAD_JSON[number], headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid_json", "invalid_text", "too_deep")


def test_sixty_four_levels_are_enough_and_allowed() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)
    with pytest.raises(InvalidRequest, match="64 levels"):
        parse_json(b"[" * 65 + b"1" + b"]" * 65)
    assert len(parse_json(b"[" + b",".join([b"{}"] * 5000) + b"]")) == 5000


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert parse_json(b'"a\\\\u0000"') == "a\\u0000"


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
async def test_json_must_call_itself_json(client: httpx.AsyncClient, media: str) -> None:
    answer = await client.post("/api/things", content=b'{"name": "x"}', headers={"Content-Type": media})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


async def test_the_media_type_may_have_a_charset(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await client.post("/api/things", content=b'{"name": "x"}', headers=headers)).status_code == 200


async def test_yaml_is_taken_where_it_is_declared(client: httpx.AsyncClient) -> None:
    yaml = {"Content-Type": "application/yaml"}
    assert (await client.put("/api/things/1", content=b"a: 1", headers=yaml)).json() == {"bytes": 4, "id": 1}
    assert (await client.post("/api/things", content=b"name: x", headers=yaml)).status_code == 415


async def test_no_body_needs_no_media_type(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/things/1/run")).json() == {"id": "1", "name": None}
    answer = await client.post("/api/things/1/run", json={"name": "x"})
    assert answer.json() == {"id": "1", "name": "x"}


async def test_without_a_list_no_origin_gets_cors_headers(client: httpx.AsyncClient) -> None:
    for origin in (ORIGIN, "https://evil.example"):
        answer = await client.get("/api/things/1", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await client.options("/api/things", headers=preflight)
    assert "access-control-allow-origin" not in answer.headers


async def test_the_cors_list_is_exact(accounts: Accounts) -> None:
    app = make_app(accounts, cors_origins=["http://localhost:3000"])
    async with client_of(app) as client:
        for origin, allowed in (
            ("http://localhost:3000", True),
            ("http://localhost:3001", False),
            ("https://localhost:3000", False),
            ("http://localhost:3000.evil.example", False),
            ("null", False),
        ):
            preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = await client.options("/api/things", headers=preflight)
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
            assert answer.headers.get("access-control-allow-origin") != "*"
            answer = await client.post("/api/auth/refresh", headers={"Origin": origin})
            assert answer.status_code == (401 if allowed else 403)
            assert ("access-control-allow-origin" in answer.headers) is allowed


async def test_the_own_origin_may_change_things_under_each_of_its_names(client: httpx.AsyncClient) -> None:
    for host in ("localhost:8000", "127.0.0.1:8000"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert (await client.post("/api/things", json={"name": "x"}, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "client", "forwarded", "seen"),
    [
        ([], "127.0.0.1", "203.0.113.5", "127.0.0.1"),
        (["127.0.0.1"], "127.0.0.1", "203.0.113.5", "203.0.113.5"),
        (["127.0.0.1"], "127.0.0.1", "6.6.6.6, 203.0.113.5", "203.0.113.5"),
        (["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", "6.6.6.6, 203.0.113.5, 10.1.2.3", "203.0.113.5"),
        (["127.0.0.1"], "198.51.100.1", "203.0.113.5", "198.51.100.1"),
        (["127.0.0.1"], "127.0.0.1", "", "127.0.0.1"),
    ],
)
async def test_only_configured_proxies_are_believed(
    accounts: Accounts, proxies: list[str], client: str, forwarded: str, seen: str
) -> None:
    app = make_app(accounts, trusted_proxies=proxies)
    async with client_of(app, client) as opened:
        headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"} if forwarded else {}
        body = (await opened.get("/health", headers=headers)).json()
    assert body["client"] == seen
    assert body["scheme"] == ("https" if seen != client else "http")


async def test_a_foreign_page_gets_no_websocket(app: FastAPI) -> None:
    closed: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        closed.append(message)

    scope = {
        "type": "websocket",
        "path": "/socket.io/",
        "query_string": b"",
        "headers": [(b"host", b"localhost:8000"), (b"origin", b"https://evil.example")],
        "client": ("192.0.2.1", 1),
    }
    await app(scope, receive, send)
    assert [message["type"] for message in closed] == ["websocket.close"]


async def test_a_failure_after_the_answer_began_breaks_the_connection(accounts: Accounts) -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("boom")

    front = security.Front(half, hosts=frozenset({"localhost"}), origins=frozenset())
    transport = httpx.ASGITransport(front)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as opened:
        with pytest.raises(RuntimeError):
            await opened.get("/")
