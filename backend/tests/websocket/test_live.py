from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import socketio
import time_machine
import websockets

from flexiroaster.auth.permissions import Role
from flexiroaster.auth.tokens import Tokens, utc_now
from flexiroaster.bus.port import Listener, Unsubscribe
from flexiroaster.engine.events import Event, EventType, iso_z, of_pipeline
from flexiroaster.services.accounts import Accounts
from flexiroaster.store.database import Database
from flexiroaster.websocket.allowance import ItemRation
from flexiroaster.websocket.limits import SocketLimits
from flexiroaster.websocket.rooms import ROOM_OPERATIONS
from tests.api.auth_app import KEYS, PASSWORD, make_accounts
from tests.websocket.live_app import (
    AT,
    PATIENCE,
    Client,
    Running,
    connected,
    event,
    raw_socket,
    received,
    running,
    until_closed,
)

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
BOB = "bob@example.com"
MARK = EventType.EXECUTION_COMPLETED


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = Database.open(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def accounts(database: Database) -> Accounts:
    made = make_accounts(database)
    made.ensure_admin(ADA, PASSWORD)
    made.create_user(BOB, PASSWORD, Role.VIEWER)
    return made


@pytest.fixture
def server(accounts: Accounts) -> Iterator[Running]:
    with running(accounts) as started:
        yield started


@pytest.fixture
def token(accounts: Accounts) -> str:
    return token_of(accounts, BOB)


def token_of(accounts: Accounts, email: str) -> str:
    return accounts.sign_in(email, PASSWORD, "192.0.2.1").access.text


async def refused(server: Running, auth: Any, query: str = "") -> str:
    """The sentence a client is refused with."""
    client = Client()
    reason: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def on_error(data: Any) -> None:
        if not reason.done():
            reason.set_result(data)

    client.socket.on("connect_error", on_error)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(server.url + query, auth)
    data = await asyncio.wait_for(reason, PATIENCE)
    return str(data["data"]["code"])


async def test_without_a_good_token_nobody_connects(server: Running, token: str) -> None:
    for auth in (None, {}, {"token": ""}, {"token": 7}, {"token": [token]}, [token], token, {"Token": token}):
        assert await refused(server, auth) == "unauthenticated"
    for wrong in ("x.y.z", token[:-2], "fr_0123"):
        assert await refused(server, {"token": wrong}) == "invalid_token"


async def test_a_token_in_the_address_opens_nothing(server: Running, token: str) -> None:
    assert await refused(server, None, f"?token={token}&auth={token}") == "unauthenticated"


async def test_an_expired_token_opens_nothing(server: Running, accounts: Accounts) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=20)):
        old = token_of(accounts, BOB)
    assert await refused(server, {"token": old}) == "token_expired"


async def test_the_token_of_an_ended_session_opens_nothing(server: Running, accounts: Accounts) -> None:
    signed_in = accounts.sign_in(BOB, PASSWORD, "192.0.2.1")
    accounts.sign_out(signed_in.refresh_token)
    assert await refused(server, {"token": signed_in.access.text}) == "session_ended"


async def test_who_connects_is_greeted_and_hears_the_dashboard(server: Running, token: str) -> None:
    """As the specification's client does: it subscribes to nothing."""
    client = Client()
    await client.connect(server.url, {"token": token})
    assert await client.next() == ("connected", {"message": "Connected to FlexiRoaster"})
    await client.ask("unsubscribe", {"room": "pipeline:none"})
    server.journal.record(
        event(1, EventType.EXECUTION_STARTED),
        event(2, EventType.STAGE_STARTED),
        event(3, EventType.STAGE_RETRYING),
        event(4, EventType.STAGE_COMPLETED, result={"rows": 3}),
        event(0, EventType.LOG, message="only for who looks closely"),
        event(5, EventType.STAGE_FAILED),
        event(6, EventType.APPROVAL_REQUESTED, message="Publish?"),
        event(7, EventType.EXECUTION_FAILED, error="It broke."),
    )
    heard = [await client.next() for _ in range(5)]
    assert [name for name, _ in heard] == [
        "execution_started",
        "stage_started",
        "stage_completed",
        "approval_requested",
        "execution_failed",
    ]
    assert heard[2][1] == {
        "seq": 4,
        "at": "2026-01-01T00:00:00.000000Z",
        "execution_id": "e1",
        "pipeline_id": "p1",
        "stage": "load",
        "index": 0,
        "result": {"rows": 3},
    }
    assert heard[4][1]["error"] == "It broke."
    await client.socket.disconnect()


