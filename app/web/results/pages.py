"""Pages of results at `/dashboard/task|flow|run|study/ID`, in the place of the original Dash application's.

They are made here whole, work without a script, and say so where the OpenML server is down, slow, or tells too much.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import structlog
from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse

from app.core.errors import TooBusyError
from app.core.shares import ShareUsedUpError, Subject
from app.deps import ClientDep, ResourcesDep
from app.index.documents import members_of
from app.index.engine import IndexUnavailableError, SearchIndex
from app.index.sources import GONE
from app.openml.errors import ListTooLargeError, LostAnswerError, OpenMLError, RefusedError
from app.openml.reading import PAGE
from app.openml.runs import Evaluation
from app.web.catalogue.documents import read_person, read_task
from app.web.catalogue.texts import one_line
from app.web.pages import fill, page_headers
from app.web.results import views
from app.web.results.asking import ResultsSource, SlowError
from app.web.results.measures import DEFAULTS, NAME, is_better_lower, label_of, offered
from app.web.tagged import answer_tagged
from app.web.upstreams import UpstreamsDep

log = structlog.get_logger(__name__)
T = TypeVar("T")

ADDRESS: Final = re.compile(r"(?:(task|flow|run)|study(?:/(?:task|run))?)/([1-9][0-9]{0,9})")
"""The frontend puts the kind of a collection between."""
MOST_PAGES: Final = 50
MOST_TASKS: Final = 100
"""Of a collection of tasks, whose results are looked at; more would make an address longer than servers take."""
NO_RUN: Final = frozenset({220, 221, 235, 236})
NO_CALL: Final = 100
"""OpenML's code where a server has no such call, as one without runs."""
RETRY_SECONDS: Final = 5
WHAT: Final = {"task": "task", "flow": "flow", "run": "run", "study": "collection"}
MAKERS: Final = {"task": views.of_task, "flow": views.of_flow, "study": views.of_study}


@dataclass(frozen=True, slots=True)
class AskedPage:
    """Which page was asked for."""

    kind: str
    number: int
    measure: str
    page: int


class NothingThereError(Exception):
    """There is no such thing; the text says so."""


