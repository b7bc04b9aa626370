"""The settings of an `http` stage."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, model_validator

from flexiroaster.engine.field_types import PositiveDuration
from flexiroaster.stages.base import StageConfig
from flexiroaster.stages.json_path import PATTERN

Scalar = str | int | float | bool
PathText = Annotated[str, Field(pattern=PATTERN, examples=["$.items"])]
PageLimit = Annotated[int, Field(ge=1, le=100_000, description="Stop after so many pages, with a warning.")]
Status = Annotated[int, Field(ge=100, le=599)] | Literal["1xx", "2xx", "3xx", "4xx", "5xx"]


class BasicAuth(StageConfig):
    type: Literal["basic"]
    username: str = Field(description="User name.")
    password: SecretStr = Field(description="Password; take it from a secret.")


class BearerAuth(StageConfig):
    type: Literal["bearer"]
    token: SecretStr = Field(description="Token; take it from a secret.")


Auth = Annotated[BasicAuth | BearerAuth, Field(discriminator="type")]


class CursorPages(StageConfig):
    """Each page names the next one."""

    type: Literal["cursor"]
    next: PathText = Field(description="Where a page holds the next cursor or URL; null, empty or missing ends.")
    param: str | None = Field(
        None, description="The parameter to send the cursor in; without it the cursor is the URL of the next page."
    )
    send_in: Literal["query", "json"] = Field("query", description="Whether `param` goes into the query or the body.")
    max_pages: PageLimit = 100


class NumberedPages(StageConfig):
    """Pages are counted; a page without rows, or with fewer than `size`, is the last one."""

    type: Literal["page"]
    param: str = Field("page", description="The query parameter with the number of the page.")
    start: int = Field(1, ge=0, description="The number of the first page.")
    size_param: str | None = Field(None, description="The query parameter with the number of rows per page.")
    size: int | None = Field(None, ge=1, description="Rows per page.")
    max_pages: PageLimit = 100


class OffsetPages(StageConfig):
    """Rows are counted; a page with fewer than `limit` rows is the last one."""

    type: Literal["offset"]
    param: str = Field("offset", description="The query parameter with the number of rows to skip.")
    limit_param: str = Field("limit", description="The query parameter with the number of rows per page.")
    limit: int = Field(100, ge=1, description="Rows per page.")
    max_pages: PageLimit = 100


class LinkPages(StageConfig):
    """The header `Link: <…>; rel="next"` names the next page."""

    type: Literal["link"]
    max_pages: PageLimit = 100


Pages = Annotated[CursorPages | NumberedPages | OffsetPages | LinkPages, Field(discriminator="type")]


class Connection(StageConfig):
    """A service with its credentials, usually by name; it may also come from an expression."""

    url: str = Field(description="The address of the service; `path` is added to it.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of every request.")
    auth: Auth | None = Field(None, description="How to log in.")


class HttpConfig(StageConfig):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["connection"]}]}
    )

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = Field(
        "GET", description="The HTTP method."
    )
    url: str | None = Field(None, min_length=1, description="The address, with http:// or https://.")
    connection: Connection | str | None = Field(
        None, description="The name of a connection, or one written out; instead of `url`."
    )
    path: str | None = Field(None, description="What is added to the URL of the connection.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers to send.")
    query: dict[str, Scalar | list[Scalar] | None] = Field(
        default_factory=dict, description="Query parameters; a list repeats its name, null leaves it out."
    )
    json_body: Any = Field(None, alias="json", description="A JSON value to send as the body.")
    form: dict[str, Scalar | list[Scalar]] | None = Field(None, description="Form fields to send as the body.")
    body: str | None = Field(None, description="Text to send as the body; set its Content-Type in `headers`.")
    auth: Auth | None = Field(None, description="How to log in.")
    expected_status: list[Status] = Field(
        ["2xx"], min_length=1, description="Answers that are a success, such as 200 or 2xx."
    )
    request_timeout: PositiveDuration = Field(
        timedelta(seconds=30),
        description="The limit of each single request, its body included; the stage's `timeout` covers all of them.",
        json_schema_extra={"default": "30s"},
    )
    response: Literal["auto", "json", "text", "file", "table"] = Field(
        "auto",
        description="What to make of the answer: `json` and `text` become the result's `data`, `file` keeps it as an "
        "artifact, `table` makes rows of it. `auto` goes by `rows`, `paginate` and the answer's Content-Type.",
    )
    rows: PathText | None = Field(
        None, description="Where a JSON answer holds its rows, such as $.items; makes the result a table."
    )
    paginate: Pages | None = Field(None, description="How to fetch further pages; makes the result a table.")
    follow_redirects: bool = Field(
        True, description="Whether to follow redirects, five at most; credentials stay with their host."
    )
    max_response_mb: float = Field(100, gt=0, le=2000, description="The largest answer accepted, in MB (per page).")

    @model_validator(mode="after")
    def _agree(self) -> HttpConfig:
        if (self.url is None) == (self.connection is None):
            raise ValueError("Give exactly one of url and connection.")
        if self.path is not None and self.connection is None:
            raise ValueError("path needs a connection: write the whole address into url.")
        bodies = [name for name in ("json", "form", "body") if self._given(name)]
        if len(bodies) > 1:
            raise ValueError(f"Give one body only, not {' and '.join(bodies)}.")
        if self.response not in {"auto", "table"} and (self.rows or self.paginate):
            raise ValueError(f"response: {self.response} does not go with rows or paginate, which make a table.")
        return self

    def _given(self, body: str) -> bool:
        return ("json_body" if body == "json" else body) in self.model_fields_set

    @property
    def has_json(self) -> bool:
        return "json_body" in self.model_fields_set

    @property
    def makes_table(self) -> bool:
        return bool(self.response == "table" or self.rows or self.paginate)

    def expects(self, status: int) -> bool:
        return status in self.expected_status or f"{status // 100}xx" in self.expected_status