async def test_rooms_hear_their_own(server: Running, token: str) -> None:
    async with connected(server, token) as client:
        await client.ask("unsubscribe", {"room": "dashboard"})
        assert (await client.subscribe("execution:e1", 0))["ok"]
        server.journal.record(
            event(1, execution="e2"),
            event(0, EventType.LOG, message="hello"),
            event(1, EventType.STAGE_RETRYING),
            event(2, MARK),
        )
        assert [name for name, _ in await client.all_until(MARK)] == ["log", "stage_retrying"]
        await client.ask("unsubscribe", {"room": "execution:e1"})
        assert (await client.subscribe("pipeline:p2"))["ok"]
        server.journal.record(event(3), event(1, pipeline="p2", execution="e9"), event(2, MARK, "e9", "p2"))
        assert [payload["execution_id"] for _, payload in await client.all_until(MARK)] == ["e9"]


async def test_what_happens_to_a_pipeline_is_told_where_it_is_shown(server: Running, token: str) -> None:
    async with connected(server, token) as client:
        assert (await client.subscribe("pipeline:p1"))["ok"]
        server.bus.publish([of_pipeline(EventType.PIPELINE_PAUSED, "p1", AT, enabled=False, by="ada@example.com")])
        assert await client.next() == (
            "pipeline_paused",
            {"seq": 0, "at": iso_z(AT), "pipeline_id": "p1", "enabled": False, "by": "ada@example.com"},
        )
        await client.ask("unsubscribe", {"room": "dashboard"})
        server.bus.publish([of_pipeline(EventType.PIPELINE_DELETED, "p2", AT), event(2, MARK)])
        assert await client.all_until(MARK) == []


async def test_triggers_are_told_of_on_the_dashboard(server: Running, token: str) -> None:
    async with connected(server, token) as client:
        fired = of_pipeline(EventType.TRIGGER_FIRED, "p1", AT, trigger="nightly", state="started", execution_id="e1")
        changed = of_pipeline(EventType.TRIGGER_CHANGED, "p1", AT, trigger="nightly", paused=True)
        server.bus.publish([fired, changed, event(1, MARK)])
        (first, told), (second, _) = await client.all_until(MARK)
        assert (first, second) == ("trigger_fired", "trigger_changed")
        assert (told["trigger"], told["execution_id"]) == ("nightly", "e1")


async def test_what_is_learned_is_told_where_it_is_shown(server: Running, token: str) -> None:
    """Insights, suggestions and models on the dashboard; predictions to who looks at the execution or its pipeline."""
    prediction = Event(
        EventType.PREDICTION_UPDATED, "e1", "p1", 0, AT, payload={"failure_probability": 0.25, "outlook": None}
    )
    async with connected(server, token) as client:
        server.bus.publish(
            [
                of_pipeline(EventType.INSIGHT_FOUND, "p1", AT, id="i1", state="open"),
                of_pipeline(EventType.INSIGHT_CHANGED, "p1", AT, id="i1", state="acknowledged"),
                of_pipeline(EventType.SUGGESTION_FOUND, "p1", AT, id="s1", state="open"),
                prediction,
                of_pipeline(EventType.SUGGESTION_CHANGED, "p1", AT, id="s1", state="applied"),
                of_pipeline(EventType.MODEL_TRAINED, "", AT, id="m1"),
                event(1, MARK),
            ]
        )
        heard = await client.all_until(MARK)
        assert [(name, payload["id"]) for name, payload in heard] == [
            ("insight_found", "i1"),
            ("insight_changed", "i1"),
            ("suggestion_found", "s1"),
            ("suggestion_changed", "s1"),
            ("model_trained", "m1"),
        ]
        await client.ask("unsubscribe", {"room": "dashboard"})
        for room in ("execution:e1", "pipeline:p1"):
            assert (await client.subscribe(room))["ok"]
            server.bus.publish([prediction])
            name, payload = await client.next()
            assert (name, payload["execution_id"], payload["failure_probability"]) == ("prediction_updated", "e1", 0.25)
            await client.ask("unsubscribe", {"room": room})


