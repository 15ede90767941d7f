"""The validator of descriptions, against libxml2 working from the same table."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from openml_sandbox.run_schemas import FLOW, RUN
from openml_sandbox.schema import EDIT, STUDY, TASK, UPLOAD, Schema, XmlInvalidError, validate

NAMESPACE = "http://openml.org/openml"

SCHEMAS: dict[str, Any] = {
    schema.root: etree.XMLSchema(etree.fromstring(schema.xsd()))
    for schema in (UPLOAD, EDIT, TASK, STUDY, FLOW, RUN)
}


def complaint(xml: bytes, schema: Schema = UPLOAD) -> str:
    try:
        validate(xml, schema)
    except XmlInvalidError as error:
        return str(error)
    return ""


def libxml_complaint(xml: bytes, schema: Schema = UPLOAD) -> str:
    checker = SCHEMAS[schema.root]
    if checker.validate(etree.fromstring(xml)):
        return ""
    listed = (f"Error {error.message}\n on line {error.line} column 0. " for error in checker.error_log)
    return "XML does not correspond to XSD schema. " + "".join(listed)


def wrap(inner: str, root: str = "data_set_description") -> bytes:
    return f'<oml:{root} xmlns:oml="{NAMESPACE}">{inner}</oml:{root}>'.encode()


def element(name: str, text: str) -> str:
    return f"<oml:{name}>{text}</oml:{name}>"


MINIMAL = element("name", "a") + element("description", "d") + element("format", "ARFF")


@pytest.mark.parametrize(
    "inner",
    [
        MINIMAL,
        "",
        "text" + MINIMAL,
        "\n <!-- a comment --> <?pi?>" + MINIMAL,
        MINIMAL + element("tag", "a") * 3,
        MINIMAL + element("licence", "a") * 2,
        MINIMAL + element("md5_checksum", "a") + element("id", "1"),
        element("id", " 1 ") + MINIMAL,
        element("id", "99999999999") + MINIMAL,
        element("id", "x") + MINIMAL,
        element("name", "") + element("description", "") + element("format", ""),
        element("name", " a ") + element("description", "d") + element("format", "ARFF"),
        element("name", "a" * 128) + element("description", "d" * 16384) + element("format", "f" * 64),
        element("name", "a" * 129) + element("description", "d" * 16385) + element("format", "f" * 65),
        element("name", "a") + element("description", "\u00e9\t\n") + element("format", "ARFF"),
        element("name", "a") + element("description", "<![CDATA[<&>]]>") + element("format", "ARFF"),
        element("name", "<oml:b/>") + element("description", "d") + element("format", "ARFF"),
        '<oml:name x="1">a</oml:name>' + element("description", "d") + element("format", "ARFF"),
        MINIMAL + "<other/>",
        MINIMAL + '<other xmlns="urn:x"/>',
        MINIMAL + element("visibility", "friends"),
        MINIMAL + element("language", "two words"),
        element("name", "a,b(c)") + element("description", "d") + element("format", "ARFF"),
        MINIMAL + element("upload_date", "2020-01-01T00:00:00"),
        MINIMAL + element("upload_date", "2020-02-30T00:00:00"),
        MINIMAL + element("upload_date", "2020-01-01T24:00:00.5Z"),
        MINIMAL + element("upload_date", "2020-01-01"),
    ],
)
def test_validator_when_a_description_is_right_or_wrong_then_it_says_what_libxml_says(inner: str) -> None:
    assert complaint(wrap(inner)) == libxml_complaint(wrap(inner))


@pytest.mark.parametrize("particle", UPLOAD.particles, ids=lambda particle: particle.name)
@pytest.mark.parametrize("make", [str, lambda name: element(name, "x") * 2], ids=["absent", "twice"])
def test_validator_when_an_element_is_missing_or_repeated_then_it_agrees(
    particle: Any, make: Callable[[str], str]
) -> None:
    full = [
        element(known.name, "2020-01-01T00:00:00" if known.name == "upload_date" else "1")
        for known in UPLOAD.particles
    ]
    changed = "" if make is str else make(particle.name)
    inner = "".join(changed if f"<oml:{particle.name}>" in text else text for text in full)

    assert complaint(wrap(inner)) == libxml_complaint(wrap(inner))


NAMES = st.sampled_from([particle.name for particle in UPLOAD.particles])
TEXTS = st.sampled_from(["", "a", "1", "a b", "public", "\u00e9", "x" * 65, "x" * 129, "2020-01-01T00:00:00"])


@settings(max_examples=80, deadline=None, database=None)
@given(st.lists(st.tuples(NAMES, TEXTS), max_size=6), st.booleans())
def test_validator_when_elements_come_in_any_order_then_it_agrees(
    chosen: list[tuple[str, str]], in_order: object
) -> None:
    order = [particle.name for particle in UPLOAD.particles]
    elements = [*chosen, ("name", "a"), ("description", "d"), ("format", "ARFF")]
    if in_order:
        elements.sort(key=lambda pair: order.index(pair[0]))
    xml = wrap("".join(element(name, text) for name, text in elements))

    assert complaint(xml) == libxml_complaint(xml)


URL_CHARACTERS = st.text(alphabet="ab:/?#[]@!$&'()*+,;=%0-._~ \\<>\"{}|^`\u00e9", max_size=12)


@settings(max_examples=120, deadline=None, database=None)
@given(
    st.one_of(
        URL_CHARACTERS, URL_CHARACTERS.map("http://".__add__), URL_CHARACTERS.map("http://a/b?".__add__)
    )
)
def test_validator_when_an_address_is_odd_then_it_agrees(url: str) -> None:
    escaped = url.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    xml = wrap(element("original_data_url", escaped), "data_edit_parameters")

    assert complaint(xml, EDIT) == libxml_complaint(xml, EDIT)


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (
            b"",
            "Document is empty\n. XML does not correspond to XSD schema. Error Document is empty\n on line 1 column 1",
        ),
        (b"hello", "Start tag expected, '<' not found\n. XML does"),
        (b"<a><b></a>", "Opening and ending tag mismatch: b line 1\n. XML does"),
        (b"<a>\n<b>", "Premature end of data in tag b line 2\n. XML does"),
        (b"<a>&nosuch;</a>", "undefined entity\n. XML does"),
        (b"<a/>", "XML does not correspond to XSD schema. Error Element 'a': No matching global declaration"),
        (
            b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
            "Internal error: xmlSchemaVDocWalk, there is at least one entity",
        ),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "Internal error: xmlSchemaVDocWalk"),
        (b"<a>" * 1000, "Excessive depth in document: 256 use XML_PARSE_HUGE option\n. XML does"),
        (b"<a>" + b" " * 1_000_000 + b"</a>", "internal error: Huge input lookup\n. XML does"),
        (
            '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
            "XML does not correspond to XSD schema. Error Element 'a'",
        ),
        (
            wrap(MINIMAL).replace(NAMESPACE.encode(), b"urn:other"),
            "XML does not correspond to XSD schema. Error Element '{urn:other}data",
        ),
        (b"<x:a/>", "XML does not correspond to XSD schema. Error Element 'x:a'"),
    ],
)
def test_validator_when_a_document_is_broken_then_it_says_so(xml: bytes, text: str) -> None:
    assert complaint(xml).startswith(text)


def test_validator_when_the_document_is_utf16_then_it_is_read() -> None:
    xml = f'<?xml version="1.0" encoding="UTF-16"?>{wrap(MINIMAL).decode()}'.encode("utf-16")

    assert complaint(xml) == ""


def test_validator_when_a_prefix_other_than_oml_is_used_then_the_document_is_valid_but_empty() -> None:
    root = validate(wrap(MINIMAL).replace(b"oml:", b"o:").replace(b"xmlns:oml", b"xmlns:o"), UPLOAD)

    assert root.text_of("format") == ""
    assert validate(wrap(MINIMAL), UPLOAD).text_of("format") == "ARFF"


TYPE = element("task_type_id", "1")
INPUT = '<oml:input name="source_data">1</oml:input>'


@pytest.mark.parametrize(
    "inner",
    [
        TYPE + INPUT,
        TYPE,
        INPUT,
        "",
        TYPE + INPUT * 3 + element("tag", "a") * 2,
        TYPE + INPUT + element("tag", "a") + INPUT,
        TYPE + element("input", ""),
        TYPE + '<oml:input name="">1</oml:input>',
        TYPE + '<oml:input name="a b">1</oml:input>',
        TYPE + '<oml:input name="a" other="b">1</oml:input>',
        TYPE + '<oml:input oml:name="a">1</oml:input>',
        TYPE + '<oml:input name="a"><oml:b/></oml:input>',
        TYPE + "<oml:input>&lt; caf\u00e9 \n</oml:input>",
        element("task_type_id", "x") + INPUT,
        element("task_type_id", "") + INPUT,
        element("task_type_id", " +007 ") + INPUT,
        element("task_type_id", "1" * 30) + INPUT,
        element("task_type_id", "1.0") + INPUT,
        element("task_id", "5") + TYPE + INPUT,
        TYPE + INPUT + element("tag", "a b"),
        TYPE + INPUT + element("tag", ""),
        TYPE + INPUT + element("tag", "a" * 100),
        TYPE + INPUT + element("foo", "a"),
        TYPE + TYPE + INPUT,
        "text" + TYPE + INPUT,
    ],
)
def test_validator_when_a_task_is_right_or_wrong_then_it_says_what_libxml_says(inner: str) -> None:
    xml = wrap(inner, "task_inputs")

    assert complaint(xml, TASK) == libxml_complaint(xml, TASK)


ENTITIES = element("main_entity_type", "task")
NAME = element("name", "A suite")


@pytest.mark.parametrize(
    "inner",
    [
        ENTITIES + NAME,
        NAME + ENTITIES,
        ENTITIES,
        element("main_entity_type", "flow") + NAME,
        element("main_entity_type", "") + NAME,
        element("alias", "a" * 33) + ENTITIES + NAME,
        element("alias", "a b") + ENTITIES + NAME,
        element("alias", "") + ENTITIES + NAME,
        ENTITIES + element("benchmark_suite", "x") + NAME,
        ENTITIES + element("name", "caf\u00e9"),
        ENTITIES + NAME + element("description", "d" * 4097),
        ENTITIES + NAME + "<oml:tasks/>",
        ENTITIES
        + NAME
        + "<oml:tasks> <oml:task_id>1</oml:task_id>\n<oml:task_id>2</oml:task_id></oml:tasks>",
        ENTITIES + NAME + "<oml:tasks><oml:task_id>x</oml:task_id></oml:tasks>",
        ENTITIES + NAME + "<oml:tasks><oml:run_id>1</oml:run_id></oml:tasks>",
        ENTITIES + NAME + "<oml:tasks>1,2</oml:tasks>",
        ENTITIES + NAME + '<oml:tasks a="b"><oml:task_id>1</oml:task_id></oml:tasks>',
        ENTITIES + NAME + "<oml:runs><oml:run_id>1</oml:run_id></oml:runs>",
        ENTITIES + NAME + "<oml:runs><oml:run_id>1</oml:run_id></oml:runs><oml:tasks/>",
    ],
)
def test_validator_when_a_study_is_right_or_wrong_then_it_says_what_libxml_says(inner: str) -> None:
    xml = wrap(inner, "study")

    assert complaint(xml, STUDY) == libxml_complaint(xml, STUDY)


FLOW_PARTS = element("name", "a.b(c=d)") + element("description", "d")
RUN_PARTS = element("task_id", "1") + element("flow_id", "2")
SETTING = element("name", "a") + element("value", "")


@pytest.mark.parametrize(
    ("schema", "inner"),
    [
        (FLOW, FLOW_PARTS),
        (FLOW, element("name", "a b") + element("description", "d")),
        (FLOW, element("name", "") + element("description", "d")),
        (FLOW, FLOW_PARTS + element("parameter", element("name", "x") + element("default_value", "\u00e9"))),
        (FLOW, FLOW_PARTS + element("parameter", element("default_value", "1"))),
        (FLOW, FLOW_PARTS + element("component", element("identifier", "i") + element("flow", FLOW_PARTS))),
        (FLOW, FLOW_PARTS + element("component", element("identifier", "i") + element("flow", ""))),
        (FLOW, FLOW_PARTS + element("component", element("flow", FLOW_PARTS))),
        (RUN, RUN_PARTS),
        (RUN, element("task_id", "1")),
        (RUN, RUN_PARTS + element("parameter_setting", SETTING) * 2),
        (RUN, RUN_PARTS + element("parameter_setting", element("name", "a=b") + element("value", "1"))),
        (RUN, RUN_PARTS + element("parameter_setting", SETTING + element("component", "x"))),
        (
            RUN,
            RUN_PARTS
            + element("output_data", '<oml:evaluation repeat="0"><oml:name>a</oml:name></oml:evaluation>'),
        ),
        (
            RUN,
            RUN_PARTS
            + element("output_data", '<oml:evaluation fold="x"><oml:name>a</oml:name></oml:evaluation>'),
        ),
        (
            RUN,
            RUN_PARTS
            + element("output_data", '<oml:evaluation way="1"><oml:name>a</oml:name></oml:evaluation>'),
        ),
        (
            RUN,
            RUN_PARTS
            + element("output_data", element("evaluation", element("name", "a") + element("value", "1e-3"))),
        ),
        (
            RUN,
            RUN_PARTS
            + element("output_data", element("evaluation", element("name", "a") + element("value", "x"))),
        ),
        (RUN, RUN_PARTS + element("setup_string", "\u00e9")),
    ],
)
def test_validator_when_a_flow_or_run_is_right_or_wrong_then_it_says_what_libxml_says(
    schema: Schema, inner: str
) -> None:
    xml = wrap(inner, schema.root)

    assert complaint(xml, schema) == libxml_complaint(xml, schema)
