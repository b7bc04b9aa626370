"""The commands as a person types them, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import flexiroaster
from tests.system.asking import until
from tests.system.server import EMAIL, PASSWORD, PATIENCE_SECONDS, ServerProcess, clean_environment

GOOD = """
id: sums
name: Sums
inputs:
  least: {type: integer, default: 0}
stages:
  - {id: load, type: input, config: {path: orders.csv}}
  - id: total
    type: processing
    config:
      operations:
        - {op: filter, expr: "amount >= ${{ inputs.least }}"}
        - {op: aggregate, by: [region], values: {total: sum(amount)}}
        - {op: sort, by: [region]}
outputs:
  regions: ${{ results.total.rows }}
"""
BAD = """
id: bad
name: Bad
stages:
  - {id: load, type: inpt}
  - {id: next, type: noop, needs: [lod]}
"""
FAILING = GOOD.replace("orders.csv", "gone.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text("region,amount\neu,10\nus,5\neu,7\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "failing.yaml").write_text(FAILING)
    return tmp_path


def flexi(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = environment.pop("stdin", "")
    return subprocess.run(
        [sys.executable, "-m", "flexiroaster", *arguments],
        cwd=folder,
        env=clean_environment(folder, **environment),
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_version() -> None:
    assert flexi(Path.cwd(), "version").stdout.strip() == flexiroaster.__version__


def test_help_names_every_command(tmp_path: Path) -> None:
    text = flexi(tmp_path, "--help").stdout
    for command in (
        "up",
        "run",
        "test",
        "validate",
        "list",
        "show",
        "import",
        "export",
        "execute",
        "logs",
        "login",
        "db",
    ):
        assert f"\n  {command} " in text
    for group in ((), ("db",), ("user",)):
        assert "..." not in flexi(tmp_path, *group, "--help").stdout.partition("Options:")[2].replace("[ARGS]...", "")


def test_reading_accounts_makes_no_folder(tmp_path: Path) -> None:
    done = flexi(tmp_path, "user", "list", "--data-folder", "typo")
    assert (done.returncode, (tmp_path / "typo").exists()) == (2, False)
    assert done.stderr.startswith(f"There is no data folder {tmp_path / 'typo'}: ")


def test_valid_file_is_said_to_be_valid(folder: Path) -> None:
    done = flexi(folder, "validate", "good.yaml")
    assert (done.returncode, done.stdout) == (0, "good.yaml: valid, 2 stages\n")


def test_every_problem_has_its_place_its_line_and_a_way_out(folder: Path) -> None:
    done = flexi(folder, "validate", "good.yaml", "bad.yaml")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[0] == "good.yaml: valid, 2 stages"
    place = next(i for i, line in enumerate(lines) if line.startswith("bad.yaml:5:22: "))
    assert lines[place + 1] == "     5 |   - {id: load, type: inpt}"
    assert lines[place + 2].index("^") == lines[place + 1].index("inpt")
    assert "input" in lines[place + 3]
    assert any(line.startswith("bad.yaml:6:") and "lod" in line for line in lines)


def test_problems_as_json(folder: Path) -> None:
    (report,) = json.loads(flexi(folder, "validate", "--json", "bad.yaml").stdout)
    assert report["valid"] is False
    assert {problem["line"] for problem in report["problems"]} == {5, 6}


def test_standard_input_is_a_file_too(folder: Path) -> None:
    assert flexi(folder, "validate", "-", stdin=GOOD).stdout == "<stdin>: valid, 2 stages\n"


def test_run_shows_stages_preview_and_outputs(folder: Path) -> None:
    done = flexi(folder, "run", "good.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "load: running" in done.stdout
    assert "total: 2 rows" in done.stdout
    assert "  regions  2" in done.stdout
    assert "✓ sums success in" in done.stdout


def test_input_from_the_command_line_has_its_type(folder: Path) -> None:
    document = json.loads(flexi(folder, "run", "good.yaml", "-i", "least=7", "--json").stdout)
    assert (document["status"], document["inputs"], document["outputs"]) == ("success", {"least": 7}, {"regions": 1})
    assert [stage["stage"] for stage in document["stages"]] == ["load", "total"]


READS_DATA = """
id: reads
name: Reads
stages:
  - {id: rows, type: processing, data: "${{ execution.data.rows }}", operations: [{op: limit, rows: 1}]}