async def test_who_is_in_several_rooms_hears_each_event_once(server: Running, token: str) -> None:
    async with connected(server, token) as client:
        await client.subscribe("execution:e1", 0)
        await client.subscribe("pipeline:p1")
        server.journal.record(*(event(seq) for seq in range(1, 21)), event(21, MARK))
        assert [payload["seq"] for _, payload in await client.all_until(MARK)] == list(range(1, 21))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"room": "execution:unknown"}, "not_found"),
        ({"room": "pipeline:unknown", "after": 0}, "not_found"),
        ({"room": "users"}, "forbidden"),
        ({"room": "execution:"}, "forbidden"),
        ({"room": "execution:../../etc"}, "forbidden"),
        ({"room": "execution:e1\n"}, "forbidden"),
        ({"room": ""}, "forbidden"),
        ({"room": None}, "forbidden"),
        ({"room": ["dashboard"]}, "forbidden"),
        ({"room": {"a": 1}}, "forbidden"),
        ({"room": "x" * 10_000}, "forbidden"),
        ({}, "forbidden"),
        ("dashboard", "invalid_request"),
        (None, "invalid_request"),
        ([1, 2], "invalid_request"),
        ({"room": "execution:e1", "after": -1}, "invalid_request"),
        ({"room": "execution:e1", "after": "1"}, "invalid_request"),
        ({"room": "execution:e1", "after": True}, "invalid_request"),
        ({"room": "execution:e1", "after": 1e300}, "invalid_request"),
        ({"room": "execution:e1", "after": 2**40}, "invalid_request"),
    ],
)
async def test_a_wrong_request_is_answered_in_a_sentence(server: Running, token: str, request_: Any, code: str) -> None:
    async with connected(server, token) as client:
        answer = await client.ask("subscribe", request_)
        assert (answer["ok"], answer["code"]) == (False, code)
        assert answer["error"].endswith(".")
        assert len(answer["error"]) < 300


async def test_nobody_joins_the_room_of_another_connection(server: Running, accounts: Accounts, token: str) -> None:
    async with connected(server, token_of(accounts, ADA)) as ada, connected(server, token) as bob:
        assert (await bob.subscribe(ada.socket.get_sid()))["code"] == "forbidden"


async def test_the_role_decides_about_rooms(server: Running, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROOM_OPERATIONS, "execution", "users:read")
    async with connected(server, token) as client:
        assert (await client.subscribe("execution:e1"))["code"] == "forbidden"
        assert (await client.subscribe("pipeline:p1"))["ok"]


async def test_clients_cannot_speak_for_the_server(server: Running, accounts: Accounts, token: str) -> None:
    async with connected(server, token_of(accounts, ADA)) as ada, connected(server, token) as bob:
        for name in ("execution_completed", "stage_started", "connected", "message", "connect", "disconnect", "log"):
            await bob.socket.emit(name, {"execution_id": "e1", "forged": True})
        await bob.subscribe("pipeline:p1")
        server.journal.record(event(1, EventType.EXECUTION_STARTED))
        assert await ada.next() == ("execution_started", event(1, EventType.EXECUTION_STARTED).to_payload())
        assert ada.received.empty()


async def test_what_was_missed_comes_with_the_answer(server: Running, token: str) -> None:
    server.journal.record(*(event(seq) for seq in range(1, 11)))
    async with connected(server, token) as client:
        answer = await client.subscribe("execution:e1", 6)
        assert [(missed["type"], missed["seq"]) for missed in answer["events"]] == [
            ("stage_started", seq) for seq in (7, 8, 9, 10)
        ]
        assert (answer["seq"], answer["more"], answer["error"]) == (10, False, None)
        assert (await client.subscribe("execution:e1", 10))["events"] == []
        server.journal.record(event(11, MARK))
        assert (await client.until(MARK))["seq"] == 11


async def test_who_may_have_missed_events_of_other_servers_is_told(server: Running, token: str) -> None:
    lost: list[Callable[[], None]] = []
    subscribe = server.bus.subscribe

    def note(listener: Listener, **more: Any) -> Unsubscribe:
        lost.append(more["missed"])
        return subscribe(listener)

    server.bus.subscribe = note  # type: ignore[method-assign]
    async with connected(server, token) as client:
        await asyncio.to_thread(lost[0])
        assert await client.until("events_omitted") == {"count": 0}