@dataclass(frozen=True, slots=True)
class ResultsPages:
    """What the pages are made of, for one who asks."""

    source: ResultsSource
    index: SearchIndex | None
    asker: Subject

    async def answer(self, path: str, request: Request) -> Response | None:
        """Return the page at a path below `/dashboard/`; None where it is none of these."""
        found = ADDRESS.fullmatch(path)
        if found is None:
            return None
        asked = _read(found[1] or "study", int(found[2]), request)
        try:
            context = await (self._run(asked) if asked.kind == "run" else self._results(asked))
        except NothingThereError as error:
            return await self._say(asked, str(error), status=404)
        except (SlowError, ShareUsedUpError, TooBusyError, OpenMLError) as error:
            log.info("results_unavailable", kind=asked.kind, id=asked.number, reason=repr(error))
            return await self._failure(asked, error, request)
        template = "results_run.html" if asked.kind == "run" else "results.html"
        return await self._page(template, context, request)

    async def _results(self, asked: AskedPage) -> views.Context:
        filters, document, note = await self._filters(asked)
        measure, results, count = await self._look(asked, filters, _measure_of(document))
        people = await self._names(views.leaders(results, measure))
        made = await self._compute(MAKERS[asked.kind], results, measure, people, asked.page)
        return {
            "title": f"Results of {WHAT[asked.kind]} {asked.number}",
            "kind": asked.kind,
            "number": asked.number,
            "about": _about(asked, document, results),
            "note": note,
            "measure": measure,
            "label": label_of(measure),
            "lower": is_better_lower(measure),
            "measures": offered(measure),
            "count": len(results),
            "unusable": count - len(results),
            "page": asked.page,
            "before": asked.page - 1,
            "after": asked.page + 1 if count >= PAGE and asked.page < MOST_PAGES else 0,
            **made,
        }

    async def _filters(self, asked: AskedPage) -> tuple[str, dict[str, Any], str]:
        """Return what the API is asked for, what is known of the thing, and what the page has to say besides."""
        if asked.kind != "study":
            return f"{asked.kind}/{asked.number}", await self._document(asked.kind, asked.number), ""
        try:
            entry = await self.source.study(asked.number, asker=self.asker)
        except RefusedError as error:
            if error.code in GONE["study"]:
                raise NothingThereError(f"There is no collection {asked.number}.") from None
            raise
        if entry.get("main_entity_type") == "run":
            return f"study/{asked.number}", entry, ""
        tasks = members_of(entry)["task"]
        if not tasks:
            raise NothingThereError("This collection has no tasks, and so there are no results.")
        note = ""
        if len(tasks) > MOST_TASKS:
            note = f"Of its {len(tasks):,} tasks, the first {MOST_TASKS} are looked at."
        return f"task/{','.join(map(str, tasks[:MOST_TASKS]))}", entry, note

    async def _look(self, asked: AskedPage, filters: str, declared: str) -> tuple[str, list[Evaluation], int]:
        """Return the results by the measure that was chosen, or by the first of the usual ones that has some."""
        usual = dict.fromkeys(name for name in (declared, *DEFAULTS) if NAME.fullmatch(name))
        wanted = [asked.measure] if asked.measure else [*usual]
        for measure in wanted:
            results, count = await self.source.evaluations(
                filters, measure, lower=is_better_lower(measure), page=asked.page, asker=self.asker
            )
            if count:
                return measure, results, count
        return wanted[0], [], 0

    async def _run(self, asked: AskedPage) -> views.Context:
        try:
            run = await self.source.run(asked.number, asker=self.asker)
        except RefusedError as error:
            if error.code in NO_RUN:
                raise NothingThereError(f"There is no run {asked.number}.") from None
            raise
        return {
            "title": f"Run {asked.number}",
            "number": asked.number,
            **await self._compute(views.of_run, run),
        }

    async def _document(self, kind: str, number: int) -> dict[str, Any]:
        """Return what the index has of a public thing; nothing where it has none, or does not answer."""
        if self.index is None:
            return {}
        try:
            return await self.index.get(kind, str(number), asker=self.asker) or {}
        except IndexUnavailableError:
            return {}

    async def _names(self, numbers: Sequence[int]) -> dict[int, str]:
        found = {number: await self._document("user", number) for number in numbers}
        return {number: read_person(document).name for number, document in found.items() if document}

    async def _compute(self, function: Callable[..., T], *arguments: object) -> T:
        """Compute what grows with an answer of OpenML in the threads that read such."""
        return await self.source.readers.run(function, *arguments)

    async def _failure(self, asked: AskedPage, error: Exception, request: Request) -> Response:
        if isinstance(error, RefusedError) and error.code == NO_CALL:
            return await self._say(asked, "The OpenML server of this site keeps no runs.", status=404)
        text, status = _in_words(error)
        again = str(request.url.replace(scheme="", netloc=""))
        return await self._say(asked, text, status=status, again=again)

    async def _say(self, asked: AskedPage, text: str, *, status: int, again: str = "") -> Response:
        context = {"title": f"Results of {WHAT[asked.kind]} {asked.number}", "text": text, "again": again}
        page = await self._compute(fill, "results_missing.html", context)
        headers = {**page_headers(framed_by="'self'"), "Cache-Control": "no-store"}
        if again:
            headers["Retry-After"] = str(RETRY_SECONDS)
        return HTMLResponse(page, status_code=status, headers=headers)

    async def _page(self, template: str, context: views.Context, request: Request) -> Response:
        page = await self._compute(fill, template, {**context, "wide": True})
        return answer_tagged(
            request,
            page.encode(),
            media_type="text/html",
            viewer_id=None,
            headers=page_headers(framed_by="'self'"),
        )


async def get_results_pages(
    resources: ResourcesDep, upstreams: UpstreamsDep, client: ClientDep
) -> ResultsPages | None:
    """Return the pages for one who asks; None where there is no server to ask."""
    if upstreams.results is None:
        return None
    return ResultsPages(upstreams.results, resources.index, client.asker)


ResultsPagesDep = Annotated[ResultsPages | None, Depends(get_results_pages)]


def _read(kind: str, number: int, request: Request) -> AskedPage:
    """Read what was chosen; what makes no sense is left out."""
    measure = request.query_params.get("measure", "")
    page = request.query_params.get("page", "")
    return AskedPage(
        kind=kind,
        number=number,
        measure=measure if NAME.fullmatch(measure) else "",
        page=min(max(int(page), 1), MOST_PAGES) if re.fullmatch(r"[0-9]{1,4}", page) else 1,
    )


def _measure_of(document: dict[str, Any]) -> str:
    """Return the measure that a task asks for; empty where it names none."""
    measure = document.get("evaluation_measures")
    return measure if isinstance(measure, str) else ""


def _about(asked: AskedPage, document: dict[str, Any], results: Sequence[Evaluation]) -> str:
    """Return what the thing is called."""
    if asked.kind == "task" and document:
        return read_task(document).name
    if asked.kind == "flow" and results:
        return views.short(results[0].flow_name, 300)
    return one_line(document.get("name"))


def _in_words(error: Exception) -> tuple[str, int]:
    match error:
        case SlowError():
            return "The OpenML server takes long to list these results. It may have them in a moment.", 503
        case ShareUsedUpError() | TooBusyError():
            return "Very many results are being looked at. Try again in a moment.", 503
        case ListTooLargeError():
            return "The OpenML server tells more of these results than this page reads.", 502
        case RefusedError():
            return f"The OpenML server refused to list these results (error {error.code}).", 502
        case LostAnswerError():
            return "The OpenML server gave no answer that can be read.", 502
    return "The OpenML server cannot be reached at the moment.", 503
