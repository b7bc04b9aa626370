"""An S3 server of the tests' own, in this process, on a free port. It knows who asks: a wrong secret is refused."""

from __future__ import annotations

import contextlib
import hmac
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote

import boto3
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto import settings
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from flexiroaster.artifacts.s3 import Bucket

REGION = "us-east-1"
CALLS_WITHOUT_KEYS = 3
"""The first: they make the user whose keys are asked for from then on."""

_numbers = itertools.count(1)


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any, **__: Any) -> None:
        pass


@dataclass(frozen=True)
class S3Server:
    """Start with `S3Server.start()`."""

    url: str
    credentials: Credentials
    server: BaseWSGIServer
    thread: threading.Thread

    @classmethod
    def start(cls) -> S3Server:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = CALLS_WITHOUT_KEYS
        signed = SignedLinks(DomainDispatcherApplication(create_backend_app))
        server = make_server("127.0.0.1", 0, signed, threaded=True, request_handler=Quiet)
        thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        signed.credentials = _user(url)
        return cls(url, signed.credentials, server, thread)

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def client(self) -> Any:
        return _client("s3", self.url, self.credentials)

    def bucket(self, **changes: Any) -> Bucket:
        """A new, empty one."""
        name = f"test-bucket-{next(_numbers)}"
        self.client.create_bucket(Bucket=name)
        given = {
            "prefix": "some/prefix",
            "endpoint": self.url,
            "region": REGION,
            "access_key_id": self.credentials.access_key,
            "secret_access_key": self.credentials.secret_key,
        }
        return Bucket(name, **given | changes)

    def keys(self, bucket: Bucket) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]


def _client(service: str, url: str, credentials: Credentials) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
    )


def _user(url: str) -> Credentials:
    """One who may do everything, made by exactly `CALLS_WITHOUT_KEYS` calls."""
    iam = _client("iam", url, Credentials("nobody", "yet"))
    iam.create_user(UserName="flexiroaster")
    key = iam.create_access_key(UserName="flexiroaster")["AccessKey"]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="flexiroaster", PolicyName="everything", PolicyDocument=json.dumps(everything))
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


class SignedLinks:
    """Moto looks for a signature in the headers alone. One in the address is checked here, and then moved there."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.credentials = Credentials("nobody", "yet")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        if "X-Amz-Signature" not in asked:
            return self._app(environ, start_response)
        path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/~")
        url = f"http://{environ['HTTP_HOST']}{path}"
        if self._expired(asked) or not hmac.compare_digest(asked["X-Amz-Signature"], self._signature(environ, url)):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        again = AWSRequest(environ["REQUEST_METHOD"], url, headers={"Host": environ["HTTP_HOST"]})
        S3SigV4Auth(self.credentials, "s3", REGION).add_auth(again)
        environ |= {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in again.headers.items() if name != "Host"
        }
        return self._app(environ | {"QUERY_STRING": ""}, start_response)

    def _signature(self, environ: dict[str, Any], url: str) -> str:
        """As Amazon's own library works it out."""
        query = environ["QUERY_STRING"].partition("&X-Amz-Signature=")[0]
        request = AWSRequest(environ["REQUEST_METHOD"], f"{url}?{query}", headers={"host": environ["HTTP_HOST"]})
        request.context["timestamp"] = parse_qs(query)["X-Amz-Date"][0]
        auth = S3SigV4QueryAuth(self.credentials, "s3", REGION)
        return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))

    @staticmethod
    def _expired(asked: dict[str, str]) -> bool:
        signed_at = datetime.strptime(asked["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return datetime.now(UTC) > signed_at + timedelta(seconds=int(asked["X-Amz-Expires"]))


class Door:
    """An address of its own before the S3 server, which can be shut: nobody answers there then."""

    def __init__(self, server: S3Server) -> None:
        self._behind = ("127.0.0.1", server.server.server_port)
        self._held: list[socket.socket] = []
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self._serve(self._listener)

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    def shut(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        while self._held:
            with contextlib.suppress(OSError):
                self._held.pop().shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self._listener = socket.create_server(self._address)
        self._serve(self._listener)

    def _serve(self, listener: socket.socket) -> None:
        threading.Thread(target=self._let_in, args=(listener,), daemon=True).start()

    def _let_in(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # shut
            while True:
                outer, _ = listener.accept()
                inner = socket.create_connection(self._behind)
                self._held += [outer, inner]
                for one, other in ((outer, inner), (inner, outer)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