async def test_resuming_leaves_no_gap_and_doubles_nothing(server: Running, token: str) -> None:
    """While a thread publishes as fast as it can, clients come, leave and come back where they were."""
    total = 3000
    pause = threading.Semaphore(300)

    def publish() -> None:
        for seq in range(1, total):
            pause.acquire()
            server.journal.record(event(seq, EventType.STAGE_RETRYING))
        server.journal.record(event(total, MARK))

    publisher = threading.Thread(target=publish, daemon=True)
    seen: list[int] = []
    publisher.start()
    while not seen or seen[-1] < total:
        async with connected(server, token) as client:
            await client.ask("unsubscribe", {"room": "dashboard"})
            after = seen[-1] if seen else 0
            while True:
                answer = await client.subscribe("execution:e1", after)
                assert answer["ok"]
                seen += [missed["seq"] for missed in answer["events"]]
                after = answer["seq"]
                if not answer["more"]:
                    break
            pause.release(300)
            for _ in range(200):
                if seen and seen[-1] == total:
                    break
                seen.append((await client.next())[1]["seq"])
    publisher.join()
    assert seen == list(range(1, total + 1))


async def test_a_long_history_comes_in_pages(accounts: Accounts, token: str) -> None:
    with running(accounts, SocketLimits(history_events=100, history_bytes=20_000)) as server:
        server.journal.record(*(event(seq, note="x" * 100) for seq in range(1, 451)))
        async with connected(server, token) as client:
            seen: list[int] = []
            answer: dict[str, Any] = {"seq": 0, "more": True}
            pages = 0
            while answer["more"]:
                answer = await client.subscribe("execution:e1", answer["seq"])
                seen += [missed["seq"] for missed in answer["events"]]
                assert len(json.dumps(answer)) < 40_000
                pages += 1
            assert seen == list(range(1, 451))
            assert pages > 4
            server.journal.record(event(451, MARK))
            assert (await client.until(MARK))["seq"] == 451


async def test_a_failing_history_is_answered_and_joins_nothing(server: Running, token: str) -> None:
    server.journal._events["e3"] = None  # type: ignore[assignment]
    async with connected(server, token) as client:
        await client.ask("unsubscribe", {"room": "dashboard"})
        assert (await client.subscribe("execution:e3", 0))["code"] == "internal_error"
        await client.subscribe("execution:e1")
        server.bus.publish([event(1, execution="e3"), event(1, MARK)])
        assert await client.all_until(MARK) == []


async def test_a_large_result_travels_as_a_summary(server: Running, token: str) -> None:
    async with connected(server, token) as client:
        await client.subscribe("execution:e1", 0)
        rows = [{"id": number, "name": "x" * 50} for number in range(10_000)]
        server.journal.record(event(1, EventType.STAGE_COMPLETED, result={"rows": rows, "count": 10_000}))
        payload = await client.until("stage_completed")
        assert len(json.dumps(payload)) <= 8 * 1024
        assert payload["result"]["count"] == 10_000
        assert payload["result"]["rows"][-1] == {
            "__omitted__": f"{10_000 - len(payload['result']['rows']) + 1} more items"
        }
        answer = await client.subscribe("execution:e1", 0)
        assert answer["events"][0]["result"] == payload["result"]


async def test_the_dashboard_gets_so_many_stage_events_a_second(accounts: Accounts, token: str) -> None:
    allowed, sent = 20, 300
    with running(accounts, SocketLimits(dashboard_stage_events_per_second=allowed)) as server:
        async with connected(server, token) as dashboard, connected(server, token) as page:
            await page.subscribe("execution:e1", 0)
            began = time.monotonic()
            server.journal.record(*(event(seq) for seq in range(1, sent + 1)), event(sent + 1, MARK))
            heard, omitted = 0, 0
            while heard + omitted < sent or not omitted:
                name, payload = await dashboard.next()
                heard += name == "stage_started"
                omitted += payload["count"] if name == "events_omitted" else 0
            # In one second on a machine that is not busy; each further one lets as many through.
            assert allowed <= heard <= allowed * (1 + int(time.monotonic() - began))
            assert heard + omitted == sent
            assert len(await page.all_until(MARK)) == sent