outputs: {who: "${{ execution.data.who }}", rows: "${{ results.rows.rows }}"}
"""


def test_a_run_reads_the_data_it_is_started_with(folder: Path) -> None:
    (folder / "reads.yaml").write_text(READS_DATA)
    (folder / "order.json").write_text('{"who": "file", "rows": [{"a": 1}]}')
    shown = flexi(folder, "run", "reads.yaml", "--data", "order.json").stdout
    assert "rows: 1 row\n" in shown
    assert "rows: success, 1 row," in shown
    assert "  who   file\n" in shown
    given = '{"who": "me", "rows": [{"a": 1}, {"a": 2}]}'
    for arguments, stdin in ((("--data", given), ""), (("--data", "-"), given)):
        document = json.loads(flexi(folder, "run", "reads.yaml", "--json", *arguments, stdin=stdin).stdout)
        assert document["outputs"] == {"who": "me", "rows": 1}
    both = flexi(folder, "run", "-", "--data", "-", stdin=READS_DATA)
    assert (both.returncode, "standard input is the definition already" in both.stderr) == (2, True)


def test_an_execution_reads_the_data_it_is_started_with(server: ServerProcess, tmp_path: Path) -> None:
    with server.client() as client:
        headers = {"content-type": "application/yaml"}
        client.post("/api/pipelines", content=READS_DATA, headers=headers).raise_for_status()
    arguments = ("execute", "reads", "--wait", "--json", *at(server))
    given = '{"who": "me", "rows": [{"a": 1}]}'
    for option, stdin in ((given, ""), ("-", given)):
        done = flexi(tmp_path, *arguments, "--data", option, stdin=stdin)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["outputs"] == {"who": "me", "rows": 1}
    wrong = flexi(tmp_path, *arguments, "--data", "gone.json")
    assert (wrong.returncode, "neither a file nor JSON" in wrong.stderr) == (2, True)
    with server.client() as client:
        client.delete("/api/pipelines/reads").raise_for_status()


def test_a_long_line_is_shown_around_its_problem(folder: Path) -> None:
    (folder / "long.json").write_text(json.dumps({"id": "x", "name": "X" * 500, "stagse": []}))
    lines = flexi(folder, "validate", "long.json").stdout.splitlines()
    problem = next(number for number, line in enumerate(lines) if "stagse" in line)
    excerpt, caret = lines[problem + 1 : problem + 3]
    assert excerpt[caret.index("^") :].startswith('"stagse"')
    assert max(map(len, lines)) < 300


def test_failure_tells_its_cause_and_ends_with_1(folder: Path) -> None:
    done = flexi(folder, "run", "failing.yaml")
    assert done.returncode == 1
    assert "✗ load: " in done.stdout
    assert "gone.csv" in done.stdout
    assert "✗ sums failed in" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "bad.yaml"], "inpt"),
        (["run", "gone.yaml"], "gone.yaml cannot be read: No such file or directory."),
        (["run", "good.yaml", "-i", "least=x"], "must be a whole number, not 'x'"),
        (["run", "good.yaml", "-i", "most=1"], "no input 'most'"),
        (["run", "good.yaml", "-i", "least"], "is not key=value"),
        (["run"], "Missing argument"),
        (["nope"], "No such command"),
    ],
)
def test_what_is_given_wrong_ends_with_2(folder: Path, arguments: list[str], sentence: str) -> None:
    done = flexi(folder, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_run_leaves_nothing_behind_unless_it_is_told_to(folder: Path) -> None:
    before = set(folder.iterdir())
    flexi(folder, "run", "good.yaml")
    assert set(folder.iterdir()) == before
    flexi(folder, "run", "good.yaml", "--data-folder", "kept")
    assert (folder / "kept" / "flexiroaster.db").exists()


def test_python_file_that_builds_a_pipeline_runs(folder: Path) -> None:
    (folder / "built.py").write_text(
        "from flexiroaster import Pipeline\n"
        "pipeline = Pipeline('built')\n"
        "pipeline.stage('load', 'input', path='orders.csv')\n"
    )
    done = flexi(folder, "run", "built.py")
    assert done.returncode == 0, done.stdout + done.stderr


TESTED = """
id: tested
name: Tested
stages:
  - {id: read, type: noop, retry: {max_attempts: 2, delay: 1h}}
  - {id: ask, type: approval, config: {message: "Go on?"}}
