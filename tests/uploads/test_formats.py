"""One table in every format, and what is repaired on the way, from the request to the sandbox."""

import gzip
import io
import json
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from app.tabular import SUFFIXES, UPLOAD_LIMITS, format_of
from tests.conftest import Person, Running
from tests.tabular.made import archive, pack, workbook, written
from tests.uploads.test_data_upload import description, form, openml, row  # noqa: F401 - a fixture among them

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
RECORDS: list[dict[str, Any]] = [
    {"river": "Ouse", "level": 4.25, "flood": "yes"},
    {"river": "Aire", "level": 1.5, "flood": "no"},
    {"river": None, "level": None, "flood": "no"},
]
TABLE = pa.Table.from_pylist(RECORDS)
CSV = "river,level,flood\nOuse,4.25,yes\nAire,1.5,no\n,,no\n"
ARFF = """@RELATION 'every-format'

@ATTRIBUTE 'river' STRING
@ATTRIBUTE 'level' REAL
@ATTRIBUTE 'flood' {no,yes}

@DATA
Ouse,4.25,yes
Aire,1.5,no
?,?,no
"""


def packed(write: Any) -> bytes:
    sink = io.BytesIO()
    write(TABLE, sink)
    return sink.getvalue()


FILES = {
    "t.csv": CSV.encode(),
    "T.CSV": CSV.encode("utf-16"),
    "t.tsv": CSV.replace(",", "\t").encode(),
    "t.csv.gz": gzip.compress(CSV.encode(), mtime=0),
    "t.parquet": packed(pa.parquet.write_table),
    "t.feather": packed(pa.feather.write_feather),
    "t.json": json.dumps(RECORDS).encode(),
    "t.jsonl.gz": gzip.compress("\n".join(map(json.dumps, RECORDS)).encode(), mtime=0),
    "t.arff.gz": gzip.compress(ARFF.encode(), mtime=0),
}
FRAME = pd.DataFrame(RECORDS)
CELLS = [list(RECORDS[0]), *(list(record.values()) for record in RECORDS)]
BY_ENDING: dict[str, bytes] = {
    **dict.fromkeys(("csv", "txt", "dat", "data"), CSV.encode()),
    **dict.fromkeys(("tsv", "tab"), CSV.replace(",", "\t").encode()),
    "psv": CSV.replace(",", "|").encode(),
    "json": json.dumps(RECORDS).encode(),
    **dict.fromkeys(("jsonl", "ndjson"), "\n".join(map(json.dumps, RECORDS)).encode()),
    "arff": ARFF.encode(),
    **dict.fromkeys(("parquet", "pq"), packed(pa.parquet.write_table)),
    **dict.fromkeys(("feather", "arrow", "ipc"), packed(pa.feather.write_feather)),
    **dict.fromkeys(("xlsx", "xlsm"), workbook({"t": CELLS})),
    "zip": archive({"t.csv": CSV}),
    **{
        ending: written(ending, FRAME)
        for ending in ("sav", "zsav", "por", "dta", "xpt", "rds", "rda", "rdata")
    },
}
ELSEWHERE = {"svm", "libsvm", "svmlight", "por", "xls", "xlsb", "ods", "sas7bdat"}
"""Endings whose files have other columns or names, or that only other programs write (tabular/test_programs.py)."""


async def published(openml: httpx.AsyncClient, dataset_id: int) -> str:  # noqa: F811 - the fixture
    return (await openml.get((await description(openml, dataset_id))["url"])).text


async def test_table_when_in_any_format_then_published_alike(
    app: Running,
    person: Person,
    openml: httpx.AsyncClient,  # noqa: F811 - as above
) -> None:
    for name, content in FILES.items():
        files = form(content, name, dataset_name="every-format")
        answer = await app.client.post("/data-upload", files=files, headers=person.headers)
        assert answer.status_code == 200, (name, answer.text)
        text = await published(openml, answer.json()["id"])
        assert text.replace("\n\n", "\n") == ARFF.replace("\n\n", "\n"), name


@pytest.mark.long
@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix.split(".")[1] not in ELSEWHERE])
async def test_table_when_its_name_has_any_ending_then_published_alike(
    app: Running,
    person: Person,
    openml: httpx.AsyncClient,  # noqa: F811 - as above
    suffix: str,
) -> None:
    name = format_of(f"t{suffix}")
    assert name is not None
    content = BY_ENDING[suffix.split(".")[1]]
    content = pack(content, name.compression) if name.compression else content
    files = form(content, f"t{suffix}", dataset_name="every-format")

    answer = await app.client.post("/data-upload", files=files, headers=person.headers)

    assert answer.status_code == 200, answer.text
    text = await published(openml, answer.json()["id"])
    assert text.replace("\n\n", "\n").upper() == ARFF.replace("\n\n", "\n").upper()


async def test_file_when_it_cannot_be_read_then_415_with_what_to_do_and_the_spa_its_own_words(
    app: Running, person: Person
) -> None:
    begun = await app.client.post("/uploads", json={"file_name": "t.mat", "size": 3}, headers=person.headers)
    sent = await app.client.post("/data-upload", files=form(b"abc", "t.mat"), headers=person.headers)

    assert begun.status_code == 415
    assert begun.json()["type"].endswith("format-not-supported")
    assert "writetable" in begun.json()["detail"]
    assert ".xlsx" in begun.json()["detail"]
    assert (sent.status_code, sent.text) == (200, '{"msg":"format not supported"}')


