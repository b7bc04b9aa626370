"""A server's API for the commands that talk to one: which server, as whom, and its errors as sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexiroaster.engine.errors import FlexiRoasterError

if TYPE_CHECKING:
    import httpx

    from flexiroaster.config import Settings

PATIENCE_SECONDS = 30.0
PAGE = 500
LOOK_SECONDS = 0.5
"""Between two looks at what a command waits for."""


def segment(text: str) -> str:
    """As one segment of an address."""
    from urllib.parse import quote

    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise CommandFailed(f"{text!r} is not UTF-8 text: write it as such.") from None


class CommandFailed(FlexiRoasterError):
    """A command could not do what it was asked; the sentence is shown and the exit status is 1."""

    code = "command_failed"


class Refused(CommandFailed):
    """The server found what was given wrong: exit status 2."""

    code = "refused"

    def __init__(self, message: str, problems: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.problems = problems


class Client:
    """Requests to one server; whatever is not a success becomes `CommandFailed` with the server's own sentence."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str, **parameters: Any) -> Any:
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._answer("GET", path, params=given)

    def post(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, patience_seconds: float | None = None
    ) -> Any:
        return self._answer("POST", path, json=body, headers=headers, timeout=patience_seconds or PATIENCE_SECONDS)

    def put(self, path: str, body: Any) -> Any:
        return self._answer("PUT", path, json=body)

    def find(self, path: str) -> Any:
        """None where there is nothing."""
        response = self._response("GET", path)
        return None if response.status_code == 404 else _content(response)

    def pages(self, path: str, **parameters: Any) -> Iterator[list[Any]]:
        """A list as the server cuts it."""
        given: dict[str, Any] = {"limit": PAGE} | parameters
        while True:
            response = self._response("GET", path, params=given)
            yield _content(response)
            cursor = response.headers.get("x-next-cursor")
            if cursor is None:
                return
            given["cursor"] = cursor

    def send(self, method: str, path: str, text: str, media_type: str, **parameters: str) -> Any:
        """A text of another type than JSON."""
        headers = {"content-type": media_type}
        return self._answer(method, path, content=text.encode(), headers=headers, params=parameters)

    def delete(self, path: str) -> Any:
        return self._answer("DELETE", path)

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        return _content(self._response(method, path, **options))

    def _response(self, method: str, path: str, **options: Any) -> httpx.Response:
        import httpx

        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise unreachable(str(self._http.base_url), error) from None
        except UnicodeEncodeError:  # an argument of bytes, as names of files may be
            raise CommandFailed("What is to be sent is not UTF-8 text: write it as such.") from None


def _content(response: httpx.Response) -> Any:
    if response.status_code == 422:
        raise Refused(sentence(response), _problems(response))
    if not response.is_success:
        raise CommandFailed(sentence(response))
    return response.json()


def _problems(response: httpx.Response) -> list[dict[str, Any]]:
    try:
        found = response.json().get("problems")
    except (ValueError, AttributeError):
        return []
    return found if isinstance(found, list) else []


def unreachable(url: str, error: Exception) -> CommandFailed:
    return CommandFailed(
        f"No FlexiRoaster answers at {url.rstrip('/')} ({error}): start one with `flexiroaster up`, "
        "or set FLEXIROASTER_URL to its address."
    )


def sentence(response: httpx.Response) -> str:
    """The server's explanation, with the problems of a definition or of inputs below."""
    try:
        body = response.json()
        lines = [str(body["detail"])]
        problems = body.get("problems") or []
    except (ValueError, KeyError, TypeError):
        return f"The server answered {response.status_code}: {response.text[:200]}"
    if response.status_code == 401:
        lines[0] += " (flexiroaster login)"
    lines += [f"  {problem.get('path', '')}: {problem['message']}" for problem in problems if len(problems) > 1]
    return "\n".join(lines)


@contextmanager
def connected(data: Path | None) -> Iterator[Client]:
    """The server of FLEXIROASTER_URL, else the one that runs on this machine's data folder.

    Signed in with FLEXIROASTER_TOKEN, else with what `login` kept, else, on the folder's own machine, with its key.
    """
    import httpx

    from flexiroaster.config import Settings

    settings = Settings.load(data_folder=data)
    url = server_url(settings)
    with (
        _token(settings, url) as token,
        httpx.Client(
            base_url=url, timeout=PATIENCE_SECONDS, headers={"authorization": f"Bearer {token}"}, trust_env=False
        ) as http,
    ):
        yield Client(http)


def server_url(settings: Settings) -> str:
    from flexiroaster.server_file import running_server

    named = os.environ.get("FLEXIROASTER_URL")
    if named:
        return named.rstrip("/")
    running = running_server(settings.data_folder)
    if running is None:
        raise CommandFailed(
            f"No FlexiRoaster runs on the data folder {settings.data_folder}: start one with `flexiroaster up`, "
            "or set FLEXIROASTER_URL to the address of another."
        )
    return running.url


@contextmanager
def _token(settings: Settings, url: str) -> Iterator[str]:
    from flexiroaster.cli.sessions import kept_token
    from flexiroaster.server_file import running_server

    given = os.environ.get("FLEXIROASTER_TOKEN") or kept_token(url)
    running = running_server(settings.data_folder)
    if given:
        yield given
    elif running is not None and running.url == url:
        with _owner_token(settings) as token:
            yield token
    else:
        raise CommandFailed(f"You are not signed in to {url}: run `flexiroaster login`, or set FLEXIROASTER_TOKEN.")


@contextmanager
def _owner_token(settings: Settings) -> Iterator[str]:
    """A session that lasts as long as the command."""
    from flexiroaster.cli.local_accounts import local_accounts

    with local_accounts(settings) as accounts:
        signed_in = accounts.sign_in_as_owner()
        try:
            yield signed_in.access.text
        finally:
            accounts.sign_out(signed_in.refresh_token)