outputs: {rows: "${{ results.read.rows }}"}
tests:
  - name: it asks
    mock: {read: {data: {rows: 3}}}
    expect: {status: paused, at: ask}
  - name: it fails
    mock: {read: {error: no luck}}
    expect: {status: %s, at: read}
"""


def test_the_tests_of_a_definition_are_run(folder: Path) -> None:
    (folder / "tested.yaml").write_text(TESTED % "failed")
    done = flexi(folder, "test", "tested.yaml", "good.yaml")
    assert done.returncode == 0, done.stderr
    lines = [line.rsplit("  ", 1)[0] for line in done.stdout.splitlines()]
    assert lines == [
        "tested.yaml: 2 tests",
        "  ✓ it asks",
        "  ✓ it fails",
        "good.yaml: 0 tests",
        "2 passed, 0 failed",
    ]


def test_a_test_that_fails_tells_the_difference_and_ends_with_1(folder: Path) -> None:
    (folder / "tested.yaml").write_text(TESTED % "success")
    done = flexi(folder, "test", "tested.yaml", "-k", "FAILS")
    assert (done.returncode, done.stderr) == (1, "")
    assert "      status: expected success, got failed (read: no luck)" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"
    told = json.loads(flexi(folder, "test", "tested.yaml", "--json").stdout)
    assert [(one["test"], one["passed"]) for one in told] == [("it asks", True), ("it fails", False)]
    assert told[1]["differences"][0]["where"] == "status"
    assert flexi(folder, "test", "bad.yaml").returncode == 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    admin = {"FLEXIROASTER_ADMIN_EMAIL": EMAIL, "FLEXIROASTER_ADMIN_PASSWORD": PASSWORD}
    with ServerProcess(tmp_path_factory.mktemp("server"), options=(), environment=admin) as running:
        yield running


def at(server: ServerProcess) -> tuple[str, str]:
    return ("--data-folder", str(server.data))


def test_on_the_servers_machine_no_sign_in_is_needed(server: ServerProcess, tmp_path: Path) -> None:
    heading, *listed = flexi(tmp_path, "list", *at(server)).stdout.splitlines()
    assert heading.split("\t") == ["pipeline", "name", "stages", "version", "last", "started"]
    assert [line.split("\t")[0] for line in listed] == ["flights", "hello", "orders", "penguins"]


def test_execute_waits_and_tells_the_end(server: ServerProcess, tmp_path: Path) -> None:
    done = flexi(tmp_path, "execute", "penguins", "--wait", *at(server))
    assert (done.returncode, "✓ penguins #" in done.stdout) == (0, True), done.stderr
    failed = flexi(tmp_path, "execute", "orders", "--wait", "--json", *at(server))
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["failed_stage"] == "check"
    lines = flexi(tmp_path, "logs", json.loads(failed.stdout)["id"], "-f", *at(server)).stdout
    assert "failed at check" in lines


def test_execute_waits_and_tells_why_it_was_cancelled(server: ServerProcess, tmp_path: Path) -> None:
    asks = {"id": "ask", "type": "approval", "config": {"message": "Go on?"}}
    lone = {"id": "lone", "name": "Lone", "concurrency": {"limit": 1, "when_full": "skip"}, "stages": [asks]}
    with server.client() as client:
        client.post("/api/pipelines", json=lone).raise_for_status()
    first = flexi(tmp_path, "execute", "lone", *at(server)).stdout.split()[-1]
    second = flexi(tmp_path, "execute", "lone", "--wait", *at(server))
    assert second.returncode == 1
    assert second.stdout.splitlines()[-1] == (
        "✗ lone #2 cancelled: not run: 1/1 run, and concurrency.when_full is skip"
    )
    assert flexi(tmp_path, "cancel", first, *at(server)).returncode == 0


def test_elsewhere_login_opens_the_way(server: ServerProcess, tmp_path: Path) -> None:
    away = {"FLEXIROASTER_URL": server.url}
    refused = flexi(tmp_path, "list", **away)
    assert (refused.returncode, "flexiroaster login" in refused.stderr) == (1, True)
    wrong = flexi(tmp_path, "login", "-e", EMAIL, "--password-stdin", stdin="another one\n", **away)
    assert wrong.returncode == 1
    assert flexi(tmp_path, "login", "-e", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n", **away).returncode == 0
    sessions = tmp_path / "config" / "flexiroaster" / "sessions.json"
    assert sessions.stat().st_mode & 0o777 == 0o600
    assert "flights" in flexi(tmp_path, "list", **away).stdout


def test_nobody_at_the_address_is_one_sentence(tmp_path: Path) -> None:
    done = flexi(tmp_path, "list", FLEXIROASTER_URL="http://127.0.0.1:9", FLEXIROASTER_TOKEN="x")
    assert done.returncode == 1
    assert done.stderr.startswith("No FlexiRoaster answers at http://127.0.0.1:9")


def test_definitions_are_brought_to_a_server_and_back(server: ServerProcess, folder: Path) -> None:
    (folder / "built.py").write_text(
        "from flexiroaster import Pipeline\npipeline = Pipeline('built')\npipeline.stage('a', 'noop')\n"
    )
    brought = flexi(folder, "import", "good.yaml", "built.py", *at(server))
    assert brought.stdout == "good.yaml: made sums v1\nbuilt.py: made built v1\n"
    assert flexi(folder, "export", "sums", *at(server)).stdout == GOOD
    assert flexi(folder, "import", "good.yaml", *at(server)).stdout == "good.yaml: sums is like this already (v1)\n"
    changed = flexi(folder, "import", "-", "-m", "more", *at(server), stdin=GOOD.replace("default: 0", "default: 1"))
    assert changed.stdout == "<stdin>: changed sums from v1 to v2\n"
    assert flexi(folder, "export", "sums", "--version", "1", *at(server)).stdout == GOOD
    written = flexi(folder, "export", "--to", "kept", *at(server)).stdout.splitlines()
    assert {"kept/sums.yaml", "kept/built.json", "kept/flights.yaml"} <= set(written)
    assert all((folder / name).is_file() for name in written)
    assert flexi(folder, "export", *at(server)).returncode == 2
    for id in ("sums", "built"):
        assert flexi(folder, "delete", id, "--yes", *at(server)).stdout == f"{id} is deleted.\n"
    assert flexi(folder, "delete", "sums", *at(server)).returncode == 2
    assert flexi(folder, "delete", "sums", "--yes", *at(server)).stderr == "There is no pipeline 'sums'.\n"


def test_a_wrong_definition_is_explained_where_it_is_wrong(server: ServerProcess, folder: Path) -> None:
    done = flexi(folder, "import", "bad.yaml", *at(server))
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith("bad.yaml:5:22: unknown_stage_type: ")
    assert lines[1] == "     5 |   - {id: load, type: inpt}"
    assert any(line.startswith("bad.yaml:6:") and "lod" in line for line in lines)


def test_accounts_are_made_and_listed_beside_the_server(server: ServerProcess, tmp_path: Path) -> None:
    made = flexi(tmp_path, "user", "create", "bob@example.com", "--generate", *at(server))
    assert "Made the account bob@example.com (viewer)." in made.stdout
    assert "bob@example.com\tviewer\tactive" in flexi(tmp_path, "user", "list", *at(server)).stdout
    joined = flexi(tmp_path, "user", "groups", "bob@example.com", "sales", "finance", *at(server))
    assert joined.stdout == "bob@example.com is in sales, finance.\n"
    listed = flexi(tmp_path, "user", "list", *at(server)).stdout
    assert "bob@example.com\tviewer\tactive\tnever\tfinance, sales" in listed
    left = flexi(tmp_path, "user", "groups", "bob@example.com", "--none", *at(server))
    assert left.stdout == "bob@example.com is in no group.\n"
    wrong = flexi(tmp_path, "user", "groups", "bob@example.com", "a b", *at(server))
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "'a b' is no name of a group: use letters, digits, _, - and ., at most 80.\n",
    )
    reset = flexi(tmp_path, "user", "reset-password", "bob@example.com", "--generate", *at(server))
    assert reset.returncode == 0
    unknown = flexi(tmp_path, "user", "reset-password", "eve@example.com", "--generate", *at(server))
    assert unknown.returncode == 1


def test_a_question_is_listed_and_answered(server: ServerProcess, tmp_path: Path) -> None:
    review = {"message": "Publish?", "form": {"discount": {"type": "number"}}}
    stages = [{"id": "review", "type": "approval", "config": review}, {"id": "publish", "type": "noop"}]
    server.client().post("/api/pipelines", json={"id": "asking", "name": "Asking", "stages": stages})
    data = at(server)
    started = flexi(tmp_path, "execute", "asking", *data)
    execution = started.stdout.split()[-1]
    listed = ""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "Publish?" not in listed and time.monotonic() < deadline:
        listed = flexi(tmp_path, "approvals", "--mine", *data).stdout
    assert f"\nasking\t#1\t{execution}\treview\tPublish?\t" in listed
    given = ["-i", "discount=5", "-m", "go"]
    decided = flexi(tmp_path, "approve", execution, "review", *given, *data)
    assert decided.stdout == f"review is approved by {EMAIL}.\n"
    otherwise = flexi(tmp_path, "reject", execution, "review", *data)
    assert otherwise.returncode == 1
    assert f"'review' was approved by {EMAIL}" in otherwise.stderr
    assert flexi(tmp_path, "approvals", *data).stderr == "Nothing waits for a decision.\n"


@pytest.fixture(scope="module")
def failed(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An execution that failed."""
    done = flexi(tmp_path_factory.mktemp("away"), "execute", "orders", "--wait", "--json", *at(server))
    return str(json.loads(done.stdout)["id"])


