"""What the real server answered to uploads, row by row; (HTTP status, code) have to agree."""

import gzip
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from sandbox_server import ADMIN, ARFF, READER, WRITER, Part, Server, code_of, describe, multipart

DESCRIPTION: Part = ("description", describe(), "d.xml")
DATASET: Part = ("dataset", ARFF, "tiny.arff")
BOTH = (DESCRIPTION, DATASET)


@dataclass(frozen=True)
class Row:
    """A probe: its number in the record and what it was about, what came back, and what was sent."""

    probe: str
    status: int
    code: int | None = None
    text: str = ""
    parts: tuple[Part, ...] = BOTH
    path: str = "/api/v1/xml/data"
    query: dict[str, str] = field(default_factory=lambda: {"api_key": WRITER})
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    is_chunked: bool = False

    @property
    def number(self) -> str:
        return self.probe.partition(" ")[0]


def described(probe: str, status: int, code: int | None = None, text: str = "", /, **fields: Any) -> Row:
    """Make a row that differs in its description only."""
    return with_xml(probe, describe(**fields), status, code, text)


def with_xml(probe: str, xml: bytes, status: int, code: int | None = None, text: str = "") -> Row:
    return Row(probe, status, code, text, parts=(("description", xml, "d.xml"), DATASET))


def with_arff(probe: str, arff: bytes | str, status: int, code: int | None = None, text: str = "") -> Row:
    content = arff.encode() if isinstance(arff, str) else arff
    return Row(probe, status, code, text, parts=(DESCRIPTION, ("dataset", content, "tiny.arff")))


HEADER = "@relation t\n@attribute x numeric\n@attribute y numeric\n@attribute class {a,b}\n@data\n"
XML = describe().decode()
LONG = "@relation t\n@attribute x numeric\n@data\n"
GARBLED = ARFF.replace(b"tiny", "t\u00e4ny".encode("latin-1"))