async def test_names_when_openml_would_stick_on_them_then_repaired_told_and_used_everywhere(
    app: Running,
    person: Person,
    openml: httpx.AsyncClient,  # noqa: F811 - as above
) -> None:
    table = "größe,höhe über null,flood?\n1,2,yes\n3,4,no\n"
    files = form(
        table.encode(),
        description="Pegelstände — täglich.",
        creator=["José Núñez"],
        def_tar_att="flood?",
        ignore_attribute="höhe über null",
    )

    answer = await app.client.post("/data-upload", files=files, headers=person.headers)

    assert answer.status_code == 200, answer.text
    repairs = answer.json()["repairs"]
    assert {repair["column"] for repair in repairs} == {"", "grosse", "hohe_uber_null", "flood_"}
    stored = await description(openml, answer.json()["id"])
    assert stored["default_target_attribute"] == "flood_"
    assert stored["ignore_attribute"] == "hohe_uber_null"
    assert stored["creator"] == "Jose Nunez"
    assert stored["description"].startswith("Pegelstande - taglich.\n\nChanged for OpenML:\n- ")
    assert "'gr(U+00F6)(U+00DF)e' is published as 'grosse'" in stored["description"]
    status = await app.client.get(f"/uploads/{answer.json()['upload_id']}", headers=person.headers)
    assert status.json()["repairs"] == repairs
    assert "@ATTRIBUTE 'grosse' INTEGER" in await published(openml, answer.json()["id"])


async def test_names_when_repair_is_not_wanted_then_refused_with_what_to_change(
    app: Running, person: Person
) -> None:
    files = form("größe,flood\n1,yes\n".encode(), repair=False)

    answer = await app.client.post("/data-upload", files=files, headers=person.headers)

    assert answer.status_code == 422
    assert (answer.json()["reason"], answer.json()["correct"]) == ("bad-column-name", "metadata")
    assert "'größe'" in answer.json()["detail"]


async def test_ignored_columns_when_their_published_names_are_too_long_then_refused(
    app: Running, person: Person
) -> None:
    names = [character * 40 for character in "äöü"]
    header = ",".join([*names, "flood"])
    files = form(f"{header}\n1,2,3,yes\n".encode(), ignore_attribute=[*names[:2], "flood"])
    answer = await app.client.post("/data-upload", files=files, headers=person.headers)
    assert answer.status_code == 200, answer.text

    long = ["é" * 10 for _ in range(1)] + ["数" * 10, "据" * 10, "集" * 10]
    header = ",".join([*long, "flood"])
    files = form(f"{header}\n1,2,3,4,yes\n".encode(), ignore_attribute=long)
    answer = await app.client.post("/data-upload", files=files, headers=person.headers)
    assert answer.status_code == 422
    assert "128 characters" in answer.json()["detail"]


async def test_target_when_it_holds_numbers_of_classes_then_nominal_if_it_is_said_so(
    app: Running,
    person: Person,
    openml: httpx.AsyncClient,  # noqa: F811 - as above
) -> None:
    table = b"x,kind\n1.5,0\n2.5,1\n3.5,10\n4.5,2\n"
    plain = await app.client.post(
        "/data-upload", files=form(table, def_tar_att="kind"), headers=person.headers
    )
    as_classes = form(table, def_tar_att="kind", classification=True, allow_duplicate=True)
    classes = await app.client.post("/data-upload", files=as_classes, headers=person.headers)

    assert "'kind' INTEGER" in await published(openml, plain.json()["id"])
    assert plain.json()["warnings"], "its owner is told"
    assert "'kind' {0,1,2,10}" in await published(openml, classes.json()["id"])


async def test_limits_when_asked_then_those_that_hold(app: Running, person: Person) -> None:
    limits = (await app.client.get("/limits")).json()

    settings = app.resources.settings
    assert limits["upload_bytes"] == settings.upload_max_bytes
    assert limits["columns"] == UPLOAD_LIMITS.max_columns
    assert {".csv", ".parquet", ".jsonl.gz"} <= set(limits["suffixes"])
    assert (await row_count(app)) == 0
    table = b"a,flood\n" + b"x" * (limits["cell_bytes"] + 1) + b",yes\n"
    answer = await app.client.post("/data-upload", files=form(table), headers=person.headers)
    assert (answer.status_code, answer.json()["reason"], answer.json()["row"]) == (422, "cell-too-long", 1)


async def row_count(app: Running) -> int:
    import sqlalchemy as sa

    from app.db.upload_tables import uploads

    async with app.resources.database.session() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(uploads)) or 0


async def test_licences_when_listed_then_each_can_be_used(app: Running, person: Person) -> None:
    licences = (await app.client.get("/licences")).json()

    assert {"CC0-1.0", "CC-BY-4.0", "ODbL-1.0"} <= {licence["spdx"] for licence in licences}
    for licence in (licences[0], licences[-1]):
        answer = await app.client.post(
            "/data-upload", files=form(licence=licence["name"]), headers=person.headers
        )
        assert answer.status_code == 200, licence