def test_retry_shows_its_plan_and_does_it_when_told(server: ServerProcess, tmp_path: Path, failed: str) -> None:
    data = at(server)
    looked = flexi(tmp_path, "retry", failed, "--dry-run", *data)
    assert (looked.returncode, " reused, " in looked.stdout, "check" in looked.stdout) == (0, True, True), looked.stderr
    unasked = flexi(tmp_path, "retry", failed, *data)
    assert (unasked.returncode, "say --yes" in unasked.stderr) == (2, True)
    done = flexi(tmp_path, "retry", failed, "--yes", "--wait", *data)
    assert (done.returncode, "failed" in done.stdout.splitlines()[-1]) == (1, True), done.stderr


def test_rerun_takes_an_execution_or_the_latest_of_a_pipeline(
    server: ServerProcess, tmp_path: Path, failed: str
) -> None:
    data = at(server)
    looked = json.loads(flexi(tmp_path, "rerun", "orders", "--from", "check", "--dry-run", "--json", *data).stdout)
    assert (looked["pipeline_id"], looked["from_stage"], "check" in looked["to_run"]) == ("orders", "check", True)
    first = json.loads(flexi(tmp_path, "execute", "penguins", "--wait", "--json", *data).stdout)
    last = first["stages"][-1]["stage"]
    done = flexi(tmp_path, "rerun", first["id"], "--only", last, "--yes", "--wait", *data)
    assert (done.returncode, "✓ penguins #" in done.stdout) == (0, True), done.stderr
    noted = flexi(tmp_path, "rerun", first["id"], "--from", last, "-i", "max_invalid=6%", "--dry-run", *data)
    assert "Reused results were made with the inputs of before" in noted.stdout, noted.stderr
    unknown = flexi(tmp_path, "rerun", first["id"], "-i", "nothing=3", *data)
    assert (unknown.returncode, unknown.stdout, "no input 'nothing'" in unknown.stderr) == (2, "", True)
    wrong = flexi(tmp_path, "rerun", first["id"], "--from", "nothing", "--yes", *data)
    assert (wrong.returncode, "There is no stage 'nothing' in this version" in wrong.stderr) == (2, True)


