"""Tables as people have them, and what their owners mean by them."""

import gzip
import io
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from tests.tabular.made import archive, workbook, written


@dataclass(frozen=True, slots=True)
class Table:
    """What its owner has, and means by it.

    Attributes:
        name: of the file.
        content: of the file.
        columns: names and types that are published, as `n INTEGER, c {u|v}`.
        rows: values that are published, as liac-arff reads them.
        choices: what the refusal of a one-shot upload offers; empty if there is none.
        answer: what the owner then says.
    """

    name: str
    content: bytes | str
    columns: str
    rows: list[list[Any]]
    choices: dict[str, list[Any]] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def attributes(self) -> list[tuple[str, Any]]:
        pairs = [column.split(" ") for column in self.columns.split(", ")]
        return [(name, kind[1:-1].split("|") if kind[0] == "{" else kind) for name, kind in pairs]

    @property
    def raw(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pandas(pd.DataFrame(columns)), sink)
    return sink.getvalue()


AS_MEANT = [
    Table(
        "notes.csv",
        "# from the log\n# 2023\nn,kind\n7,up\n8,down\n",
        "n INTEGER, kind STRING",
        [[7, "up"], [8, "down"]],
    ),
    Table(
        "blanks.csv",
        "p q r\n1 2 u\n3 4 v\n5 6 w\n",
        "p INTEGER, q INTEGER, r STRING",
        [[1, 2, "u"], [3, 4, "v"], [5, 6, "w"]],
    ),
    Table(
        "escaped.csv", 'says,n\n"an \\"a\\"",1\n"b",2\n', "says STRING, n INTEGER", [['an "a"', 1], ["b", 2]]
    ),
    Table("spaced.csv", 'n, says\n1, "b"\n2, "b, c"\n', "n INTEGER, says STRING", [[1, "b"], [2, "b, c"]]),
    Table("excel.csv", "sep=;\nn;kind\n1;up\n2;down\n", "n INTEGER, kind STRING", [[1, "up"], [2, "down"]]),
    Table(
        "titled.csv",
        "Rivers of 2023,,\n,,\nn,kind,m\n1,up,3\n2,down,4\n",
        "n INTEGER, kind STRING, m INTEGER",
        [[1, "up", 3], [2, "down", 4]],
    ),
    Table("commas.csv", "a;b\n2,5;1,75\n3,25;6,0\n", "a REAL, b REAL", [[2.5, 1.75], [3.25, 6]]),
    Table(
        "preise.csv",
        "Straße;Preis;Menge\nMüllerweg;1.234,50;3\nÖstergasse;12,00;1\nGäßchen;999,99;2\n".encode("cp1252"),
        "Strasse STRING, Preis REAL, Menge INTEGER",
        [["Müllerweg", 1234.5, 3], ["Östergasse", 12, 1], ["Gäßchen", 999.99, 2]],
    ),
    Table(
        "makers.csv",
        "maker,n\nCAFÉ™,1\nD\u2019AMÉLIE,2\n".encode("cp1252"),
        "maker STRING, n INTEGER",
        [["CAFÉ™", 1], ["D\u2019AMÉLIE", 2]],
    ),
    Table(
        "flowers.csv",
        "6.1,2.5,reed-a\n5.9,3.0,reed-a\n6.0,2.2,reed-b\n6.3,2.3,reed-b\n",
        "V1 REAL, V2 REAL, V3 STRING",
        [[6.1, 2.5, "reed-a"], [5.9, 3, "reed-a"], [6, 2.2, "reed-b"], [6.3, 2.3, "reed-b"]],
    ),
    Table(
        "numbers.csv",
        "4,9,20\n5,8,30\n6,7,40\n",
        "V1 INTEGER, V2 INTEGER, V3 INTEGER",
        [[4, 9, 20], [5, 8, 30], [6, 7, 40]],
    ),
    Table(
        "write_csv.csv",
        '"","level","n"\n"Ouse at York",4.2,6\n"Aire",1.5,4\n',
        "row_name STRING, level REAL, n INTEGER",
        [["Ouse at York", 4.2, 6], ["Aire", 1.5, 4]],
    ),
    Table(
        "write_table.tsv",
        "level\tn\nOuse at York\t4.2\t6\nAire\t1.5\t4\n",
        "row_name STRING, level REAL, n INTEGER",
        [["Ouse at York", 4.2, 6], ["Aire", 1.5, 4]],
    ),
    Table(
        "degrees.csv",
        '"n","degree"\n1,"None"\n2,"Some"\n3,"None"\n4,NA\n',
        "n INTEGER, degree STRING",
        [[1, "None"], [2, "Some"], [3, "None"], [4, None]],
    ),
    Table(
        "starred.csv",
        "n,kind\n1,a\n*,b\n3,c\n4,d\n",
        "n STRING, kind STRING",
        [["1", "a"], ["*", "b"], ["3", "c"], ["4", "d"]],
    ),
    Table("quoted.csv", 'n,m\n"1,500",2\n"2,300",4\n', "n STRING, m INTEGER", [["1,500", 2], ["2,300", 4]]),
    Table("names.csv", "café,cafe\n1,2\n3,4\n", "cafe.1 INTEGER, cafe INTEGER", [[1, 2], [3, 4]]),
    Table("large.csv", "n,kind\n1.5e160,a\n1,b\n", "n REAL, kind STRING", [[1.5e160, "a"], [1, "b"]]),
    Table(
        "countries.json",
        json.dumps({"NO": {"name": "Norway", "area": 385207}, "SE": {"name": "Sweden", "area": 450295}}),
        "row_name STRING, name STRING, area INTEGER",
        [["NO", "Norway", 385207], ["SE", "Sweden", 450295]],
    ),
    Table(
        "split.json",
        json.dumps({"columns": ["n", "kind"], "index": [0, 1], "data": [[1, "u"], [2, "v"]]}),
        "n INTEGER, kind STRING",
        [[1, "u"], [2, "v"]],
    ),
    Table(
        "lines.ndjson.gz",
        gzip.compress(b'{"a":1,"b":"x"}\n{"a":2.5,"b":null}\n{"b":"y"}\n'),
        "a REAL, b STRING",
        [[1, "x"], [2.5, None], [None, "y"]],
    ),
    Table(
        "ranges.arff",
        "@relation r\n@attribute n real [1,9]\n@attribute c {u,v}\n@data\n5.5,u\n4,v\n",
        "n REAL, c {u|v}",
        [[5.5, "u"], [4, "v"]],
    ),
    Table(
        "tabs.arff",
        "@relation r\n@attribute n numeric\n@attribute m numeric\n@data\n5\t6\n7\t8\n",
        "n NUMERIC, m NUMERIC",
        [[5, 6], [7, 8]],
    ),
    Table(
        "commas.arff",
        "@relation r\n@attribute n numeric\n@attribute m numeric\n@data\n5,6,\n7,8,\n",
        "n NUMERIC, m NUMERIC",
        [[5, 6], [7, 8]],
    ),
    Table(
        "months.parquet",
        parquet(month=pd.period_range("2023-11", periods=2, freq="M"), n=[1, 2]),
        "month STRING, n INTEGER",
        [["2023-11", 1], ["2023-12", 2]],
    ),
    Table(
        "titled.xlsx",
        workbook({"Levels": [["Rivers of 2023", None], ["gauge", "level"], ["Ouse", 4.2], ["Aire", 1]]}),
        "gauge STRING, level REAL",
        [["Ouse", 4.2], ["Aire", 1]],
    ),
    Table("rows.svm", "1 1:0.5 2:2\n-1 2:1\n", "label INTEGER, x1 REAL, x2 REAL", [[1, 0.5, 2], [-1, 0, 1]]),
    Table(
        "frame.rds",
        written("rds", pd.DataFrame({"x": [1.5, None], "s": ["p", "q"]})),
        "x REAL, s STRING",
        [[1.5, "p"], [None, "q"]],
    ),
]
"""Tables that are published at once, each value as it is meant."""
ASKED = [
    Table(
        "headless.csv",
        "Ouse,high\nAire,low\nNidd,mid\n",
        "V1 STRING, V2 STRING",
        [["Ouse", "high"], ["Aire", "low"], ["Nidd", "mid"]],
        {"header": [True, False]},
        {"reading": {"header": False}},
    ),
    Table(
        "prices.csv",
        "p,q\n$1500,5%\n$2600,7%\n",
        "p INTEGER, q INTEGER",
        [[1500, 5], [2600, 7]],
        {"header": [True, False]},
        {"reading": {"header": True}, "attributes": {"p": "integer", "q": "integer"}},
    ),
    Table(
        "cities.csv",
        "страна,столица\nРоссия,Москва\n".encode("cp1251"),  # noqa: RUF001 - Cyrillic
        "V1 STRING, V2 STRING",
        [["страна", "столица"], ["Россия", "Москва"]],
        {"header": [True, False]},
        {"reading": {"header": False}},
    ),
    Table(
        "backslashes.csv",
        "n,says\n1,end\\\\\n2,m\n",
        "n INTEGER, says STRING",
        [[1, "end\\"], [2, "m"]],
        {"escape": ["double", "backslash"]},
        {"reading": {"escape": "backslash"}},
    ),
    Table(
        "behind.csv",
        'says,n\n1,"one"two\n2,"x"\n',
        "says INTEGER, n STRING",
        [[1, '"one"two'], [2, '"x"']],
        {"quote": [""]},
        {"reading": {"quote": "none"}},
    ),
    Table(
        "thousands.csv",
        "what;n\nink;1.200\npen;3.400\nred;2.100\n",
        "what STRING, n INTEGER",
        [["ink", 1200], ["pen", 3400], ["red", 2100]],
        {"thousands": ["", "."]},
        {"reading": {"thousands": "."}},
    ),
    Table(
        "commented.csv",
        "# a\n# b\nn,kind\n1,a\n#2,b\n3,c\n",
        "n INTEGER, kind STRING",
        [[1, "a"], [3, "c"]],
        {"comment": ["#", ""]},
        {"reading": {"comment": "#"}},
    ),
    Table(
        "infinite.csv.gz",
        gzip.compress(b"x,n\n1.5,1\ninf,2\n"),
        "x STRING, n INTEGER",
        [["1.5", 1], ["inf", 2]],
        {"attributes": ["string"]},
        {"attributes": {"x": "string"}},
    ),
    Table(
        "lists.json",
        '[{"a":1,"b":[1,2]},{"a":2,"b":[3]}]',
        "a INTEGER",
        [[1], [2]],
        {"leave_out": ["b"]},
        {"leave_out": ["b"]},
    ),
    Table(
        "lists.parquet",
        parquet(a=[1, 2], b=[[1], [2, 3]]),
        "a INTEGER",
        [[1], [2]],
        {"leave_out": ["b"]},
        {"leave_out": ["b"]},
    ),
    Table(
        "mixed.csv",
        "a,n\né,1\n".encode() + "ü,2\n".encode("latin1"),
        "a STRING, n INTEGER",
        [["Ã©", 1], ["ü", 2]],
        {"encoding": ["cp1252", "iso8859-1"]},
        {"reading": {"encoding": "cp1252"}},
    ),
    Table(
        "old.arff",
        "@relation r\n@attribute n numeric\n@attribute b binary\n@data\n5,1\n6,0\n",
        "n NUMERIC, b {0|1}",
        [[5, "1"], [6, "0"]],
        {"attributes": ["nominal"]},
        {"attributes": {"b": "nominal"}},
    ),
    Table(
        "two.zip",
        archive({"train.csv": "n,kind\n1,a\n", "test.csv": "n,kind\n2,b\n"}),
        "n INTEGER, kind STRING",
        [[2, "b"]],
        {"member": ["train.csv", "test.csv"]},
        {"reading": {"member": "test.csv"}},
    ),
    Table(
        "sheets.xlsx",
        workbook(
            {
                "Notes": [["who", "when"], ["Ada", "today"]],
                "Levels": [["gauge", "level"], ["Ouse", 4.2], ["Aire", 1]],
            }
        ),
        "gauge STRING, level REAL",
        [["Ouse", 4.2], ["Aire", 1]],
        {"sheet": ["Notes", "Levels"]},
        {"reading": {"sheet": "Levels"}},
    ),
    Table(
        "titles.xlsx",
        workbook(
            {
                "Levels": [
                    ["Rivers of 2023"],
                    ["read by", "Ada"],
                    ["gauge", "level", "n"],
                    ["Ouse", 4.2, 1],
                    ["Aire", 1, 2],
                ]
            }
        ),
        "gauge STRING, level REAL, n INTEGER",
        [["Ouse", 4.2, 1], ["Aire", 1, 2]],
        {"skip_lines": [2, 1, 0]},
        {"reading": {"skip_lines": 2}},
    ),
]
"""Tables that a one-shot upload is refused for with choices, and what is published after one of them."""
REFUSED = {
    "short.csv": ("a,b\n1,2\n3\n", "ragged-row", "Add the cells that are missing"),
    "twice.json": ('[{"a":1,"a":2}]', "duplicate-key", "a name of its own"),
    "empty.csv": ("", "empty-file", "a header and at least one row"),
    "header.csv": ("x,y\n", "no-rows", "at least one row"),
}
"""Files that only another file can mend: their content, the reason, and what to change."""