ROWS = [
    Row("001 description first", 200, text="<oml:upload_data_set"),
    Row("002 json", 200, text='{"upload_data_set":{"id":"', path="/api/v1/json/data"),
    Row("003 no format segment", 200, text="<oml:upload_data_set", path="/api/v1/data"),
    Row("004 dataset first", 200, parts=(DATASET, DESCRIPTION)),
    Row("005 chunked, description first", 200, is_chunked=True),
    Row("006 chunked, dataset first", 200, parts=(DATASET, DESCRIPTION), is_chunked=True),
    Row("007 key as field, first", 200, parts=(("api_key", WRITER.encode()), *BOTH), query={}),
    Row("008 key as field, last", 200, parts=(*BOTH, ("api_key", WRITER.encode())), query={}),
    Row(
        "009 query wrong, field right",
        412,
        103,
        parts=(("api_key", WRITER.encode()), *BOTH),
        query={"api_key": "9" * 32},
    ),
    Row("010 query right, field wrong", 200, parts=(("api_key", b"9" * 32), *BOTH)),
    Row("011 description as a field", 200, parts=(("description", describe()), DATASET)),
    Row("012 no content types", 200),
    Row(
        "013 dataset without filename",
        412,
        141,
        "Neither dataset file",
        parts=(DESCRIPTION, ("dataset", ARFF)),
    ),
    Row(
        "014 dataset with empty filename",
        412,
        130,
        "Filesize is 0 bytes",
        parts=(DESCRIPTION, ("dataset", ARFF, "")),
    ),
    Row("015 unknown part", 200, parts=(*BOTH, ("extra", b"1"))),
    Row("016 two datasets", 200, parts=(DESCRIPTION, ("dataset", b"no arff", "x.arff"), DATASET)),
    Row("017 two descriptions", 200, parts=(*BOTH, ("description", describe(name="second"), "d.xml"))),
    Row("018 trailing slash", 200, path="/api/v1/xml/data/"),
    Row("019 filename with a path", 200, parts=(DESCRIPTION, ("dataset", ARFF, "../../etc/tiny.arff"))),
    Row("020 filename in UTF-8", 200, parts=(DESCRIPTION, ("dataset", ARFF, "t\u00e4ny.arff"))),
    Row("021 filename without extension", 200, parts=(DESCRIPTION, ("dataset", ARFF, "dataset"))),
    described("023 sparse format, dense rows", 200, format="sparse_arff"),
    Row("024 no key", 412, 102, "No authentication", query={}),
    Row("025 wrong key", 412, 103, "Authentication failed", query={"api_key": "9" * 32}),
    Row(
        "026 wrong key, json path",
        412,
        103,
        "<oml:code>103",
        path="/api/v1/json/data",
        query={"api_key": "9" * 32},
    ),
    Row("027 no key, json path", 412, 102, "<oml:code>102", path="/api/v1/json/data", query={}),
    Row("028 empty key", 412, 102, query={"api_key": ""}),
    Row("029 read-only key", 412, 104, "can only be of type GET", query={"api_key": READER}),
    Row("030 key with a quote", 500, query={"api_key": 'a"b'}),
    Row("031 key in upper case", 200, query={"api_key": ADMIN.upper()}),
    Row("032 key in a header", 412, 102, query={}, headers={"X-Api-Key": WRITER}),
    Row("033 key as bearer token", 412, 102, query={}, headers={"Authorization": f"Bearer {WRITER}"}),
    Row(
        "034 GET with a wrong key",
        412,
        103,
        path="/api/v1/json/data/1",
        query={"api_key": "9" * 32},
        method="GET",
    ),
    Row("035 no description", 412, 135, "Please provide description xml", parts=(DATASET,)),
    Row("036 no dataset", 412, 141, parts=(DESCRIPTION,)),
    Row("037 empty multipart", 412, 135, body=b"--XyZ--\r\n"),
    Row("038 no body", 412, 135, body=b"", headers={"Content-Type": ""}),
    Row("039 json body", 412, 135, body=b'{"a": 1}', headers={"Content-Type": "application/json"}),
    with_xml("040 empty description file", b"", 412, 135, "Filesize is 0 bytes"),
    with_xml(
        "041 description is no xml",
        b"hello",
        412,
        131,
        "Start tag expected, &amp;#039;&amp;lt;&amp;#039; not found",
    ),
    with_xml(
        "042 description cut off", XML[:-10].encode(), 412, 131, "XML does not correspond to XSD schema"
    ),
    with_xml("043 other root", b"<a/>", 412, 131, "No matching global declaration available"),
    described("044 no name", 412, 131, "description&amp;#039;: This element is not expected", name=None),
    described("045 no description element", 412, 131, "format&amp;#039;: This element is", description=None),
    described(
        "046 no format",
        412,
        131,
        "default_target_attribute&amp;#039;",
        format=None,
        default_target_attribute="class",
    ),
    with_xml(
        "047 order wrong",
        XML.replace("<oml:format>ARFF</oml:format>", "")
        .replace("<oml:description>", "<oml:format>ARFF</oml:format><oml:description>")
        .encode(),
        412,
        131,
        "format&amp;#039;: This element is not expected",
    ),
    described("048 name with a blank", 412, 131, "[facet &amp;#039;pattern&amp;#039;]", name="a b"),
    described(
        "049 description not ASCII", 412, 131, "description&amp;#039;: [facet", description="caf\u00e9"
    ),
    with_xml(
        "050 default namespace", XML.replace("xmlns:oml", "xmlns").replace("oml:", "").encode(), 412, 133
    ),
    with_xml(
        "051 other prefix", XML.replace("xmlns:oml", "xmlns:o").replace("oml:", "o:").encode(), 412, 133
    ),
    with_xml(
        "052 entity",
        b'<!DOCTYPE d [<!ENTITY e "x">]>' + XML.replace("A tiny", "&e;").encode(),
        412,
        131,
        "at least one entity reference",
    ),
    described("053 format csv", 412, 133, "only arff datasets", format="csv"),
    described("054 format in lower case", 200, format="arff"),
    described("055 address and file", 412, 140, "Please provide only one", url="http://127.0.0.1/x.arff"),
    described("056 description too long", 412, 131, "maxLength", description="x" * 16385),
    described("057 id, version and status", 200, id="7", version="3", status="active"),
    described("058 target not in the file", 200, default_target_attribute="nosuch"),
    described("059 private", 200, visibility="private"),
    described("060 bad tag", 412, 131, "tag&amp;#039;: [facet", tag=["good", "b d"]),
    described(
        "061 repeated fields", 200, tag=["a", "b"], creator=["A B", "C, D"], ignore_attribute=["x", "y"]
    ),
    with_arff("064 empty dataset", "", 412, 130, "File dataset: Filesize is 0 bytes"),
    with_arff("065 plain text", "hello world", 412, 145, "invalid line in ARFF header: hello world (l.1)"),
    with_arff("066 no @data", "@relation t\n@attribute x numeric\n", 200),
    with_arff("067 no rows", LONG, 200),
    with_arff(
        "068 no attributes", "@relation t\n@data\n1\n", 412, 145, "trailing characters on data line  (l.3)"
    ),
    with_arff("069 no relation", "@attribute x numeric\n@data\n1\n", 200),
    with_arff(
        "070 unknown type",
        "@relation t\n@attribute x foo\n",
        412,
        145,
        "unsupported attribute type: foo (l.2)",
    ),
    with_arff("071 too few columns", HEADER + "1,2\n", 412, 145, "too few feature values  (l.6)"),
    with_arff("072 too many columns", LONG + "1\n1,2\n", 412, 145, "trailing characters on data line  (l.5)"),
    with_arff(
        "073 label not declared",
        "@relation t\n@attribute x {a,b}\n@data\na\nc\n",
        412,
        145,
        "nominal attribute: c (l.5)",
    ),
    with_arff(
        "074 text in a number", LONG + "abc\n", 412, 145, "invalid value for numeric attribute: abc (l.4)"
    ),
    with_arff(
        "075 tabs",
        "@relation t\n@attribute\tx\tnumeric\n",
        412,
        145,
        "unsupported header field: @attribute",
    ),
    with_arff("076 repeated name", LONG.replace("@data", "@attribute x numeric\n@data"), 200),
    with_arff("077 error in row 1001", LONG + "1\n" * 1000 + "abc\n", 200),
    with_arff(
        "078 error in row 1000", LONG + "1\n" * 999 + "abc\n", 412, 145, "numeric attribute: abc (l.1003)"
    ),
    with_arff("079 CRLF", ARFF.replace(b"\n", b"\r\n"), 200),
    with_arff(
        "080 byte order mark",
        b"\xef\xbb\xbf" + ARFF,
        412,
        145,
        "invalid line in ARFF header: \ufeff% comment (l.1)",
    ),
    with_arff("081 latin-1", GARBLED, 200),
    with_arff(
        "082 relational",
        "@relation t\n@attribute x relational\n@end x\n",
        412,
        145,
        "type: relational (l.2)",
    ),
    with_arff(
        "083 date format",
        '@relation t\n@attribute x date "yyyy"\n',
        412,
        145,
        "trailing content in @attribute line (l.2)",
    ),
    with_arff("084 quoted comma", "@relation t\n@attribute x string\n@data\n'a,b'\n", 200),
    with_arff("085 gzip", gzip.compress(ARFF, mtime=0), 412, 145, "invalid line in ARFF header: "),
    with_arff("086 real in integer", LONG.replace("numeric", "integer") + "1.5\n", 200),
    with_arff(
        "087 comment behind a type",
        LONG.replace("numeric", "numeric % n"),
        412,
        145,
        "trailing content in @attribute",
    ),
    with_arff("088 instance weight", LONG + "1,{0.5}\n", 412, 145, "trailing characters on data line  (l.4)"),
    Row("089 other boundary", 412, 135, headers={"Content-Type": "multipart/form-data; boundary=other"}),
    Row("090 no boundary", 412, 135, headers={"Content-Type": "multipart/form-data"}),
    Row("092 no dashes behind the last delimiter", 200, body=multipart(BOTH, end=b"\r\n--XyZ")),
    Row("093 no last delimiter", 412, 130, "Filesize is 0 bytes", body=multipart(BOTH, end=b"")),
    Row("776 content-encoding is not looked at", 200, headers={"Content-Encoding": "gzip"}),
    Row("779 double slash", 200, path="/api/v1//xml/data"),
    Row("780 index.php", 200, path="/index.php/api_new/v1/xml/data"),
    Row("781 api_new", 200, path="/api_new/v1/xml/data"),
]


