"""Documents of flows, made of descriptions: what the frontend's page of a flow reads is there, whatever comes."""

from xml.etree.ElementTree import fromstring

from app.index.documents import of_flow
from app.openml.listings import MOST_RECORDS, read_entry
from tests.upstream import OML


def flow(inside: str) -> dict[str, object]:
    element = fromstring(f"<oml:flow {OML}><oml:id>7</oml:id><oml:name>tree</oml:name>{inside}</oml:flow>")  # noqa: S314 - our own text
    return dict(of_flow(read_entry(element), detailed=True).document)


def test_flow_when_it_has_parameters_then_each_is_there() -> None:
    one = "<oml:parameter><oml:name>a</oml:name><oml:default_value>1</oml:default_value></oml:parameter>"

    document = flow(one + one.replace(">a<", ">b<") + "<oml:parameter/><oml:parameter>text</oml:parameter>")

    parts = {"data_type": "", "default_value": "1", "description": ""}
    assert document["parameters"] == [{"name": "a", **parts}, {"name": "b", **parts}]


def test_flow_when_it_tells_little_then_the_texts_that_pages_split_are_empty() -> None:
    document = flow("")

    assert (document["dependencies"], document["description"], document["parameters"]) == (
        "",
        "No description",
        [],
    )


def test_flow_when_it_has_very_many_parameters_then_some_are_taken() -> None:
    document = flow("<oml:parameter><oml:name>a</oml:name></oml:parameter>" * (MOST_RECORDS + 9))

    assert len(document["parameters"]) == MOST_RECORDS  # type: ignore[arg-type]  # a list
