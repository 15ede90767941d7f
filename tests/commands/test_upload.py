"""`openml-web upload`, as scripts call it, against the service as a process of its own."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

import app
from app.cli import cli, commands_on
from app.commands.answers import RequestRefusedError
from app.commands.source import open_source
from app.commands.terminal import progress_of
from app.commands.upload_choices import options_that_would_do
from app.db.upload_tables import uploads as uploads_table
from tests.conftest import eventually
from tests.forwarder import Forwarder
from tests.servers import serving
from tests.service import ADA, Site, serving_site

TABLE = "station,level,flood\nOuse,4.2,yes\nAire,1.0,no\n"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str) -> Iterator[Site]:
    with serving_site(tmp_path_factory.mktemp("command"), migrated_sqlite, sandbox_url) as found:
        yield found


@pytest.fixture
def name() -> str:
    return f"levels-{secrets.token_hex(4)}"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "levels.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in an empty folder, with no settings and nobody's key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("OPENML_WEB_TOKEN", "OPENML_APIKEY", "OPENML_WEB_SERVER", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)

    def run_command(*arguments: str, **environment: str) -> Result:
        result = CliRunner().invoke(cli, ["upload", *arguments], env=environment)
        for secret in (environment.get("OPENML_APIKEY"), environment.get("OPENML_WEB_TOKEN")):
            assert not secret or secret not in result.output
        return result

    return run_command


def at(site: Site) -> dict[str, str]:
    return {"OPENML_WEB_SERVER": site.url, "OPENML_APIKEY": site.api_key}


def token_for(site: Site, *scopes: str) -> str:
    """Make an API token of the person whose key it is."""
    login = {"username": ADA["email"], "password": ADA["password"]}
    session = httpx.post(f"{site.url}/token", data=login).json()["access_token"]
    wanted = {"name": "pipeline", "scopes": scopes}
    made = httpx.post(f"{site.url}/tokens", json=wanted, headers={"Authorization": f"Bearer {session}"})
    return str(made.json()["token"])


def uploads(site: Site, name: str) -> list[dict[str, Any]]:
    found = httpx.get(f"{site.url}/uploads?limit=100", headers=site.headers).json()["uploads"]
    return [upload for upload in found if upload["dataset_name"] == name]


def test_upload_when_told_everything_then_published_once_and_said_as_json(
    run: Run, site: Site, table: Path, name: str, tmp_path: Path
) -> None:
    (tmp_path / "about.txt").write_text("River levels.")
    (tmp_path / "more.json").write_text('{"language": "English", "dataset_name": "overruled"}')
    arguments = [str(table), "--name", name, "--description", "@about.txt", "--target", "flood"]
    arguments += ["--creator", "Ada Example", "--licence", "CC0", "--type", "station=nominal"]

    first = run(*arguments, "--metadata", "more.json", "--json", **at(site))
    again = run(*arguments, "--metadata", "more.json", **at(site))

    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    upload = document["upload"]
    assert (document["outcome"], upload["state"], document["problem"]) == ("active", "active", None)
    described = upload["metadata"]
    assert {field: described[field] for field in ("dataset_name", "description", "language", "licence")} == {
        "dataset_name": name,
        "description": "River levels.",
        "language": "English",
        "licence": "CC0",
    }
    assert (described["def_tar_att"], described["creator"]) == (["flood"], ["Ada Example"])
    assert described["attributes"] == {"station": "nominal"}
    assert (again.exit_code, again.stdout) == (0, f"{upload['dataset_url']}\n")
    assert "published this file under this name before" in again.stderr
    assert len(uploads(site, name)) == 1


@pytest.mark.long
def test_upload_when_a_duplicate_is_wanted_then_published_again(
    run: Run, site: Site, table: Path, name: str
) -> None:
    arguments = [str(table), "--name", name, "--description", "Levels.", "--target", "flood", "--duplicate"]
    codes = [run(*arguments, "--quiet", **at(site)).exit_code for _ in range(2)]

    assert codes == [0, 0]
    assert len({upload["dataset_id"] for upload in uploads(site, name)}) == 2


def test_upload_when_a_draft_then_the_page_and_the_same_file_may_be_published_later(
    run: Run, site: Site, table: Path, name: str
) -> None:
    table.write_text("station,level,flood,note\nOuse,4.2,yes,x\nAire,1.0,no,x\n")
    arguments = [str(table), "--name", name, "--description", "Levels.", "--target", "flood"]
    draft = run(*arguments, "--draft", **at(site))

    [upload] = uploads(site, name)
    assert (draft.exit_code, upload["state"], upload["dataset_id"]) == (0, "ready", None), draft.stderr
    assert draft.stdout == f"{site.url}/dashboard/data-upload?uuid={upload['id']}\n"
    assert "Hint: 1 column has the same value in every row. (note) Leave them out" in draft.stderr

    published = run(*arguments, "--no-wait", **at(site))
    [upload] = uploads(site, name)
    assert (published.exit_code, upload["publish"]) == (0, True)
    assert "--target" not in published.stderr


@pytest.mark.long
def test_draft_when_it_cannot_be_read_then_refused_and_the_same_file_goes_on_with_another_reading(
    run: Run, site: Site, tmp_path: Path, name: str
) -> None:
    table = tmp_path / "table.jsonl"
    table.write_text("a,b\n1,x\n2,y\n")
    arguments = [str(table), "--name", name, "--description", "Levels.", "--target", "b", "--draft"]
    refused = run(*arguments, "--json", **at(site))
    [upload] = uploads(site, name)
    assert (refused.exit_code, upload["state"]) == (1, "ready")
    assert json.loads(refused.stdout)["problem"]["reason"] == "invalid-json"

    draft = run(*arguments, "--reading", "format=csv", **at(site))
    [upload] = uploads(site, name)
    assert (draft.exit_code, upload["error"], upload["row_count"]) == (0, None, 2)


def test_upload_when_it_has_no_target_then_told_before_it_is_sent(
    run: Run, table: Path, free_port: int
) -> None:
    arguments = [str(table), "--name", "levels", "--description", "Levels.", "--patience", "0.1"]
    done = run(*arguments, "--server", f"http://127.0.0.1:{free_port}", OPENML_APIKEY="0" * 32)
    assert "without --target" in done.stderr


ELSEWHERE = 1_000_007
"""A dataset that the sandbox has not."""


@pytest.mark.parametrize("ending", ["failed", "active"])
async def test_upload_when_another_one_of_its_file_is_under_way_then_it_waits_for_that(
    run: Run, site: Site, table: Path, name: str, ending: str
) -> None:
    fails = ending == "failed"
    common = [str(table), "--name", name, "--target", "flood", "--patience", "30", "--description"]
    first, second = [*common, "First."], [*common, "Second."]
    run(*first, "--draft", **at(site))
    run(*second, "--draft", **at(site))
    later, earlier = uploads(site, name)
    error = {"slug": "dataset-refused", "detail": "OpenML does not like it.", "members": {}}

    set_columns(site, earlier["id"], state="sending", available_at=datetime(2100, 1, 1, tzinfo=UTC))
    command = asyncio.create_task(asyncio.to_thread(run, *second, **at(site)))
    await eventually(lambda: waits_for(site, later["id"], earlier["id"]))
    await asyncio.sleep(0.5)
    assert not command.done(), "nothing is published yet"
    values = {"error": error} if fails else {"dataset_id": ELSEWHERE}
    set_columns(site, earlier["id"], state=ending, **values)
    done = await command

    now, _ = uploads(site, name)
    assert done.exit_code == 0, done.output
    assert (now["id"], now["state"]) == (later["id"], "active" if fails else "duplicate")
    assert (now["dataset_id"] == ELSEWHERE, now["duplicate_of"]) == (
        (False, None) if fails else (True, earlier["id"])
    )
    assert ("before" in done.stderr) is not fails


async def waits_for(site: Site, upload_id: str, other_id: str) -> bool | None:
    answer = await asyncio.to_thread(httpx.get, f"{site.url}/uploads/{upload_id}", headers=site.headers)
    found = answer.json()
    return (found["state"], found["duplicate_of"], found["dataset_id"]) == (
        "received",
        other_id,
        None,
    ) or None


def set_columns(site: Site, upload_id: str, **values: Any) -> None:
    """Put an upload where it would be if something else had happened."""
    engine = sa.create_engine(f"sqlite:///{site.database}")
    with engine.begin() as connection:
        connection.execute(sa.update(uploads_table).where(uploads_table.c.id == upload_id).values(values))
    engine.dispose()


def test_upload_when_refused_then_1_with_the_row_the_column_and_no_bytes_again(
    run: Run, site: Site, tmp_path: Path, name: str
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(TABLE + "Nidd,high,no\n")
    arguments = [str(bad), "--name", name, "--description", "L.", "--target", "flood", "--type", "level=real"]

    refused = run(*arguments, "--json", **at(site))
    again = run(*arguments, "--quiet", **at(site))

    problem = json.loads(refused.stdout)["problem"]
    assert (refused.exit_code, again.exit_code) == (1, 1)
    assert (problem["row"], problem["column"]) == (3, "level")
    assert problem["detail"] in again.stderr
    assert "column: level" in again.stderr
    assert again.stderr.count(problem["hint"]) == 1
    assert "before" not in again.stderr, "it was never published"
    [upload] = uploads(site, name)
    assert upload["state"] == "failed", "the second time it was tried again with the bytes that were there"

    unreadable = run(str(bad), "--name", "no spaces allowed\u0007", "--description", "L.", **at(site))
    assert (unreadable.exit_code, "\u0007" in unreadable.output) == (1, False)
    assert "dataset_name" in unreadable.stderr


def test_upload_when_it_is_not_sure_how_to_read_it_then_1_with_options_that_go_on_with_the_same_bytes(
    run: Run, site: Site, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "trees.csv"
    path.write_text("".join(f"tree {number},{['dry', 'wet'][number % 2]}\n" for number in range(30)))
    arguments = [str(path), "--name", name, "--description", "Trees.", "--json"]

    unsure = run(*arguments, "--target", "V2", **at(site))
    assert unsure.exit_code == 1
    assert "Say which, with: --header or --no-header" in unsure.stderr
    assert json.loads(unsure.stdout)["problem"]["choices"] == {"header": [True, False]}

    options = ["--no-header", "--rename", "V1=tree", "--target", "V2", "--missing", "-", "--missing", "NA"]
    sure = run(*arguments, *options, **at(site))
    assert sure.exit_code == 0, sure.output
    upload = json.loads(sure.stdout)["upload"]
    assert upload["id"] == json.loads(unsure.stdout)["upload"]["id"]
    assert (upload["row_count"], upload["metadata"]["rename"]) == (30, {"V1": "tree"})
    assert upload["metadata"]["reading"] == {"header": False, "missing": ["-", "NA"]}
    for wrong in (["--reading", "header"], ["--rename", "=x"]):
        assert run(*arguments, *wrong, **at(site)).exit_code == 2
    mistyped = run(*arguments, "--duplicate", "--reading", "delimeter=;", **at(site))
    assert (mistyped.exit_code, "did you mean 'delimiter'" in mistyped.stderr) == (1, True)


@pytest.mark.parametrize(
    ("file_name", "content", "said"),
    [
        ("far.csv", "x,n,flood\n1.5,1,yes\ninf,2,no\n", "--type x=string"),
        ("parts.json", '[{"flood": "yes", "parts": [1]}, {"flood": "no", "parts": []}]', "--leave-out parts"),
        ("two.csv", 'n,x,flood\n1,"a\\"b,yes\n2,"c",no\n', "--quote none or --escape backslash"),
        ("cut.csv", 'x,flood\n"a"b,yes\n"c",no\n', "--quote none"),
    ],
)
def test_upload_when_one_choice_would_do_then_1_with_an_option_that_publishes_it(  # noqa: PLR0917 - fixtures
    run: Run, site: Site, tmp_path: Path, name: str, file_name: str, content: str, said: str
) -> None:
    path = tmp_path / file_name
    path.write_text(content)
    arguments = [str(path), "--name", name, "--description", "L.", "--target", "flood"]

    refused = run(*arguments, **at(site))
    assert (refused.exit_code, f"Say which, with: {said}\n" in refused.stderr) == (1, True), refused.stderr
    done = run(*arguments, *said.partition(" or ")[0].split(), **at(site))
    assert done.exit_code == 0, done.output


def test_options_when_values_would_do_then_written_for_a_shell() -> None:
    choices = {
        "delimiter": [";", "\t", ""],
        "header": [True, False],
        "skip_lines": [1, 0],
        "missing": [["NA", "n a"], []],
        "quoted_missing": [True],
        "attributes": ["nominal"],
        "sheet": ["Sheet 1"],
        "leave_out": ["no good"],
    }
    assert options_that_would_do({"choices": choices, "column": "a b"}) == [
        "--delimiter ';' or --delimiter tab or --delimiter none",
        "--header or --no-header",
        "--skip-lines 1 or --skip-lines 0",
        "--missing NA --missing 'n a' or --reading missing=",
        "--reading quoted_missing=true",
        "--type 'a b=nominal'",
        "--sheet 'Sheet 1'",
        "--leave-out 'no good'",
    ]
    assert options_that_would_do({"choices": "what another server says"}) == []


def test_upload_when_nobody_is_signed_in_then_4_and_where_a_key_is_looked_for(
    run: Run, site: Site, table: Path, tmp_path: Path
) -> None:
    arguments = [str(table), "--name", "levels", "--description", "Levels.", "--server", site.url]
    config = tmp_path / "home" / "openml"
    config.mkdir(parents=True)

    nothing = run(*arguments)
    unknown = run(*arguments, OPENML_APIKEY="0" * 32)
    malformed = run(*arguments, OPENML_APIKEY="not-a-key")
    (config / "config").write_text("apikey not-a-key-either\n")
    unreadable = run(*arguments, XDG_CONFIG_HOME=str(config.parent))

    assert [one.exit_code for one in (nothing, unknown, malformed, unreadable)] == [4, 4, 4, 4]
    assert "OPENML_APIKEY" in nothing.stderr
    assert str(Path("openml", "config")) in nothing.stderr
    assert "not-a-key" not in unreadable.output


def test_upload_when_there_is_a_token_then_it_and_not_the_key_says_who_publishes(
    run: Run, site: Site, table: Path, name: str
) -> None:
    arguments = [
        str(table),
        "--name",
        name,
        "--description",
        "Levels.",
        "--target",
        "flood",
        "--server",
        site.url,
    ]
    wrong_key = {"OPENML_APIKEY": "0" * 32}

    published = run(*arguments, OPENML_WEB_TOKEN=token_for(site, "upload"), **wrong_key)
    too_little = run(*arguments, OPENML_WEB_TOKEN=token_for(site, "tasks"), **wrong_key)
    malformed = run(*arguments, OPENML_WEB_TOKEN="openml_mistyped", **wrong_key)

    assert published.exit_code == 0, published.output
    assert len(uploads(site, name)) == 1
    assert (too_little.exit_code, malformed.exit_code) == (4, 4)
    assert "scope read or upload" in too_little.stderr
    assert "OPENML_WEB_TOKEN" in malformed.stderr


def test_upload_when_openml_python_has_a_key_then_used(
    run: Run, site: Site, table: Path, tmp_path: Path, name: str
) -> None:
    config = tmp_path / "home" / "openml"
    config.mkdir(parents=True)
    (config / "config").write_text(f"apikey = {site.api_key}\nserver = https://www.openml.org/api/v1/xml\n")
    arguments = [str(table), "--name", name, "--draft", "--no-wait", "--server", site.url]

    assert run(*arguments, XDG_CONFIG_HOME=str(config.parent)).exit_code == 0
    assert len(uploads(site, name)) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--name and --description"),
        (["--draft", "--server", "http://openml.example"], "--insecure-http"),
        (["--draft", "--server", "https://ada:secret@openml.example"], "without a name"),
        (["--draft", "--server", "openml.example"], "https://www.openml.org"),
        (["--draft", "--type", "level"], "COLUMN=TYPE"),
        (["--draft", "--description", "@nowhere.txt"], "nowhere.txt"),
        (["--draft", "--metadata", "levels.csv"], "JSON object"),
    ],
)
def test_upload_when_used_wrongly_then_2_and_what_to_give(
    run: Run, table: Path, options: list[str], words: str
) -> None:
    done = run(str(table), *options, OPENML_APIKEY="0" * 32, TERMINAL_WIDTH="300")

    assert done.exit_code == 2
    assert words in done.stderr


def test_upload_when_nobody_answers_then_3_within_its_patience(run: Run, table: Path, free_port: int) -> None:
    arguments = [str(table), "--draft", "--server", f"http://127.0.0.1:{free_port}", "--patience", "0.1"]

    done = run(*arguments, OPENML_APIKEY="0" * 32)

    assert done.exit_code == 3
    assert "started again" in done.stderr
    assert f"The line to 127.0.0.1:{free_port} broke" in done.stderr
    assert "OPENML_WEB_SERVER" in done.stderr, "the default is not in sight"


def test_upload_when_a_type_is_none_then_1_and_which_there_are(run: Run, table: Path, site: Site) -> None:
    done = run(str(table), "--draft", "--type", "a=date", **at(site))
    assert (done.exit_code, "string, integer, real" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [
        (0, 0, "0 of 0 bytes"),
        (7, 12, "7 of 12 bytes"),
        (500, 1500, "0.5 of 1.5 kB"),
        (10**8, 10**10, "0.1 of 10.0 GB"),
    ],
)
def test_sizes_when_shown_then_in_the_unit_of_the_whole(done: int, total: int, said: str) -> None:
    assert progress_of(done, total) == said


async def test_events_when_a_server_sends_nonsense_then_asked_instead(run: Run, table: Path) -> None:
    """Something on the way, or another server, may answer with anything."""
    upload_id, states = "ab" * 16, iter(["published", "active"])

    async def strange(scope: Any, receive: Any, send: Any) -> None:
        upload = {
            "id": upload_id, "state": "published", "publish": True, "received_bytes": 1, "dataset_id": 7,
            "progress": None, "dataset_url": "https://openml.example/d/7", "repairs": [], "warnings": [],
        }  # fmt: skip
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/limits" or scope["query_string"]:
            body, kind = b'["no limits of ours"]', b"application/json"
        elif scope["path"].endswith("/events"):
            body, kind = b"event: upload\ndata: {half\n\n", b"text/event-stream"
        else:
            body, kind = json.dumps({**upload, "state": next(states)}).encode(), b"application/json"
        status = 201 if scope["method"] == "POST" else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    arguments = [str(table), "--name", "n", "--description", "d"]
    async with serving(strange) as url:
        done = await asyncio.to_thread(run, *arguments, "--server", url, OPENML_APIKEY="0" * 32)

    assert (done.exit_code, done.stdout.strip()) == (0, "https://openml.example/d/7")


async def test_upload_when_the_server_sends_elsewhere_then_the_key_does_not_go_there(
    run: Run, table: Path
) -> None:
    asked: list[str] = []

    async def redirect(scope: Any, _receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        headers = [(b"location", b"/elsewhere")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with serving(redirect) as url:
        done = await asyncio.to_thread(run, str(table), "--draft", "--server", url, OPENML_APIKEY="0" * 32)

    assert (done.exit_code, asked) == (1, ["/uploads"])
    assert "/elsewhere" in done.stderr


async def test_upload_when_a_proxy_takes_only_small_bodies_then_sent_in_small_ones(
    run: Run, site: Site, tmp_path: Path, name: str
) -> None:
    table = tmp_path / "large.csv"
    table.write_text(TABLE + "Ouse,4.2,yes\n" * 100_000)
    largest = 1_000_000
    sizes: list[int] = []

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        length = int(headers.get("content-length", "0"))
        sizes.append(length)
        body = b""
        if length <= largest:
            while (event := await receive()).get("more_body") or event.get("body"):
                body += event["body"]
                if not event["more_body"]:
                    break
            address = f"{scope['path']}?{scope['query_string'].decode()}"
            async with httpx.AsyncClient(base_url=site.url) as client:
                answer = await client.request(scope["method"], address, headers=headers, content=body)
        else:
            answer = httpx.Response(413, text="too large", headers={"content-type": "text/html"})
        kept = {"content-type", "upload-offset", "location"}
        given = [(key.encode(), value.encode()) for key, value in answer.headers.items() if key in kept]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": given})
        await send({"type": "http.response.body", "body": answer.content})

    async with serving(proxy) as url:
        arguments = [str(table), "--name", name, "--draft", "--no-wait", "--server", url]
        done = await asyncio.to_thread(run, *arguments, OPENML_APIKEY=site.api_key)

    assert done.exit_code == 0, done.output
    assert max(sizes) > largest, "it was tried with all of it first"
    assert uploads(site, name)[0]["received_bytes"] == table.stat().st_size


@pytest.mark.long
async def test_upload_when_stopped_and_killed_then_started_again_it_goes_on(
    run: Run, site: Site, tmp_path: Path, name: str
) -> None:
    table = tmp_path / "large.csv"
    table.write_text(TABLE + "Ouse,4.2,yes\n" * 300_000)
    arguments = [str(table), "--name", name, "--description", "Levels.", "--target", "flood"]
    before = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        async with Forwarder("127.0.0.1", site.port, hold_after=1_000_000) as line:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app.cli", "upload", *arguments),
                env={
                    **os.environ,
                    "OPENML_APIKEY": site.api_key,
                    "OPENML_WEB_SERVER": f"http://127.0.0.1:{line.port}",
                },
                stderr=asyncio.subprocess.PIPE,
            )
            await asyncio.wait_for(line.held.wait(), 30)
            process.send_signal(number)
            _, said = await process.communicate()
            assert process.returncode == code
            assert number == signal.SIGKILL or b"same command, started again" in said

        async def received(than: int = before) -> int | None:
            [upload] = await asyncio.to_thread(uploads, site, name)
            return upload["received_bytes"] if upload["received_bytes"] > than else None

        before = await eventually(received)

    assert before > 1_000_000
    done = await asyncio.to_thread(run, *arguments, **at(site))
    [upload] = uploads(site, name)
    assert (done.exit_code, upload["state"]) == (0, "active"), done.output


ABOUT = ["--description", "Levels.", "--target", "flood"]


def feed(path: Path, text: str) -> threading.Thread:
    """Write into a pipe once somebody reads it."""
    thread = threading.Thread(target=path.write_text, args=(text,), daemon=True)
    thread.start()
    return thread


def test_upload_when_the_file_is_a_pipe_then_read_to_its_end_each_time(
    run: Run, site: Site, tmp_path: Path, name: str
) -> None:
    pipe = tmp_path / "levels.csv"
    os.mkfifo(pipe)
    outcomes = []
    for _ in range(2):
        feed(pipe, TABLE)
        outcomes.append(run(str(pipe), "--name", name, *ABOUT, **at(site)))

    assert [done.exit_code for done in outcomes] == [0, 0], outcomes[0].output
    assert ["before" in done.stderr for done in outcomes] == [False, True]
    [upload] = uploads(site, name)
    assert upload["size"] == len(TABLE)


def test_upload_when_the_bytes_come_from_standard_input_then_published_under_the_name_given(
    site: Site, name: str
) -> None:
    arguments = ["upload", "-", "--file-name", "levels.csv", "--name", name, *ABOUT, "--json"]
    done = CliRunner().invoke(cli, arguments, env=at(site), input=TABLE)
    nameless = CliRunner().invoke(cli, ["upload", "-", "--draft"], env=at(site), input=TABLE)

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["upload"]["file_name"] == "levels.csv"
    assert (nameless.exit_code, "--file-name" in nameless.stderr) == (2, True)


def test_upload_when_there_is_no_end_to_be_read_to_then_refused(run: Run, site: Site) -> None:
    done = run("/dev/zero", "--file-name", "levels.csv", "--draft", **at(site))

    assert done.exit_code == 1
    assert "neither a file nor a pipe" in done.stderr


def test_upload_when_key_server_ending_or_name_are_wrong_then_said_before_the_file_is_read(
    run: Run, site: Site, tmp_path: Path, free_port: int
) -> None:
    """A pipe that nobody writes to is never opened: reading it would wait for ever, as 50 GB would for minutes."""
    pipe = tmp_path / "levels.csv"
    os.mkfifo(pipe)
    right = at(site)
    wrong: dict[str, tuple[list[str], dict[str, str], int, str]] = {
        "no key": ([], {**right, "OPENML_APIKEY": ""}, 4, "OPENML_APIKEY"),
        "unknown key": ([], {**right, "OPENML_APIKEY": "0" * 32}, 4, "API key"),
        "server": (
            ["--patience", "0.1"],
            {**right, "OPENML_WEB_SERVER": f"http://127.0.0.1:{free_port}"},
            3,
            "broke",
        ),
        "ending": (["--file-name", "levels.exe"], right, 1, "It is a program"),
        "name": (["--name", "two words"], right, 1, "dataset_name"),
    }
    for what, (options, environment, code, words) in wrong.items():
        done = run(str(pipe), "--draft", *options, **environment)
        assert (done.exit_code, words in done.stderr) == (code, True), f"{what}: {done.output}"


def test_upload_when_the_file_is_written_to_while_it_is_read_or_sent_then_refused(tmp_path: Path) -> None:
    table = tmp_path / "levels.csv"
    table.write_text(TABLE * 100_000)

    def append(*_progress: int) -> None:
        with table.open("a") as file:
            file.write("Nidd,2.4,no\n")

    with (
        pytest.raises(RequestRefusedError, match="written to while it was read"),
        open_source(table, "x.csv", append),
    ):
        pass
    with open_source(table, "x.csv", lambda _done, _total: None) as source:
        source.require_unchanged()
        append()
        with pytest.raises(RequestRefusedError, match="changed while it was being sent"):
            source.require_unchanged()
        table.write_text("")
        with pytest.raises(RequestRefusedError, match="changed while it was being sent"):
            list(source.blocks(0, source.size, lambda _done, _total: None))


@pytest.mark.every(2)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_upload_when_its_outcome_cannot_be_written_then_5_and_no_traceback(
    site: Site, table: Path, name: str, unbuffered: str
) -> None:
    command = [sys.executable, "-m", "app.cli", "upload", str(table), "--name", name, *ABOUT, "--no-wait"]
    environment = {**os.environ, **at(site), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        lost = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
        unread = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=full, check=False)
    reading, writing = os.pipe()
    os.close(reading)
    closed = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)

    assert (lost.returncode, closed.returncode) == (5, 5)
    for done in (lost, closed):
        assert b"cannot be written" in done.stderr
        assert b"Traceback" not in done.stderr
        assert b"Exception" not in done.stderr
    assert unread.returncode == 0, "what is only said of it may be lost"
    assert unread.stdout.startswith(b"http")
    assert len(uploads(site, name)) == 1


WINDOWS_LACKS = [
    "fcntl",
    "grp",
    "httptools",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
    "uvloop",
]
"""Modules that Linux and macOS have, or that we install there, and Windows has not."""
SERVICE = ["sqlalchemy", "fastapi", "uvicorn", "pyarrow", "alembic", "app.core.settings", "app.main"]
"""What a client need not load."""


@pytest.fixture
def windows(tmp_path: Path) -> dict[str, str]:
    """The environment of processes in which nothing can be imported that Windows lacks, nor anything of the service."""
    folder = tmp_path / "windows"
    folder.mkdir()
    absent = WINDOWS_LACKS + SERVICE
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({absent!r}))\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(Path(app.__file__).parents[1])])}


@pytest.mark.parametrize(
    "arguments", [["upload", "--help"], pytest.param(["--version"], marks=pytest.mark.long)]
)
def test_client_when_the_system_is_windows_then_the_command_starts(
    windows: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    command = [sys.executable, "-m", "app.cli", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=windows, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "openml-web" in done.stdout or "FILE" in done.stdout


@pytest.mark.long
def test_client_when_the_system_is_windows_then_it_publishes(
    windows: dict[str, str], site: Site, table: Path, name: str
) -> None:
    arguments = [str(table), "--name", name, "--description", "Levels.", "--target", "flood"]
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "upload", *arguments],
        env={**windows, **at(site)},
        cwd=table.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    [upload] = uploads(site, name)
    assert (upload["state"], done.stdout) == ("active", f"{upload['dataset_url']}\n")


@pytest.mark.long
def test_commands_when_the_system_is_windows_then_those_of_clients_only() -> None:
    program = (
        "import sys, app.cli, app.commands.upload\n"
        "sys.platform, sys.argv = 'win32', ['openml-web', '--help']\n"
        "app.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert " upload " in done.stdout
    assert " serve " not in done.stdout
    assert set(commands_on("linux")) == set(commands_on("darwin")) > {"serve", *commands_on("win32")}