async def test_of_foreach_items_only_the_execution_is_told_and_not_of_all(accounts: Accounts, token: str) -> None:
    allowed, sent = 5, 2_000
    with running(accounts, SocketLimits(item_events_per_second=allowed)) as server:
        async with (
            connected(server, token) as dashboard,
            connected(server, token) as page,
            connected(server, token) as pipeline,
        ):
            await page.subscribe("execution:e1", 0)
            await pipeline.subscribe("pipeline:p1")
            began = time.monotonic()
            server.journal.record(*(event(seq, index=seq) for seq in range(1, sent + 1)))
            server.journal.record(event(0, EventType.STAGE_PROGRESS, items={"count": sent, "left": 0}, through=sent))
            server.journal.record(event(sent + 1, MARK))
            heard = await page.all_until(MARK)
            items = [payload for name, payload in heard if name == "stage_started"]
            assert 1 <= len(items) <= allowed * (1 + int(time.monotonic() - began))
            (progress,) = [payload for name, payload in heard if name == "stage_progress"]
            assert (progress["items"], progress["through"]) == ({"count": sent, "left": 0}, sent)
            assert await dashboard.all_until(MARK) == []
            assert [name for name, _ in await pipeline.all_until(MARK)] == ["stage_progress"]


def test_log_lines_of_items_are_rationed_apart() -> None:
    ration = ItemRation(2)
    lines = [ration.lets(event(0, EventType.LOG, index=1), 10.0) for _ in range(30)]
    assert lines.count(True) == 20
    assert [ration.lets(event(1, index=1), 10.5) for _ in range(3)] == [True, True, False]
    assert ration.lets(event(1, index=1, execution="e2"), 10.5)
    assert ration.lets(event(1), 10.5)
    assert ration.lets(event(1, index=1), 11.0)


async def test_connections_of_a_user_are_limited(accounts: Accounts, token: str) -> None:
    with running(accounts, SocketLimits(sockets_per_user=2)) as server:
        async with connected(server, token), connected(server, token) as second:
            assert await refused(server, {"token": token}) == "too_many_connections"
            async with connected(server, token_of(accounts, ADA)):
                pass
            await second.socket.disconnect()
            await connects_at_last(server, token)


async def connects_at_last(server: Running, token: str) -> None:
    """Again and again: a client cannot know when the server has noticed that another one is gone."""
    async with asyncio.timeout(PATIENCE):
        while True:
            client = Client()
            try:
                await client.connect(server.url, {"token": token})
            except socketio.exceptions.ConnectionError:
                continue
            await client.socket.disconnect()
            return


async def test_rooms_and_requests_of_a_connection_are_limited(accounts: Accounts, token: str) -> None:
    with running(accounts, SocketLimits(rooms_per_socket=3, requests_per_second=10)) as server:
        server.journal.pipelines |= {f"p{number}" for number in range(10)}
        async with connected(server, token) as client:
            answers = [await client.subscribe(f"pipeline:p{number}") for number in range(4)]
            assert [answer["code"] for answer in answers] == [None, None, "too_many_rooms", "too_many_rooms"]
            # All at once: one after the other they might keep to the rate on a slow machine.
            asked = await asyncio.gather(*(client.subscribe("dashboard") for _ in range(300)))
            assert "too_many_requests" in [answer["code"] for answer in asked]


async def test_a_socket_ends_with_its_token(database: Database, accounts: Accounts) -> None:
    brief = make_accounts(database)
    brief._tokens = Tokens(KEYS, lifetime=timedelta(minutes=1))
    with running(accounts, clock=lambda: utc_now() + timedelta(minutes=1)) as server:
        client = Client()
        await client.connect(server.url, {"token": token_of(brief, BOB)})
        assert (await client.until("session_ended"))["code"] == "token_expired"
        await client.ended()
        async with connected(server, token_of(accounts, BOB)) as longer:
            assert not longer.gone.is_set()


@pytest.mark.parametrize("change", ["role", "password", "disable", "sign out"])
async def test_a_socket_ends_with_its_session(server: Running, accounts: Accounts, change: str) -> None:
    signed_in = accounts.sign_in(BOB, PASSWORD, "192.0.2.1")
    async with connected(server, signed_in.access.text) as bob, connected(server, token_of(accounts, ADA)) as ada:
        match change:
            case "role":
                accounts.set_role(signed_in.user.id, Role.EDITOR)
            case "password":
                accounts.set_password(signed_in.user.id, "another long password")
            case "disable":
                accounts.disable_user(signed_in.user.id)
            case _:
                accounts.sign_out(signed_in.refresh_token)
        assert (await bob.until("session_ended"))["code"] == "session_ended"
        await bob.ended()
        server.journal.record(event(1, MARK))
        assert (await ada.until(MARK))["seq"] == 1
        assert not ada.gone.is_set()


