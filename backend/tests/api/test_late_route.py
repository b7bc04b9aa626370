"""Routes that are built when they are first asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from flexiroaster.api.late_route import LateRoute


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the routes that were built."""
    found: list[str] = []
    whole = APIRoute.__init__

    def init(route: APIRoute, path: str, *arguments: object, **options: object) -> None:
        found.append(path)
        whole(route, path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(APIRoute, "__init__", init)
    return found


def app() -> FastAPI:
    router = APIRouter(route_class=LateRoute)

    @router.get("/doubled/{number}", status_code=203)
    def doubled(number: int) -> dict[str, int]:
        return {"doubled": 2 * number}

    @router.post("/asleep")
    def asleep() -> None: ...

    made = FastAPI()
    made.router.routes.extend(router.routes)
    return made


def test_route_is_built_by_its_first_request(built: list[str]) -> None:
    client = TestClient(app())
    assert built == []
    for _ in range(2):
        answer = client.get("/doubled/21")
        assert (answer.status_code, answer.json()) == (203, {"doubled": 42})
    assert built == ["/doubled/{number}"]


def test_other_methods_paths_and_values_are_refused_as_ever(built: list[str]) -> None:
    client = TestClient(app())
    assert client.get("/asleep").status_code == 405
    assert client.get("/nothing").status_code == 404
    assert built == []
    assert client.get("/doubled/many").status_code == 422


def test_all_are_built_for_who_describes_them(built: list[str]) -> None:
    described = app().openapi()
    assert list(described["paths"]) == ["/doubled/{number}", "/asleep"]
    assert sorted(built) == ["/asleep", "/doubled/{number}"]


def test_threads_that_come_together_find_it_built_once(built: list[str]) -> None:
    route = next(route for route in app().routes if isinstance(route, LateRoute))
    together = Barrier(8)

    def look(_: int) -> object:
        together.wait()
        return route.dependant.path

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(8))) == {"/doubled/{number}"}
    assert built == ["/doubled/{number}"]


def test_route_that_could_not_be_built_is_built_by_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(app(), raise_server_exceptions=False)

    def refuse(route: APIRoute, path: str, *arguments: object, **options: object) -> None:
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(APIRoute, "__init__", refuse)
        assert client.get("/doubled/21").status_code == 500
    assert client.get("/doubled/21").json() == {"doubled": 42}


def test_what_no_route_has_is_said() -> None:
    route = next(route for route in app().routes if isinstance(route, LateRoute))
    with pytest.raises(AttributeError, match="'wheels'"):
        _ = route.wheels