def test_many_are_retried_by_a_filter(server: ServerProcess, tmp_path: Path, failed: str) -> None:
    data = at(server)
    none = flexi(tmp_path, "retry", "--all", "--pipeline", "orders", "--until", "1h", "--yes", *data)
    assert (none.returncode, none.stdout) == (0, "0 executions to retry\n0 of 0 done\n"), none.stderr
    some = ("--all", "--pipeline", "orders", "--since", "1h", "--status", "failed")
    done = json.loads(flexi(tmp_path, "retry", *some, "--yes", "--no-cache", "--json", *data).stdout)
    assert (done["refused"], failed in [item["execution_id"] for item in done["items"]]) == (0, True)
    assert server.client().get(f"/api/executions/{failed}").json()["use_cache"] is False
    text = ("--all", "--text", "no error says this", "--trigger", "manual", "--dry-run")
    assert flexi(tmp_path, "retry", *text, *data).stdout == "0 executions to retry\n"
    for wrong in (("--all", failed), (), ("--pipeline", "orders"), ("--all", "--since", "yesterday")):
        assert flexi(tmp_path, "cancel", *wrong, "--yes", *data).returncode == 2


def test_paused_execution_is_resumed(server: ServerProcess, tmp_path: Path) -> None:
    stages = [{"id": "rest", "type": "wait", "config": {"seconds": 600}}]
    server.client().post("/api/pipelines", json={"id": "resting", "name": "Resting", "stages": stages})
    data = at(server)
    execution = flexi(tmp_path, "execute", "resting", *data).stdout.split()[-1]
    assert flexi(tmp_path, "pause", execution, *data).stdout == "resting #1 is paused\n"
    assert flexi(tmp_path, "resume", execution, *data).stdout == "resting #1 is running\n"
    assert flexi(tmp_path, "cancel", execution, *data).stdout == "resting #1 is cancelled\n"
    late = flexi(tmp_path, "pause", execution, *data)
    assert (late.returncode, "has already ended as cancelled" in late.stderr) == (1, True)


