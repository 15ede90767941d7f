import pytest
from lxml import etree

from app.openml import xml


def test_description_when_written_then_elements_stand_in_the_order_of_the_schema() -> None:
    document = xml.dataset_description(
        {
            "citation": "A & B <2024>",
            "ignore_attribute": ["a", "b"],
            "name": "river-levels",
            "creator": ["Ada", "Ben"],
            "format": "ARFF",
            "licence": "",
            "description": "Two\nlines",
        }
    )

    root = etree.fromstring(document)
    assert root.tag == "{http://openml.org/openml}data_set_description"
    assert root.prefix == "oml"
    names = [etree.QName(child).localname for child in root]
    assert names == [
        "name", "description", "format", "creator", "creator", "ignore_attribute", "ignore_attribute", "citation",
    ]  # fmt: skip
    assert [child.text for child in root][-1] == "A & B <2024>"


def test_description_when_a_field_is_unknown_then_refused() -> None:
    with pytest.raises(ValueError, match="parquet_url"):
        xml.dataset_description({"name": "a", "parquet_url": "x"})


def test_error_when_escaped_twice_then_plain() -> None:
    text = "<oml:error><oml:code>131</oml:code><oml:message>m</oml:message><oml:additional_information>"
    found = xml.find_error(
        text + "&amp;#039;&amp;lt;&amp;#039; not found</oml:additional_information></oml:error>"
    )

    assert found is not None
    assert found.details == "'<' not found"


@pytest.mark.parametrize("code", ["9" * 6000, "9" * 30, "\u0661", ""])
def test_error_when_its_code_is_no_number_of_openmls_then_none(code: str) -> None:
    assert xml.find_error(f"<oml:error><oml:code>{code}</oml:code><oml:message>m</oml:message>") is None


def test_error_when_its_text_is_endless_then_its_beginning() -> None:
    text = f"<oml:error><oml:code>131</oml:code><oml:message>{'&amp;amp;' * 800_000}"

    found = xml.find_error(text)

    assert found is not None
    assert found.message == "&" * 2000


@pytest.mark.parametrize("number", ["9" * 6000, "9" * 19, "\u0661", "-1", ""])
def test_id_when_no_database_could_hold_it_then_none(number: str) -> None:
    assert (
        xml.find_id(f"<oml:study_upload><oml:id>{number}</oml:id></oml:study_upload>", "study_upload") is None
    )


def test_id_when_tags_never_end_then_the_answer_is_looked_at_once() -> None:
    # Each would look through all that follow: minutes.
    assert xml.find_id("<oml:study_upload " * 200_000, "study_upload") is None