async def test_a_session_that_another_process_ended_is_noticed(
    accounts: Accounts, database: Database, token: str
) -> None:
    with running(accounts, SocketLimits(seconds_between_rounds=0.2)) as server:
        async with connected(server, token) as bob, connected(server, token_of(accounts, ADA)) as ada:
            elsewhere = make_accounts(database)
            elsewhere.disable_user(elsewhere.user_named(BOB).id)
            await bob.ended()
            server.journal.record(event(1, MARK))
            assert (await ada.until(MARK))["seq"] == 1


async def test_who_never_signs_in_is_sent_away(accounts: Accounts) -> None:
    with running(accounts, SocketLimits(seconds_to_sign_in=0.3)) as server:
        async with raw_socket(server) as raw:
            await until_closed(raw)


async def test_only_known_origins_may_connect(accounts: Accounts, token: str) -> None:
    with running(accounts, origins=("http://localhost:3000",)) as server:
        for origin, allowed in (
            (server.url, True),
            ("http://localhost:3000", True),
            ("http://localhost:3001", False),
            ("https://evil.example", False),
            ("null", False),
        ):
            if allowed:
                async with raw_socket(server, origin=websockets.Origin(origin)) as raw:
                    assert (await received(raw)).startswith("0{")
            else:
                with pytest.raises(websockets.InvalidStatus):
                    await raw_socket(server, origin=websockets.Origin(origin))
            async with httpx.AsyncClient(timeout=PATIENCE) as http:
                polling = f"{server.url}/socket.io/?EIO=4&transport=polling"
                answer = await http.get(polling, headers={"Origin": origin})
                assert (answer.status_code == 200) is allowed


async def test_broken_packets_hurt_their_sender_alone(server: Running, token: str) -> None:
    async with connected(server, token) as client:
        for packet in (
            "42[",
            "4",
            "",
            "9",
            "42",
            '42{"a":1}',
            '42["subscribe"',
            '451-["x"]',
            "4299999[]",
            "40{bad",
            "42" + "[" * 5000,
            '42["subscribe",NaN]',
            "44",
            "4" + "9" * 50,
            '43["x"]',
            "420[null]",
            "42[1]",
        ):
            async with raw_socket(server) as raw:
                await received(raw)
                await raw.send("40" + json.dumps({"token": token}))
                await raw.send(packet)
        server.journal.record(event(1, MARK))
        assert (await client.until(MARK))["seq"] == 1


async def test_a_packet_over_a_megabyte_ends_its_connection(server: Running, token: str) -> None:
    async with raw_socket(server) as raw:
        await received(raw)
        await raw.send("40" + json.dumps({"token": token}))
        await raw.send('42["subscribe",{"room":"' + "x" * 1_100_000 + '"}]')
        await until_closed(raw)
    async with connected(server, token):
        pass


async def test_a_client_that_does_not_read_is_sent_away_and_slows_nobody(accounts: Accounts, token: str) -> None:
    with running(accounts, SocketLimits(packets_waiting=100)) as server:
        async with raw_socket(server, max_queue=1) as slow, connected(server, token) as quick:
            await received(slow)
            await slow.send("40" + json.dumps({"token": token}))
            while "connected" not in await received(slow):
                pass
            await slow.send('42["subscribe",{"room":"execution:e1"}]')
            await quick.subscribe("execution:e1", 0)
            total = 6000
            for start in range(1, total, 50):
                server.journal.record(
                    *(event(seq, EventType.STAGE_RETRYING, note="x" * 5000) for seq in range(start, start + 50))
                )
                for _ in range(50):
                    await quick.next()
            assert await until_closed(slow) < total
            assert not quick.gone.is_set()


@pytest.mark.parametrize("packet", ['42["subscribe","\\ud83d"]', "4zzz", "42{", "44{}", "49"])
async def test_who_speaks_something_else_is_sent_away_without_a_traceback(
    server: Running, token: str, packet: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with raw_socket(server) as raw:
        await received(raw)
        await raw.send(f"40{json.dumps({'token': token})}")
        await received(raw)
        await raw.send(packet)
        await until_closed(raw)
    assert "Traceback" not in capfd.readouterr().err
    async with connected(server, token):
        pass
