from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpcore
import pytest
from pydantic import ValidationError

from flexiroaster.data.table import is_table
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Cancelled, Outcome, Succeeded
from flexiroaster.stages.http import HttpStage, http_date, retry_after
from flexiroaster.stages.http_client import CheckedBackend
from flexiroaster.stages.http_config import HttpConfig
from flexiroaster.stages.http_guard import AddressRefused, Guard, system_resolve
from tests.stages.context import NOW, FakeContext
from tests.stages.http_server import Answer, Seen, Server, answer_json, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def context(tmp_path: Path, server: Server) -> FakeContext:
    return FakeContext(tmp_path, http_allow=server.allow)


def run(context: FakeContext, stage: HttpStage | None = None, /, **config: Any) -> Outcome:
    return (stage or HttpStage()).run(HttpConfig.model_validate(config), context)


def result(context: FakeContext, /, **config: Any) -> dict[str, Any]:
    outcome = run(context, **config)
    assert isinstance(outcome, Succeeded)
    assert isinstance(outcome.result, dict)
    return outcome.result


def failure(context: FakeContext, /, **config: Any) -> StageFailed:
    with pytest.raises(StageFailed) as caught:
        run(context, **config)
    return caught.value


def rows_of(context: FakeContext, result: dict[str, Any]) -> list[Any]:
    assert is_table(result["data"])
    (artifact,) = context.artifacts
    assert (result["data"]["table"], result["data"]["artifact_id"]) == (artifact.uri, artifact.id)
    return [json.loads(line) for line in artifact.path.read_text().splitlines()]


class TestRequests:
    def test_query_headers_and_bearer_token_arrive(self, server: Server, context: FakeContext) -> None:
        run(
            context,
            url=f"{server.url}/orders?day=1&keep=yes",
            query={"day": 2, "tag": ["a", "b"], "flag": True, "none": None, "city": "Köln & more"},
            headers={"X-Team": "sales"},
            auth={"type": "bearer", "token": "t0ken"},
        )
        (seen,) = server.seen
        assert (seen.method, seen.path) == ("GET", "/orders")
        assert seen.query == {
            "day": ["2"],
            "keep": ["yes"],
            "tag": ["a", "b"],
            "flag": ["true"],
            "city": ["Köln & more"],
        }
        assert (seen.headers["x-team"], seen.headers["authorization"]) == ("sales", "Bearer t0ken")
        assert seen.headers["host"] == f"127.0.0.1:{server.port}"

    def test_basic_auth(self, server: Server, context: FakeContext) -> None:
        run(context, url=server.url, auth={"type": "basic", "username": "ann", "password": "pä:ss"})
        assert server.seen[0].headers["authorization"] == "Basic YW5uOnDDpDpzcw=="

    @pytest.mark.parametrize(
        ("body", "content_type", "arrives"),
        [
            ({"json": {"a": [1, None]}}, "application/json", b'{"a":[1,null]}'),
            ({"json": None}, "application/json", b"null"),
            ({"form": {"a": "x y", "b": [1, 2]}}, "application/x-www-form-urlencoded", b"a=x+y&b=1&b=2"),
            ({"body": "<a>ö</a>", "headers": {"Content-Type": "text/xml"}}, "text/xml", "<a>ö</a>".encode()),
        ],
    )
    def test_bodies(
        self, server: Server, context: FakeContext, body: dict[str, Any], content_type: str, arrives: bytes
    ) -> None:
        run(context, method="POST", url=server.url, **body)
        (seen,) = server.seen
        assert (seen.body, seen.headers["content-type"]) == (arrives, content_type)

    def test_post_carries_the_key_of_the_stage_run_and_get_does_not(self, server: Server, context: FakeContext) -> None:
        run(context, method="POST", url=server.url)
        run(context, url=server.url)
        assert [seen.headers.get("idempotency-key") for seen in server.seen] == ["exe-1:stage:0", None]

    def test_connection_gives_address_and_credentials(self, server: Server, context: FakeContext) -> None:
        shop = {"url": f"{server.url}/api/", "headers": {"X-Key": "k"}, "auth": {"type": "bearer", "token": "t"}}
        run(context, connection=shop, path="/orders", headers={"x-key": "mine"})
        (seen,) = server.seen
        assert (seen.path, seen.headers["x-key"], seen.headers["authorization"]) == ("/api/orders", "mine", "Bearer t")

    def test_unknown_connection_is_told(self, context: FakeContext) -> None:
        assert "no connection 'shop'" in str(failure(context, connection="shop", path="/orders"))

    @pytest.mark.parametrize("headers", [{"X": "a\r\nHost: b"}, {"a b": "x"}, {"X": "ä"}])
    def test_headers_that_would_break_the_request_are_refused(
        self, server: Server, context: FakeContext, headers: dict[str, str]
    ) -> None:
        assert failure(context, url=server.url, headers=headers).code == "header"
        assert server.seen == []

    @pytest.mark.parametrize(
        ("config", "sentence"),
        [
            ({}, "exactly one of url and connection"),
            ({"url": "http://a", "connection": "b"}, "exactly one of url and connection"),
            ({"url": "http://a", "path": "/b"}, "path needs a connection"),
            ({"url": "http://a", "json": 1, "body": "x"}, "one body only, not json and body"),
            ({"url": "http://a", "rows": "$.a", "response": "text"}, "does not go with rows or paginate"),
            ({"url": "http://a", "rows": "a.b"}, "should match pattern"),
            ({"url": "http://a", "expected_status": ["3x"]}, "expected_status"),
            ({"url": "http://a", "retries": 3}, "Extra inputs"),
        ],
    )
    def test_wrong_config_is_refused(self, config: dict[str, Any], sentence: str) -> None:
        with pytest.raises(ValidationError, match=sentence):
            HttpConfig.model_validate(config)


