"""Puts the sandbox together: the API, downloads, a few pages, faults for tests, and the processing step beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from openml_sandbox.api import Api, Key
from openml_sandbox.call import to_id
from openml_sandbox.control import Control
from openml_sandbox.engine import Engine
from openml_sandbox.evaluating import UnusableError
from openml_sandbox.faults import Faults
from openml_sandbox.pages import (
    HEADERS,
    render_dataset,
    render_flow,
    render_index,
    render_run,
    render_study,
    render_task,
)
from openml_sandbox.records import StoredFile, get_dataset, get_dataset_of_file, get_file
from openml_sandbox.reference import ESTIMATION_PROCEDURES
from openml_sandbox.sessions import PhpSessions
from openml_sandbox.settings import SandboxSettings
from openml_sandbox.splits import split
from openml_sandbox.store import Store
from openml_sandbox.task_records import get_inputs
from openml_sandbox.tokenizer import WekaError

# One for the processing step, the others for calls: all work that blocks is done there.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists between start and stop."""

    store: Store
    executor: ThreadPoolExecutor
    api: Api
    control: Control


def create_sandbox(settings: SandboxSettings) -> Starlette:
    """Make the ASGI application; folders, threads and the database are made when it starts."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with _run(settings) as running:
            app.state.running = running
            yield

    routes = [
        Route("/", _index),
        Route("/d/{dataset_id:int}", _dataset),
        Route("/t/{task_id:int}", _task),
        Route("/f/{flow_id:int}", _flow),
        Route("/r/{run_id:int}", _run_page),
        Route("/s/{study_id:int}", _study),
        Route("/sandbox/faults", _control, methods=["GET", "POST", "DELETE"]),
        Route("/data/v1/download/{file_id:int}/{name}", _download, methods=["GET", "POST"]),
        Route("/api_splits/get/{task_id:int}/{name}", _splits),
        Route("/{path:path}", _ApiDoor()),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(PhpSessions)])


@asynccontextmanager
async def _run(settings: SandboxSettings) -> AsyncIterator[_Running]:
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox")
    run = asyncio.get_running_loop().run_in_executor
    store = Store(settings.data_dir)
    await run(executor, store.open)
    engine = Engine(store, executor, settings.processing_delay_seconds)
    faults = Faults()
    api = Api(settings, store, engine, faults, executor)
    await run(executor, api.open)
    processing = asyncio.create_task(engine.run())
    try:
        yield _Running(store, executor, api, Control(faults, store, engine, executor))
    finally:
        # A step in progress gives up within one block; the threads are waited for so that nothing runs on.
        engine.stop()
        processing.cancel()
        with suppress(asyncio.CancelledError):
            await processing
        await asyncio.to_thread(executor.shutdown)
        store.close()


def _running(request: Request) -> _Running:
    running: _Running = request.app.state.running
    return running


class _ApiDoor:
    """Hands everything else to the API, whatever the method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await _running(request).api(request)
        await response(scope, receive, send)


async def _index(request: Request) -> Response:
    running = _running(request)
    run = asyncio.get_running_loop().run_in_executor
    return HTMLResponse(await run(running.executor, render_index, running.store), headers=HEADERS)


async def _dataset(request: Request) -> Response:
    return await _page(request, render_dataset, "dataset")


async def _task(request: Request) -> Response:
    return await _page(request, render_task, "task")


async def _flow(request: Request) -> Response:
    return await _page(request, render_flow, "flow")


async def _run_page(request: Request) -> Response:
    return await _page(request, render_run, "run")


async def _study(request: Request) -> Response:
    return await _page(request, render_study, "study")


async def _page(request: Request, render: Callable[[Store, int], str | None], what: str) -> Response:
    running = _running(request)
    run = asyncio.get_running_loop().run_in_executor
    page = await run(running.executor, render, running.store, request.path_params[f"{what}_id"])
    if page is None:
        return PlainTextResponse(f"no such {what}", HTTPStatus.NOT_FOUND)
    return HTMLResponse(page, headers=HEADERS)


async def _control(request: Request) -> Response:
    return await _running(request).control(request)


async def _download(request: Request) -> Response:
    running = _running(request)
    run = asyncio.get_running_loop().run_in_executor
    key = await running.api.read_any_key(request)
    return await run(running.executor, _find_download, running, request, key)


def _find_download(running: _Running, request: Request, key: Key) -> Response:
    user = running.api.find_user(key)
    file_id = request.path_params["file_id"]
    with running.store.transaction() as connection:
        file = get_file(connection, file_id)
        dataset = get_dataset_of_file(connection, file_id)
    if file is None:
        return PlainTextResponse("File not found", HTTPStatus.NOT_FOUND)
    if dataset and not dataset.is_visible_to(user):
        return PlainTextResponse("No permission to access this file", HTTPStatus.FORBIDDEN)
    answer = FileResponse(
        running.store.file_path(file_id),
        filename=request.path_params["name"],
        headers={"X-Content-Type-Options": "nosniff"},
    )
    # As it is, which is not how the framework would write it.
    answer.headers["Content-Type"] = _media_type(file)
    return answer


async def _splits(request: Request) -> Response:
    """Answer with the splits of a task of a public dataset, made when they are asked for."""
    running = _running(request)
    run = asyncio.get_running_loop().run_in_executor
    try:
        lines = await run(running.executor, _find_splits, running, str(request.path_params["task_id"]))
    except (UnusableError, WekaError) as error:
        return PlainTextResponse(f"no splits: {error}", HTTPStatus.NOT_FOUND)
    return StreamingResponse(lines, media_type="text/plain; charset=UTF-8", headers=HEADERS)


def _find_splits(running: _Running, number: str) -> Iterator[bytes]:
    task_id = to_id(number) or 0
    with running.store.transaction() as connection:
        inputs = get_inputs(connection, task_id)
        dataset = get_dataset(connection, to_id(inputs.get("source_data", "")))
    chosen = to_id(inputs.get("estimation_procedure", ""))
    procedure = next((each for each in ESTIMATION_PROCEDURES if each.id == chosen), None)
    if procedure is None or dataset is None or not dataset.is_visible_to(None):
        raise UnusableError("there is no such task")
    path = running.store.file_path(dataset.file_id)
    return split(path, inputs.get("target_feature", ""), procedure, task_id)


def _media_type(file: StoredFile) -> str:
    """Repeat what the uploaded part said; PHP adds the charset to text, whatever the text is."""
    said = file.media_type
    if not said.isascii() or not said.isprintable() or not said:
        return "application/octet-stream"
    if said.lower().startswith("text/") and "charset=" not in said.lower():
        return f"{said};charset=UTF-8"
    return said