ITEMS = {
    "id": "by_region",
    "name": "By region",
    "inputs": {"wrong": {"type": "integer", "default": 3}},
    "stages": [
        {
            "id": "each",
            "type": "wait",
            "needs": [],
            "foreach": {"items": [1, 2, 3, 4], "as": "n", "on_error": "continue", "min_success": 1},
            "config": {"seconds": "${{ n == inputs.wrong ? -1 : 0 }}"},
        },
        {"id": "ask", "type": "approval", "needs": ["each"], "config": {"message": "Go on?"}},
    ],
}


def test_an_execution_is_shown_with_what_it_waits_for_and_its_items(server: ServerProcess, tmp_path: Path) -> None:
    server.client().post("/api/pipelines", json=ITEMS).raise_for_status()
    data = at(server)
    execution = flexi(tmp_path, "execute", "by_region", *data).stdout.split()[-1]
    until(lambda: "waiting for approval" in flexi(tmp_path, "show", execution, *data).stdout)
    lines = flexi(tmp_path, "show", "by_region", *data).stdout.splitlines()
    assert lines[0].startswith("by_region #1: running for ")
    assert [line.split("\t")[:3] for line in lines[3:]] == [["each", "wait", "success"], ["ask", "approval", "waiting"]]
    assert "4 items: 3 success, 1 failed" in lines[3]
    bad = flexi(tmp_path, "show", execution, "--items", "each", "--status", "failed", *data).stdout.splitlines()
    assert [line.split("\t")[:3] for line in bad[2:]] == [["3", "3", "failed"]]
    two = json.loads(flexi(tmp_path, "show", execution, "--items", "each", "-n", "2", "--json", *data).stdout)
    assert [item["index"] for item in two] == [1, 2]
    assert flexi(tmp_path, "show", execution, "--items", "ask", *data).stderr == "Stage 'ask' has no items.\n"
    listed = flexi(tmp_path, "list", "--status", "running", *data).stdout
    assert execution in listed
    assert listed.rstrip().endswith("ask: waiting for approval")
    assert flexi(tmp_path, "cancel", execution, *data).returncode == 0