class TestAnswers:
    def test_json_becomes_data(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: answer_json({"a": 1}, Set_Cookie="sid=secret", X_Rate="9")
        found = result(context, url=f"{server.url}/x?api_key=secret")
        assert (found["status"], found["data"], found["url"]) == (200, {"a": 1}, f"{server.url}/x")
        assert found["headers"]["x-rate"] == "9"
        assert "secret" not in json.dumps(found)
        assert "secret" not in " ".join(context.messages)

    def test_text_is_decoded_by_its_charset(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(
            200, "schön".encode("latin-1"), {"Content-Type": "text/plain; charset=latin-1"}
        )
        assert result(context, url=server.url)["data"] == "schön"

    @pytest.mark.parametrize("body", ["\ufeff[1]".encode(), "[1]".encode("utf-16")])
    def test_json_in_odd_encodings(self, server: Server, context: FakeContext, body: bytes) -> None:
        charset = "utf-8" if body.startswith(b"\xef") else "utf-16"
        server.handle = lambda seen: Answer(200, body, {"Content-Type": f"application/json; charset={charset}"})
        assert result(context, url=server.url)["data"] == [1]

    def test_empty_answer_is_null(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(204, b"", {"Content-Type": "application/json"})
        assert result(context, method="DELETE", url=server.url)["data"] is None

    def test_not_json_is_told_with_its_beginning(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(200, b"<html>Login", {"Content-Type": "text/html"})
        error = failure(context, url=server.url, response="json")
        assert (error.code, error.kind) == ("http_json", "data")
        assert "begins with '<html>Login'" in str(error)

    def test_file_becomes_an_artifact(self, server: Server, context: FakeContext) -> None:
        content = bytes(range(256)) * 1000
        server.handle = lambda seen: Answer(200, content, {"Content-Type": "application/pdf"})
        kept = result(context, url=f"{server.url}/..%2F..%2Freport 1.pdf")["file"]
        (artifact,) = context.artifacts
        assert artifact.path.read_bytes() == content
        assert artifact.path.name.endswith("report_1.pdf")
        assert artifact.path.parent == context.artifact_dir
        assert kept == {
            "artifact_id": artifact.id,
            "uri": artifact.uri,
            "bytes": len(content),
            "media_type": "application/pdf",
        }

    def test_rows_become_a_table(self, server: Server, context: FakeContext) -> None:
        rows = [
            {"id": 1, "name": "ä", "price": 1, "tags": ["x"], "gone": None},
            {"id": 2, "price": 2.5, "mixed": "a"},
            {"id": 3, "mixed": 5},
        ]
        server.handle = lambda seen: answer_json({"page": {"items": rows}})
        found = result(context, url=server.url, rows="$.page.items")
        assert rows_of(context, found) == rows
        assert (found["rows"], found["data"]["rows"], found["data"]["format"]) == (3, 3, "jsonl")
        assert {column["name"]: column["type"] for column in found["data"]["schema"]} == {
            "id": "BIGINT",
            "name": "VARCHAR",
            "price": "DOUBLE",
            "tags": "JSON",
            "gone": "VARCHAR",
            "mixed": "JSON",
        }
        assert context.artifacts[0].schema == found["data"]["schema"]
        assert context.steps == [(3, None, "rows")]

    def test_values_become_rows(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: answer_json([1, 2])
        assert rows_of(context, result(context, url=server.url, response="table")) == [{"value": 1}, {"value": 2}]

    @pytest.mark.parametrize(
        ("document", "config", "sentence"),
        [
            ({"items": []}, {"rows": "$.rows"}, r"rows: $.rows is not in the answer: $ has no 'rows' (it has items)."),
            ({"items": 5}, {"rows": "$.items"}, "rows: $.items is a number, not a list."),
            (
                {"a": [], "b": []},
                {"response": "table"},
                "an object with the lists a, b: name its rows, such as rows: $.a.",
            ),
            ({}, {"response": "table"}, "an object without a list"),
        ],
    )
    def test_rows_that_are_not_there_are_told(
        self, server: Server, context: FakeContext, document: Any, config: dict[str, Any], sentence: str
    ) -> None:
        server.handle = lambda seen: answer_json(document)
        assert sentence in str(failure(context, url=server.url, **config))
        assert context.artifacts == []

    @pytest.mark.parametrize("declared", [True, False])
    def test_too_large_an_answer_is_refused(self, server: Server, context: FakeContext, declared: bool) -> None:
        body = gzip.compress(b"a" * 1_200_000) if not declared else b"a" * 1_200_000
        headers = {"Content-Encoding": "gzip"} if not declared else {}
        server.handle = lambda seen: Answer(200, body, {"Content-Type": "text/plain"} | headers)
        error = failure(context, url=server.url, max_response_mb=1)
        assert error.code == "http_too_large"
        assert "larger than 1 MB" in str(error)

    def test_nested_compression_is_refused(self, server: Server, context: FakeContext) -> None:
        body = gzip.compress(gzip.compress(b"a"))
        server.handle = lambda seen: Answer(200, body, {"Content-Encoding": "gzip, gzip"})
        assert failure(context, url=server.url).code == "http_encoding"


class TestFailures:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_passing_trouble_is_transient(self, server: Server, context: FakeContext, status: int) -> None:
        server.handle = lambda seen: Answer(status, b"later", {"Retry-After": "7"})
        error = failure(context, url=server.url)
        assert (error.kind, error.retry_after_seconds, error.details) == ("transient", 7.0, {"status": status})
        assert len(server.seen) == 1

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
    def test_other_answers_are_final_and_shown(self, server: Server, context: FakeContext, status: int) -> None:
        server.handle = lambda seen: Answer(status, b"x" * 2000, {"Retry-After": "7"})
        error = failure(context, url=f"{server.url}/a?key=secret")
        assert (error.kind, error.retry_after_seconds) == ("permanent", None)
        assert str(error) == f"{server.url}/a answered {status}: {'x' * 500}"

    def test_expected_status_is_a_success(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(404, b"no", {"Content-Type": "text/plain"})
        assert result(context, url=server.url, expected_status=[200, 404])["data"] == "no"
        assert failure(context, url=server.url, expected_status=["5xx"]).details == {"status": 404}

    def test_closed_port_is_transient(self, server: Server, context: FakeContext) -> None:
        context.http_allow = ("127.0.0.1:1",)
        error = failure(context, url="http://127.0.0.1:1/")
        assert (error.code, error.kind) == ("http_connection", "transient")
        assert "could not be reached" in str(error)

    def test_unknown_host_is_transient(self, context: FakeContext) -> None:
        def unknown(host: str, port: int) -> Sequence[str]:
            raise OSError("Name or service not known")

        with pytest.raises(StageFailed, match=r"host name 'nowhere\.example' is unknown") as caught:
            run(context, HttpStage(unknown), url="http://nowhere.example/")
        assert caught.value.kind == "transient"

    def test_cut_answer_is_transient(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(200, b"abc", {"Content-Length": "10", "Content-Type": "text/plain"})
        assert failure(context, url=server.url).kind == "transient"

    def test_slow_answer_is_a_timeout(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(200 if server.release.wait(30) else 500)
        error = failure(context, url=server.url, request_timeout="100ms")
        assert (error.code, error.kind) == ("http_timeout", "transient")
        assert "did not answer within 0.1 s" in str(error)

    def test_answer_that_drips_is_a_timeout(self, context: FakeContext) -> None:
        """Each byte comes in time, but the whole does not: a limit per read would never end it."""
        with dripping() as port:
            context.http_allow = (f"127.0.0.1:{port}",)
            assert failure(context, url=f"http://127.0.0.1:{port}/", request_timeout="300ms").code == "http_timeout"

    def test_failure_inside_a_page_leaves_no_artifact(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(500) if "c" in seen.query else answer_json({"rows": [{}], "next": "2"})
        error = failure(context, url=server.url, paginate={"type": "cursor", "next": "$.next", "param": "c"})
        assert error.details == {"status": 500}
        assert context.artifacts == []
        assert list(context.artifact_dir.iterdir()) == []

    def test_cancel_ends_a_request_under_way(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(200 if server.release.wait(30) else 500)
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(run(context, url=server.url)))
        thread.start()
        assert server.arrived.wait(30)
        context.cancel()
        thread.join(30)
        assert outcomes == [Cancelled()]

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "120"}, 120.0),
            ({"retry-after": "1.5"}, 1.5),
            ({"retry-after": "Mon, 05 Jan 2026 02:16:00 GMT"}, 60.0),
            ({"retry-after": "Mon, 05 Jan 2026 02:16:00 GMT", "date": "Mon, 05 Jan 2026 02:15:50 GMT"}, 10.0),
            ({"retry-after": "Mon, 05 Jan 2026 01:00:00 GMT"}, 0.0),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "-5"}, None),
            ({}, None),
        ],
    )
    def test_retry_after(self, headers: dict[str, str], seconds: float | None) -> None:
        assert retry_after(headers, NOW) == seconds

    def test_http_date_without_zone_is_utc(self) -> None:
        assert http_date("Mon, 05 Jan 2026 02:15:00 -0000") == NOW


@contextmanager
def dripping() -> Iterator[int]:
    """A server that answers with one byte of an endless header at a time."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            try:
                peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not stop.wait(0.02):
                    peer.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        listener.close()
        thread.join()


class TestRedirects:
    def test_redirect_is_followed_with_credentials_on_the_same_host(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: (
            Answer(302, b"", {"Location": "/new?x=1"}) if seen.path == "/old" else answer_json("here")
        )
        found = result(context, url=f"{server.url}/old", auth={"type": "bearer", "token": "t"})
        assert (found["data"], found["url"]) == ("here", f"{server.url}/new")
        assert server.seen[1].headers["authorization"] == "Bearer t"

    def test_credentials_are_not_carried_to_another_host(self, server: Server, context: FakeContext) -> None:
        with serving(lambda seen: answer_json("there")) as other:
            context.http_allow += other.allow
            server.handle = lambda seen: Answer(302, b"", {"Location": f"{other.url}/x"})
            headers = {"X-Api-Key": "k", "Cookie": "c=1", "Accept-Language": "de"}
            found = result(context, url=server.url, headers=headers, auth={"type": "bearer", "token": "t"})
            assert found["data"] == "there"
            assert set(other.seen[0].headers) == {
                "host",
                "accept",
                "accept-encoding",
                "accept-language",
                "connection",
                "user-agent",
            }

    @pytest.mark.parametrize(
        ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
    )
    def test_method_after_a_redirect(self, server: Server, context: FakeContext, status: int, method: str) -> None:
        server.handle = lambda seen: Answer(status, b"", {"Location": "/b"}) if seen.path == "/a" else Answer()
        run(context, method="POST", url=f"{server.url}/a", json={"x": 1})
        assert server.seen[1].method == method
        assert server.seen[1].body == (b'{"x":1}' if method == "POST" else b"")
        assert ("content-type" in server.seen[1].headers) is (method == "POST")

    def test_body_is_not_sent_to_another_host(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(307, b"", {"Location": f"http://localhost:{server.port}/x"})
        error = failure(context, method="POST", url=server.url, json={"password": "p"})
        assert "redirects to another host" in str(error)
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        "target",
        [
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]:9/",
            "http://2130706433/",
            "file:///etc/passwd",
            "//10.0.0.1/",
            "http://user@127.0.0.1/",
        ],
    )
    def test_redirect_to_a_closed_address_is_refused(self, server: Server, context: FakeContext, target: str) -> None:
        server.handle = lambda seen: Answer(302, b"", {"Location": target})
        assert isinstance(failure(context, url=server.url), AddressRefused)
        assert len(server.seen) == 1

    def test_sixth_redirect_is_refused(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(302, b"", {"Location": f"/{int(seen.path[1:]) + 1}"})
        assert "more than 5 redirects" in str(failure(context, url=f"{server.url}/0"))
        assert len(server.seen) == 6

    def test_redirects_can_be_switched_off(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: Answer(302, b"", {"Location": "/x"})
        assert failure(context, url=server.url, follow_redirects=False).details == {"status": 302}
        found = result(context, url=server.url, follow_redirects=False, expected_status=[302])
        assert found["headers"]["location"] == "/x"


class TestAddresses:
    def test_private_server_is_refused_by_default(self, server: Server, context: FakeContext) -> None:
        context.http_allow = ()
        error = failure(context, url=server.url)
        assert (error.code, error.kind) == ("address_refused", "permanent")
        assert error.suggestion == f"An administrator can allow it: FLEXIROASTER_HTTP_ALLOW=127.0.0.1:{server.port}"
        assert server.seen == []

    def test_name_that_changes_its_address_gains_nothing(self, server: Server, context: FakeContext) -> None:
        """DNS rebinding: the name is asked once per connection, and the answer that was checked is the one used."""
        context.http_allow = ()
        answers = iter([["93.184.215.14"], ["127.0.0.1"]])
        asked: list[str] = []

        def rebinding(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return next(answers)

        connected: list[str] = []
        backend = CheckedBackend(Guard((), rebinding))

        class Recorder:
            def connect_tcp(self, host: str, *args: Any) -> Any:
                connected.append(host)
                raise httpcore.ConnectError("recorded")

        backend._inner = Recorder()  # type: ignore[assignment]
        with pytest.raises(httpcore.ConnectError, match="recorded"):
            backend.connect_tcp("rebind.example", server.port)
        with pytest.raises(AddressRefused):
            backend.connect_tcp("rebind.example", server.port)
        assert connected == ["93.184.215.14"]
        assert asked == ["rebind.example", "rebind.example"]

    def test_connection_goes_to_the_checked_address_with_the_name_as_host(
        self, server: Server, context: FakeContext
    ) -> None:
        context.http_allow = (f"shop.internal:{server.port}",)
        asked: list[str] = []

        def resolve(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"]

        run(context, HttpStage(resolve), url=f"http://shop.internal:{server.port}/x")
        assert server.seen[0].headers["host"] == f"shop.internal:{server.port}"
        assert asked == ["shop.internal"]

    def test_environment_proxies_are_not_used(
        self, server: Server, context: FakeContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        run(context, HttpStage(system_resolve), url=server.url)
        assert len(server.seen) == 1


ROWS = [{"id": number} for number in range(5)]


class TestPages:
    def test_cursor_as_parameter(self, server: Server, context: FakeContext) -> None:
        def handle(seen: Seen) -> Answer:
            start = int(seen.query.get("after", ["0"])[0])
            following = start + 2 if start + 2 < 5 else None
            return answer_json({"items": ROWS[start : start + 2], "next": following})

        server.handle = handle
        paginate = {"type": "cursor", "next": "$.next", "param": "after"}
        found = result(context, url=f"{server.url}/?day=1", paginate=paginate)
        assert rows_of(context, found) == ROWS
        assert (found["rows"], found["pages"], found["complete"]) == (5, 3, True)
        assert [seen.query for seen in server.seen] == [
            {"day": ["1"]},
            {"day": ["1"], "after": ["2"]},
            {"day": ["1"], "after": ["4"]},
        ]

    def test_cursor_as_url_keeps_credentials_at_home_only(self, server: Server, context: FakeContext) -> None:
        with serving(lambda seen: answer_json({"items": [{"id": 2}]})) as other:
            context.http_allow += other.allow
            pages = {"/1": "/2", "/2": f"{other.url}/3"}
            server.handle = lambda seen: answer_json({"items": [{"id": seen.path}], "next": pages[seen.path]})
            found = result(
                context,
                url=f"{server.url}/1",
                rows="$.items",
                paginate={"type": "cursor", "next": "$.next"},
                auth={"type": "bearer", "token": "t"},
            )
            assert found["pages"] == 3
            assert [seen.headers.get("authorization") for seen in server.seen + other.seen] == ["Bearer t"] * 2 + [None]

    def test_cursor_in_the_body(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: answer_json({"rows": [{}], "next": None if b"abc" in seen.body else "abc"})
        paginate = {"type": "cursor", "next": "$.next", "param": "start_cursor", "send_in": "json"}
        run(context, method="POST", url=server.url, json={"size": 1}, paginate=paginate)
        assert [json.loads(seen.body) for seen in server.seen] == [{"size": 1}, {"size": 1, "start_cursor": "abc"}]
        assert "idempotency-key" not in server.seen[0].headers

    def test_numbered_pages_end_with_a_short_one(self, server: Server, context: FakeContext) -> None:
        def handle(seen: Seen) -> Answer:
            page = int(seen.query["p"][0])
            return answer_json(ROWS[page * 2 : page * 2 + 2])

        server.handle = handle
        paginate = {"type": "page", "param": "p", "start": 0, "size_param": "n", "size": 2}
        found = result(context, url=server.url, paginate=paginate)
        assert rows_of(context, found) == ROWS
        assert [seen.query for seen in server.seen] == [{"p": [str(page)], "n": ["2"]} for page in range(3)]

    def test_numbered_pages_of_unknown_size_end_with_an_empty_one(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: answer_json([{}] if seen.query["page"] != ["3"] else [])
        assert result(context, url=server.url, paginate={"type": "page"})["rows"] == 2
        assert len(server.seen) == 3

    def test_offset_pages(self, server: Server, context: FakeContext) -> None:
        def handle(seen: Seen) -> Answer:
            start = int(seen.query["offset"][0])
            return answer_json({"items": ROWS[start : start + 3]})

        server.handle = handle
        found = result(context, url=server.url, paginate={"type": "offset", "limit": 3})
        assert rows_of(context, found) == ROWS
        assert [seen.query["offset"] for seen in server.seen] == [["0"], ["3"]]

    def test_link_header(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: (
            answer_json([1], Link='</b?x=1>; rel="next", </z>; rel="last"') if seen.path == "/a" else answer_json([2])
        )
        found = result(context, url=f"{server.url}/a", paginate={"type": "link"})
        assert rows_of(context, found) == [{"value": 1}, {"value": 2}]
        assert server.seen[1].query == {"x": ["1"]}

    def test_max_pages_stops_with_a_warning(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: answer_json([{}])
        found = result(context, url=server.url, paginate={"type": "page", "max_pages": 2})
        assert (found["pages"], found["complete"]) == (2, False)
        assert "Stopped after 2 pages (max_pages), but there are more." in context.messages

    def test_cursor_that_does_not_advance_is_told(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: answer_json({"items": [], "next": "same"})
        error = failure(context, url=server.url, paginate={"type": "cursor", "next": "$.next", "param": "c"})
        assert str(error) == "Page 2 names a page again that was read before."

    def test_cursor_must_be_a_value(self, server: Server, context: FakeContext) -> None:
        server.handle = lambda seen: answer_json({"items": [], "next": {"a": 1}})
        error = failure(context, url=server.url, paginate={"type": "cursor", "next": "$.next"})
        assert "paginate.next $.next is an object" in str(error)

    def test_cancel_between_pages(self, server: Server, context: FakeContext) -> None:
        def handle(seen: Seen) -> Answer:
            context.cancel()
            return answer_json([{}])

        server.handle = handle
        assert run(context, url=server.url, paginate={"type": "page", "max_pages": 100_000}) == Cancelled()
        assert len(server.seen) == 1
