from __future__ import annotations

import pytest

from flexiroaster.auth.errors import Forbidden
from flexiroaster.auth.permissions import LOWEST_ROLE, Role, may, require

RANK = {"viewer": 0, "operator": 1, "editor": 2, "admin": 3}


@pytest.mark.parametrize("operation", LOWEST_ROLE)
@pytest.mark.parametrize("role", RANK)
def test_each_role_may_do_what_the_table_says(role: str, operation: str) -> None:
    allowed = RANK[role] >= RANK[LOWEST_ROLE[operation].value]
    assert may(role, operation) is allowed
    if allowed:
        require(role, operation)
    else:
        with pytest.raises(Forbidden, match=LOWEST_ROLE[operation].value):
            require(role, operation)


@pytest.mark.parametrize("role", ["", "root", "ADMIN", "admin ", "superuser"])
def test_an_unknown_role_may_do_nothing(role: str) -> None:
    assert not any(may(role, operation) for operation in LOWEST_ROLE)


def test_an_unknown_operation_is_refused_to_all() -> None:
    assert not any(may(role, "pipelines:explode") for role in Role)
    with pytest.raises(Forbidden):
        require("admin", "pipelines:explode")


@pytest.mark.parametrize(
    ("operation", "role"),
    [
        ("pipelines:read", "viewer"),
        ("executions:run", "operator"),
        ("pipelines:write", "editor"),
        ("users:write", "admin"),
        ("secrets:write", "admin"),
        ("pipelines:write_code", "admin"),
    ],
)
def test_the_boundaries_that_matter(operation: str, role: str) -> None:
    assert LOWEST_ROLE[operation].value == role