def test_a_chosen_version_is_run(server: ServerProcess, tmp_path: Path) -> None:
    first = {"id": "two", "name": "Two", "inputs": {"n": {"type": "integer"}}, "stages": [{"id": "a", "type": "noop"}]}
    changed = {**first, "inputs": {"n": {"type": "string"}}}
    with server.client() as client:
        client.post("/api/pipelines", json=first).raise_for_status()
        client.put("/api/pipelines/two", json=changed).raise_for_status()
    ran = flexi(tmp_path, "execute", "two", "--version", "1", "-i", "n=3", "--wait", "--json", *at(server))
    assert (json.loads(ran.stdout)["version"], json.loads(ran.stdout)["inputs"]) == (1, {"n": 3}), ran.stderr
    none = flexi(tmp_path, "execute", "two", "--version", "7", *at(server))
    assert (none.returncode, none.stderr) == (1, "There is no version 'two v7'.\n")


def test_one_stage_is_cancelled_alone(server: ServerProcess, tmp_path: Path) -> None:
    rest = {"id": "rest", "type": "wait", "needs": [], "config": {"seconds": 600}}
    stages = [rest, {"id": "tidy", "type": "noop", "needs": ["rest"], "join": "all_done"}]
    server.client().post("/api/pipelines", json={"id": "napping", "name": "Napping", "stages": stages})
    data = at(server)
    execution = flexi(tmp_path, "execute", "napping", *data).stdout.split()[-1]
    done = flexi(tmp_path, "cancel", execution, "--stage", "rest", *data)
    assert (done.returncode, done.stdout) == (0, "rest is cancelled\n"), done.stderr
    late = flexi(tmp_path, "cancel", execution, "--stage", "tidy", *data)
    assert (late.returncode, "has already ended as cancelled" in late.stderr) == (1, True)
    for wrong in (("--stage", "rest"), (execution, "--item", "1"), (execution, "--stage", "rest", "--all")):
        assert flexi(tmp_path, "cancel", *wrong, *data).returncode == 2


def test_the_doctor_looks_beside_a_server(server: ServerProcess, tmp_path: Path, failed: str) -> None:
    well = flexi(tmp_path, "doctor", *at(server))
    assert (well.returncode, well.stdout.splitlines()[-1]) == (0, "All is well."), well.stdout + well.stderr
    assert "✓ server: http://127.0.0.1:" in well.stdout
    found = json.loads(flexi(tmp_path, "doctor", "--json", *at(server)).stdout)
    assert (found["healthy"], {one["level"] for one in found["findings"]} <= {"ok", "warning"}) == (True, True)
    assert "events" in {one["check"] for one in found["findings"]}


def test_the_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    none = flexi(tmp_path, "doctor", "--data-folder", str(tmp_path / "nothing"))
    assert (none.returncode, "✗ data folder: There is no data folder" in none.stdout) == (1, True), none.stdout
    assert "    cure  Start `flexiroaster up` once" in none.stdout
    wrong = flexi(tmp_path, "doctor", FLEXIROASTER_PORT="high")
    assert (wrong.returncode, "FLEXIROASTER_PORT is 'high'" in wrong.stdout) == (1, True), wrong.stdout
    folder = ["--data-folder", str(tmp_path / "data")]
    assert flexi(tmp_path, "db", "upgrade", *folder).returncode == 0
    (tmp_path / "data").chmod(0o755)
    open_ = flexi(tmp_path, "doctor", "--json", *folder)
    findings = {one["check"]: one for one in json.loads(open_.stdout)["findings"]}
    assert findings["data folder"]["cure"] == f"Run chmod 700 {tmp_path / 'data'}."
    assert findings["artifacts"]["level"] == "error"
    (tmp_path / "data" / "flexiroaster.db").unlink()
    gone = flexi(tmp_path, "doctor", *folder)
    assert (gone.returncode, "✗ database: There is no database" in gone.stdout) == (1, True), gone.stdout


def test_cancel_says_what_became_of_it(server: ServerProcess, tmp_path: Path, failed: str) -> None:
    data = at(server)
    gone = flexi(tmp_path, "cancel", "nothing", *data)
    assert (gone.returncode, "There is no execution 'nothing'" in gone.stderr) == (1, True)
    all_ = flexi(tmp_path, "cancel", "--all", "--yes", *data)
    assert (all_.returncode, "done" in all_.stdout) == (0, True), all_.stderr
