"""Pages of results: from the sandbox to a page, what hostile servers cannot do, and what is said where none answers."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape

import pytest
from starlette.requests import Request

from app.core.settings import Settings
from app.index.sources import Sources
from app.index.store import Put, Store, path_in
from app.openml.reading import PAGE, ListReader
from app.openml.runs import EVALUATIONS, Evaluation, read_run
from app.web.pages import fill
from app.web.results import views
from app.web.results.asking import ResultsSource
from app.web.results.drawing import Scale, scale_of, strip, timeline
from app.web.results.measures import is_better_lower
from app.web.results.pages import ResultsPages
from app.web.results.summaries import best_first, grouped, over_time, quantile, steps, tabulated, thinned
from tests.conftest import running
from tests.sent_results import send_results
from tests.upstream import OML, Upstream

KEYS = ("a" * 32, "b" * 32)
EVIL = "</title></svg>\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u202egnp{{7*7}}"
NUMBERS = ["0.5", "1e308", "-1e308", "5e-324", "0", "-0", "1", "1.7976931348623157e308"]
NONSENSE = ["", "nan", "inf", "-inf", "1e999", "x", "0x1", "9" * 400, EVIL]


def evaluation(value: float = 0.5, **others: Any) -> Evaluation:
    known: dict[str, Any] = {
        "run_id": 1,
        "task_id": 59,
        "flow_id": 7,
        "flow_name": "forest(1)",
        "data_name": "iris",
        "uploader": 3,
        "at": "2026-01-02 03:04:05",
    }
    return Evaluation(value=value, **(known | others))


def fields(**texts: str) -> str:
    return "".join(f"<oml:{name}>{escape(text)}</oml:{name}>" for name, text in texts.items())


def read_list(*entries: str) -> list[Evaluation]:
    """Read a list as it comes over the line."""
    reader = ListReader(EVALUATIONS)
    inside = "".join(f"<oml:evaluation>{entry}</oml:evaluation>" for entry in entries)
    reader.feed(f"<oml:evaluations {OML}>{inside}</oml:evaluations>".encode())
    return [each for each in reader.finish() if each is not None]


def shown(results: Sequence[Evaluation], kind: str = "task", measure: str = "kappa", **others: Any) -> str:
    """Return the page of some results."""
    makers = {"task": views.of_task, "flow": views.of_flow, "study": views.of_study}
    context = {
        "title": "Results",
        "kind": kind,
        "number": 59,
        "about": "",
        "note": "",
        "measure": measure,
        "label": "Kappa",
        "lower": False,
        "measures": [(measure, "Kappa")],
        "count": len(results),
        "unusable": 0,
        "page": 1,
        "before": 0,
        "after": 0,
        "wide": True,
    }
    return fill("results.html", {**context, **makers[kind](results, measure, {}, 1), **others})


class Tags(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def require_harmless(page: str) -> None:
    """Fail where a text became markup, or a mark has no place."""
    tags = Tags(page).found
    assert [tag for tag, _ in tags].count("script") == [tag for tag, _ in tags].count("img") == 1
    for tag, attributes in tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in {"x", "y", "cx", "cy", "x1", "x2", "y1", "y2", "width"} & attributes.keys():
            if attributes[name].endswith("%"):
                assert -1 <= float(attributes[name][:-1]) <= 101, (tag, attributes)
    assert "\u202e" not in page
    assert not re.search(r">\s*-?(nan|inf)\s*<", page)


async def test_results_when_runs_were_sent_then_their_pages_compare_them(
    settings: Settings, upstream: Upstream
) -> None:
    sent = await send_results(upstream, KEYS, {"weka.J48": [4, 1], "weka.ZeroR": [10]})
    async with running(settings.model_copy(update={"embedded_worker": False, "search_index": False})) as app:

        async def page(path: str) -> str:
            answer = await app.client.get(f"/dashboard/{path}")
            assert answer.status_code == 200, (path, answer.text)
            require_harmless(answer.text)
            assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
            return answer.text

        task = await page(f"task/{sent.task}")
        # Of the tree's two runs the second is the better one; it stands first, then that of the other flow.
        ranks = re.findall(r'<td class="figure">(\d)</td><td class="figure">([\d.]+)</td>', task)
        assert ranks == [("1", "0.9500"), ("2", "0.8000"), ("3", "0.5000")]
        assert "weka.J48(1)" in task
        assert "2 results from 0.8000 to 0.9500; the median is 0.8750." in task
        flow = await page(f"flow/{sent.flows[0]}")
        assert f"Task {sent.task}: levels" in flow
        assert "weka.ZeroR" not in flow
        run = await page(f"run/{sent.runs[1]}")
        # Twenty rows in five folds, one row wrong: one fold has 3 of 4.
        assert '<th scope="row"><bdi>Accuracy</bdi></th><td class="figure">0.9500</td>' in run
        assert "0.9500 ± 0.1000" in run
        assert "<bdi>depth</bdi></th><td><bdi>1</bdi>" in run
        assert re.findall(r'<td class="figure h\d">(\d+)</td>', run) == ["9", "1", "0", "10"]
        for path in (f"study/{sent.study}", f"study/run/{sent.study}", f"study/task/{sent.suite}"):
            assert ">0.9500</a>" in await page(path), path
        assert "Compared" in await page(f"study/{sent.study}")
        whole = await Sources(app.resources.openml, app.resources.database).whole("flow", sent.flows[0], {})
        known = whole.put.document
        assert (known["name"], known["dependencies"]) == ("weka.J48", "")
        assert [(each["name"], each["default_value"]) for each in known["parameters"]] == [("depth", "1")]
        kappa = await page(f"task/{sent.task}?measure=kappa&page=1")
        assert '<option value="kappa" selected>' in kappa
        assert "no results by this measure" in await page(f"task/{sent.task}?measure=ram_hours")
        assert "on this page" in await page(f"task/{sent.task}?page=2")
        answer = await app.client.get(f"/dashboard/task/{sent.task}")
        again = await app.client.get(
            f"/dashboard/task/{sent.task}", headers={"If-None-Match": answer.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        for path, what in (
            ("run/7", "no run 7"),
            ("study/7", "no collection 7"),
            ("flow", "all flows together"),
        ):
            missing = await app.client.get(f"/dashboard/{path}")
            assert (missing.status_code, what in missing.text) == (404, True), path


async def test_results_when_the_server_fails_or_is_slow_then_the_page_says_so(
    settings: Settings, upstream: Upstream
) -> None:
    async with running(settings.model_copy(update={"embedded_worker": False, "search_index": False})) as app:
        for number, (fault, text, status) in enumerate(
            [
                ("empty-500", "no answer that can be read", 502),
                ("502-html", "no answer that can be read", 502),
                ("database-down", "error 107", 502),
            ]
        ):
            await upstream.fail("*", fault, times=None)
            answer = await app.client.get(f"/dashboard/task/{number + 1}")
            await upstream.heal()
            assert (answer.status_code, text in answer.text) == (status, True), (fault, answer.text)
            assert "Try again" in answer.text
        slow = {"on": "*", "fault": "slow", "times": None, "delay_seconds": 1}
        await upstream.client.post("sandbox/faults", json=slow)
        pages = ResultsPages(ResultsSource(app.resources.openml, patience_seconds=0.1), None, ("10.0.0.0/8",))
        request = Request(
            {"type": "http", "path": "/dashboard/run/7", "query_string": b"measure=x", "headers": []}
        )
        late = await pages.answer("run/7", request)
        assert late is not None
        assert (late.status_code, late.headers["Retry-After"]) == (503, "5")
        assert b"takes long" in bytes(late.body)
        await upstream.heal()


def test_pages_when_every_text_is_hostile_then_nothing_runs() -> None:
    entry = fields(
        run_id="1",
        task_id="2",
        flow_id="3",
        uploader="4",
        value="0.5",
        flow_name=EVIL,
        data_name=EVIL,
        upload_time=EVIL,
    )
    found = read_list(entry, entry.replace(">1<", ">5<", 1))
    assert found[0].flow_name == EVIL

    for kind in ("task", "flow", "study"):
        page = shown(found, kind)
        require_harmless(page)
        assert "&lt;/title&gt;" in page


def test_list_when_values_are_nonsense_then_those_entries_are_left_out() -> None:
    good = [fields(run_id="1", value=number) for number in NUMBERS]
    bad = [fields(run_id="1", value=text) for text in NONSENSE]
    bad += [fields(value="1"), fields(run_id="-1", value="1"), fields(run_id="9" * 30, value="1"), ""]

    assert [each.value for each in read_list(*good, *bad)] == [float(number) for number in NUMBERS]


@pytest.mark.parametrize("kind", ["task", "flow", "study"])
def test_pages_when_numbers_are_huge_or_missing_then_every_mark_is_in_its_place(kind: str) -> None:
    others = [
        {},
        {"task_id": None, "flow_id": None, "uploader": None, "at": "", "flow_name": "", "data_name": ""},
    ]
    times = ["0000-00-00 00:00:00", "9999-12-31 23:59:59", "0001-01-01 00:00:00", "x", ""]
    results = [
        evaluation(float(text), run_id=n, **other) for n, text in enumerate(NUMBERS) for other in others
    ]
    results += [evaluation(1e-320 * n, run_id=n, at=at, task_id=n, flow_id=n) for n, at in enumerate(times)]

    require_harmless(shown(results, kind))
    require_harmless(shown([evaluation()], kind))
    require_harmless(shown([], kind))
    require_harmless(shown([evaluation(1e-320, run_id=n) for n in range(9)], kind))


def test_page_when_it_has_a_thousand_results_then_it_stays_small() -> None:
    results = [
        evaluation((n * 7919 % 1000) / 1000, run_id=n, flow_id=n % 90, flow_name="f" * 1000, uploader=n % 50)
        for n in range(PAGE)
    ]

    for kind in ("task", "flow", "study"):
        assert len(shown(results, kind).encode()) < 200_000, kind


def run_document(*evaluations: str, inner: str = "") -> Element:
    output = f"<oml:output_data>{''.join(evaluations)}</oml:output_data>"
    return fromstring(f"<oml:run {OML}>{inner}{output}</oml:run>")  # noqa: S314 - our own text


def measure(name: str, value: str = "", array: str = "", place: str = "") -> str:
    return f"<oml:evaluation{place}>{fields(name=name, value=value, array_data=array)}</oml:evaluation>"


def run_page(document: Element) -> str:
    context = {"title": "Run 1", "number": 1, "wide": True, **views.of_run(read_run(1, document))}
    return fill("results_run.html", context)


def test_run_when_every_text_is_hostile_then_nothing_runs() -> None:
    setting = f"<oml:parameter_setting>{fields(name=EVIL, value=EVIL)}</oml:parameter_setting>"
    texts = fields(task_id="1", flow_id="x", flow_name=EVIL, task_type=EVIL, uploader_name=EVIL, error=EVIL)
    dataset = f"<oml:input_data><oml:dataset>{fields(did='1', name=EVIL)}</oml:dataset></oml:input_data>"
    odd = [
        measure(EVIL, number, array=EVIL, place=place) for number in NUMBERS for place in ("", ' fold="x"')
    ]

    page = run_page(run_document(*odd, inner=texts + setting + dataset))

    require_harmless(page)
    assert "&lt;script&gt;" in page


TABLES = [
    *("[[1,2]]", "[[1,2],[3]]", "[[1,2],[3,null]]", "[[true,1],[1,1]]", "[[-1,1],[1,1]]", "[[1.5,1],[1,1]]"),
    *("[" * 9000, "{}", "[]", "[[NaN,1],[1,1]]", "x", '[["<b>",1],[1,1]]', "[[1e999,1],[1,1]]", "1"),
    str([[1] * 30] * 30),
]


@pytest.mark.parametrize("array", TABLES, ids=range(len(TABLES)))
def test_run_when_its_table_of_confusions_is_none_then_left_out(array: str) -> None:
    page = run_page(run_document(measure("confusion_matrix", array=array)))

    assert "What was taken" not in page
    require_harmless(page)


def test_run_when_folds_are_far_apart_then_their_mean_and_deviation_are_numbers() -> None:
    folds = [measure("a", text, place=' repeat="0" fold="0"') for text in ("1.7e308", "-1.7e308", "nan", "x")]

    page = run_page(run_document(*folds))

    figures = ("", "0.0000", "1.7e+308", "2")
    assert "".join(f'<td class="figure">{figure}</td>' for figure in figures) in page


def test_summaries_when_results_have_groups_then_the_best_comes_first() -> None:
    results = [
        evaluation(0.5, run_id=1, flow_id=1, at="2026-01-01 00:00:00"),
        evaluation(0.9, run_id=2, flow_id=2, at="2026-01-03 00:00:00"),
        evaluation(0.9, run_id=3, flow_id=3, at="2026-01-02 00:00:00"),
        evaluation(0.7, run_id=4, flow_id=1, at="2026-01-04 00:00:00"),
        evaluation(0.1, run_id=5, flow_id=None),
    ]

    # Of equal ones the earliest.
    assert [each.run_id for each in best_first(results, lower=False)] == [3, 2, 4, 1, 5]
    assert [each.run_id for each in best_first(results, lower=True)] == [5, 1, 4, 3, 2]
    groups = grouped(best_first(results, lower=False), lambda each: each.flow_id)
    assert [(group.id, group.values) for group in groups] == [(3, [0.9]), (2, [0.9]), (1, [0.7, 0.5])]
    moments = over_time(results[:4], lower=False)
    assert [each.is_record for each in moments] == [True, True, False, False]
    assert [(before.value, after.value) for before, after in steps(moments)] == [(0.5, 0.9)]
    assert [each.is_record for each in over_time(results[:4], lower=True)] == [True, False, False, False]


def test_table_when_there_are_more_flows_than_fit_then_those_with_most_results_stay() -> None:
    results = [evaluation(n / 100, run_id=n, flow_id=n % 3 if n < 9 else 7, task_id=n % 2) for n in range(10)]

    table = tabulated(best_first(results, lower=False), most_rows=5, most_columns=3)

    assert {flow.id for flow in table.flows} == {0, 1, 2}
    task, cells = table.rows[0]
    best = {flow.id: cell.value if cell else None for flow, cell in zip(table.flows, cells, strict=True)}
    assert (task.id, best) == (0, {0: 0.06, 1: 0.04, 2: 0.08})


def test_moments_when_they_are_many_then_the_best_ones_stay() -> None:
    results = [
        evaluation(n // 100 + n % 7 / 10, run_id=n, at=f"2026-01-01 {n // 60:02}:{n % 60:02}:00")
        for n in range(900)
    ]
    moments = over_time(results, lower=False)

    few = thinned(moments, 100)

    assert len(few) <= 101
    assert {each.value for each in moments if each.is_record} == {
        each.value for each in few if each.is_record
    }


def test_drawing_when_scaled_then_ticks_and_marks_lie_within() -> None:
    assert Scale(0, 1).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert scale_of([0.5]).at(0.5) == 50
    assert scale_of([1, 3]).at(3) == 98.5
    assert quantile([1, 2, 3, 4], 0.5) == 2.5
    drawn = strip([1, 2, 3, 4, 5], scale_of([1, 5]), best=5)
    assert drawn.box == (25.75, 48.5, 50.0)
    assert drawn.words == "5 results from 1.0000 to 5.0000; the median is 3.0000."
    line = timeline(over_time([evaluation(0.5), evaluation(0.7, at="2026-02-01 00:00:00")], lower=False))
    assert line is not None
    assert (line.records, len(line.lines)) == ([(1.5, 98.5), (98.5, 1.5)], 2)
    assert timeline(over_time([evaluation(), evaluation()], lower=False)) is None


def test_measures_when_they_are_errors_or_times_then_less_is_better() -> None:
    lower = ["mean_absolute_error", "usercpu_time_millis", "total_cost", "build_memory"]

    assert all(map(is_better_lower, lower))
    assert not any(
        map(is_better_lower, ["predictive_accuracy", "kappa", "correlation_coefficient", "precision"])
    )


async def test_task_page_when_the_index_knows_names_then_they_are_shown(
    settings: Settings, upstream: Upstream
) -> None:
    sent = await send_results(upstream, KEYS, {"mlr.knn": [2]})
    found = (await upstream.client.get(f"api/v1/json/run/{sent.runs[0]}")).json()["run"]
    settings = settings.model_copy(update={"search_index": True, "embedded_worker": False})
    task = {
        "task_id": sent.task,
        "tasktype": {"tt_id": 1, "name": EVIL},
        "source_data": {"data_id": 1, "name": "levels"},
    }
    person = {"user_id": int(found["uploader"]), "first_name": "Ada", "last_name": EVIL}
    store = Store(path_in(settings.data_dir))
    with store.writing():
        store.put([Put("task", str(sent.task), task), Put("user", found["uploader"], person)])
    store.close()
    async with running(settings) as site:
        page = (await site.client.get(f"/dashboard/task/{sent.task}")).text
        own = (await site.client.get(f"/t/{sent.task}")).text

    require_harmless(page)
    assert "<bdi>Ada &lt;/title&gt;" in page
    assert f'href="/dashboard/task/{sent.task}"' in own