def send(client: httpx.Client, row: Row) -> httpx.Response:
    """Send what the row sent."""
    body = multipart(row.parts) if row.body is None else row.body
    headers = {"Content-Type": "multipart/form-data; boundary=XyZ"} | row.headers
    content = iter([body[i : i + 50] for i in range(0, len(body), 50)]) if row.is_chunked else body
    query = f"?{urlencode(row.query)}" if row.query else ""
    return client.request(
        row.method, row.path + query, headers=headers, content=None if row.method == "GET" else content
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.probe)
def test_upload_when_sent_as_in_the_record_then_status_and_code_agree(slow_server: Server, row: Row) -> None:
    with slow_server.client() as client:
        answer = send(client, row)

    assert (answer.status_code, code_of(answer)) == (row.status, row.code), answer.text
    assert row.text in answer.text


def test_upload_when_it_names_an_address_only_then_it_is_refused_without_a_fetch(slow_server: Server) -> None:
    row = Row("783", 412, 136, parts=(("description", describe(url="http://127.0.0.1:9/x.arff"), "d.xml"),))
    with slow_server.client() as client:
        answer = send(client, row)

    assert (answer.status_code, code_of(answer)) == (412, 136)


def test_upload_when_repeated_then_versions_count_over_all_users(slow_server: Server) -> None:
    description = describe(name="Counted")
    ids = [
        slow_server.publish(description),
        slow_server.publish(description, key=ADMIN),
        slow_server.publish(describe(name="counted")),
    ]

    versions = [
        slow_server.get(f"data/{dataset_id}").json()["data_set_description"]["version"] for dataset_id in ids
    ]
    assert versions == ["1", "2", "3"]


def test_upload_when_a_tag_is_repeated_then_two_documents_come_and_the_dataset_stands(
    slow_server: Server,
) -> None:
    with slow_server.client() as client:
        answer = send(client, described("", 500, tag=["a", "b", "a"]))

    assert answer.status_code == 500
    assert answer.text.count("xmlns:oml") == 2
    dataset_id = answer.text.rpartition("<oml:id>")[2].partition("<")[0]
    assert slow_server.get(f"data/{dataset_id}").json()["data_set_description"]["tag"] == ["a", "b"]
