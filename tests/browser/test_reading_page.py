"""How a file is read, corrected on the page: questions answered, fields chosen, columns renamed and left out."""

import json
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, accessibility, picture
from tests.browser.test_newcomer import Keyboard
from tests.browser.test_own_pages import TOKEN, open_signed_in
from tests.browser.test_preview_page import send_and_look
from tests.tabular.made import archive, workbook
from tests.uploads.test_data_upload import form

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEADLESS = "".join(
    f"tree {number},{['dry', 'wet', 'wetter', 'driest'][number % 4]}\n" for number in range(30)
)


STREETS = ["Müllerweg", "Östergasse", "Allee", "Gäßchen"]
GERMAN = "Straße;Preis;Menge\n" + "".join(
    f"{street} {number};{number},{number % 10};{number % 4 + 1}.{number * 37 % 1000:03}\n"
    for number, street in enumerate(STREETS * 6)
)


async def pick(page: Page, label: str, words: str) -> None:
    """Choose one of the values of a field by the keyboard alone."""
    await Keyboard(page).go_to(page.get_by_label(label, exact=True))
    await page.keyboard.type(words)


async def require_accessible(page: Page, name: str) -> None:
    """Axe finds nothing; a picture is kept."""
    await picture(page, f"reading-{name}")
    assert await accessibility(page) == []


async def rows_of(page: Page) -> list[str]:
    """The cells of the first row that is shown."""
    return await page.locator("#row-table tbody tr").first.locator("td").all_text_contents()


@pytest.mark.long
async def test_file_without_a_header_when_its_question_is_answered_then_no_row_is_lost(
    open_page: OpenPage, ada: str, sandbox_url: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, HEADLESS.encode(), "trees.csv")
    await page.get_by_text("The first rows, as").click()
    assert await rows_of(page) == ["tree 1", "wet"]
    question = page.get_by_role("group", name="The first row may have the names")
    await expect(question).to_contain_text("'tree 0', 'dry'")
    await picture(page, "reading-question")
    assert await accessibility(page) == []

    await Keyboard(page).press(question.get_by_role("button", name="The first row is data"))
    await expect(page.get_by_role("heading", name="V1")).to_be_visible()
    await expect(question).to_be_hidden()
    await expect(page.get_by_label("The first row has the names")).to_have_value("false")
    assert await rows_of(page) == ["tree 0", "dry"]
    await expect(page.locator("#facts")).to_contain_text("30 rows")

    await page.locator(".column").first.get_by_text("Rename or leave out").click()
    name = page.get_by_label("Published as of V1")
    await name.fill("tree")
    await name.press("Tab")
    await expect(page.locator("#row-table th").first).to_have_text("tree")
    await expect(page.locator("#roles")).to_contain_text("Renamed: V1 to tree")
    await picture(page, "reading-answered")
    for width in (375, 320):
        await page.set_viewport_size({"width": width, "height": 800})
        hidden = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(hidden) == 0
        await picture(page, f"reading-{width}")
    assert await accessibility(page) == []

    await page.get_by_label("Role of V2").select_option("target")
    await page.get_by_label("Description").fill("Trees.")
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()
    assert await published_names(page, sandbox_url) == ["tree", "V2"]


@pytest.mark.long
async def test_document_when_it_has_two_arrays_then_one_is_chosen_by_the_keyboard(
    open_page: OpenPage, ada: str
) -> None:
    arrays = {
        "notes": [{"who": "Ada"}, {"who": "Bob"}],
        "levels": [{"gauge": "Ouse", "m": 4}, {"gauge": "Aire", "m": 1}],
    }
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, json.dumps(arrays).encode(), "levels.json")
    await page.get_by_text("The first rows, as").click()
    await require_accessible(page, "arrays")

    await Keyboard(page).press(page.get_by_role("button", name="Where the rows are: levels"))
    await expect(page.locator("#row-table th").first).to_have_text("gauge")
    assert await rows_of(page) == ["Ouse", "4"]
    await require_accessible(page, "array-chosen")
    await pick(page, "Where the rows are", "notes")
    await expect(page.locator("#row-table th").first).to_have_text("who")
    await expect(page.get_by_label("Where the rows are", exact=True)).to_be_focused()


@pytest.mark.long
async def test_archive_when_it_has_two_tables_then_one_is_chosen_and_then_its_encoding_by_the_keyboard(
    open_page: OpenPage, ada: str
) -> None:
    towns = "город;область\n" + "Москва;центр\nКазань;Волга\nТомск;Сибирь\nПсков;запад\n" * 5  # noqa: RUF001 - Russian, as people write it
    packed = archive({"about.csv": "who,when\nAda,today\nBob,never\n", "towns.csv": towns.encode("cp1251")})
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, packed, "towns.zip")
    await page.get_by_text("The first rows, as").click()
    await require_accessible(page, "members")

    await Keyboard(page).press(page.get_by_role("button", name="File in the archive: towns.csv"))
    await expect(page.locator("#facts")).to_contain_text("20 rows")
    await require_accessible(page, "member-chosen")
    await pick(page, "Encoding of the text", "koi8-r")
    await expect(page.locator("#row-table td").first).not_to_have_text("Москва")
    await require_accessible(page, "member-misread")
    await pick(page, "Encoding of the text", "cp1251")
    await expect(page.locator("#row-table td").first).to_have_text("Москва")
    await expect(page.get_by_label("Encoding of the text", exact=True)).to_be_focused()
    await require_accessible(page, "member-encoding")


@pytest.mark.long
async def test_german_table_when_its_marks_and_its_encoding_are_chosen_by_clicks_then_numbers_and_words(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, GERMAN.encode("cp1252"), "preise.csv")
    await expect(page.get_by_label("Between cells")).to_have_value("")
    await expect(page.get_by_label("Between cells").locator("option:checked")).to_have_text(
        "as found: semicolon ;"
    )
    await expect(page.locator("#remarks")).to_contain_text("'Menge' is published as text")
    await page.get_by_text("The first rows, as").click()

    await require_accessible(page, "german-found")
    await pick(page, "Encoding of the text", "mac-roman")
    await expect(page.locator("#row-table th").first).not_to_have_text("Strasse")
    await require_accessible(page, "german-misread")
    await pick(page, "Encoding of the text", "cp1252")
    await expect(page.locator("#row-table th").first).to_have_text("Strasse")
    await pick(page, "Mark between thousands", "point")
    await expect(page.locator("#row-table tbody tr").first.locator("td").nth(2)).to_have_text("1000")
    assert await rows_of(page) == ["Müllerweg 0", "0.0", "1000"]
    await expect(page.locator("#remarks")).not_to_contain_text("'Menge' is published as text")
    await require_accessible(page, "german")


@pytest.mark.long
async def test_workbook_when_its_sheet_and_its_first_row_are_chosen_by_clicks_then_its_rows_are_shown(
    open_page: OpenPage, ada: str
) -> None:
    sheets: dict[str, list[list[Any]]] = {
        "Notes": [["who", "when"], ["Ada", "today"]],
        "Levels": [
            ["Rivers of 2020", None, None],
            ["read by", "Ada", None],
            ["gauge", "level", "flood"],
            ["Ouse", 4.2, "yes"],
            ["Aire", 1, "no"],
        ],
    }
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, workbook(sheets), "rivers.xlsx")
    await page.get_by_text("The first rows, as").click()
    assert await rows_of(page) == ["Ada", "today"]
    question = page.get_by_role("group").filter(has=page.get_by_role("button", name="Sheet: Levels"))
    await picture(page, "reading-sheets")
    assert await accessibility(page) == []

    await Keyboard(page).press(question.get_by_role("button", name="Sheet: Levels"))
    await expect(page.locator("#row-table th").first).to_have_text("gauge")
    assert await rows_of(page) == ["Ouse", "4.2", "yes"]
    begins = page.get_by_role("group", name="The table seems to begin in row 3")
    await expect(begins).to_contain_text("'Rivers of 2020'")
    await picture(page, "reading-sheet-chosen")
    assert await accessibility(page) == []

    # Another row that was considered, and back, by the keyboard.
    await Keyboard(page).press(page.get_by_role("button", name="1 Lines before the table"))
    await expect(page.locator("#row-table th").first).to_have_text("read by")
    await expect(begins).to_be_hidden()
    await Keyboard(page).press(page.get_by_role("button", name="2 Lines before the table"))
    await expect(page.locator("#row-table th").first).to_have_text("gauge")
    await expect(page.get_by_label("Sheet", exact=True)).to_have_value('"Levels"')
    await expect(page.locator("#facts")).to_contain_text("2 rows")
    await picture(page, "reading-sheet-begins")
    assert await accessibility(page) == []


@pytest.mark.long
async def test_upload_when_it_was_refused_for_a_doubt_then_answered_looked_at_and_published(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/my-uploads")
    auth = {"Authorization": f"Bearer {await page.evaluate(TOKEN)}"}
    refused = await http.post("/data-upload", files=form(HEADLESS.encode(), def_tar_att="V2"), headers=auth)
    assert refused.json()["reason"] == "unsure-reading"
    await page.goto(f"/dashboard/data-upload?uuid={refused.json()['upload_id']}")
    await expect(page.get_by_text("It was not published")).to_be_visible()
    await picture(page, "reading-refused")
    assert await accessibility(page) == []

    await page.get_by_role("button", name="The first row is data").click()
    await expect(page.get_by_role("heading", name="V1")).to_be_visible()
    await expect(page.get_by_label("Role of V2")).to_have_value("target")
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()


@pytest.mark.long
async def test_upload_when_it_was_refused_for_a_column_then_left_out_by_the_keyboard_and_published(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient, sandbox_url: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/my-uploads")
    auth = {"Authorization": f"Bearer {await page.evaluate(TOKEN)}"}
    lists = b'[{"n": 1, "kind": "u", "parts": [1, 2]}, {"n": 2, "kind": "v", "parts": []}]'
    refused = await http.post(
        "/data-upload", files=form(lists, "parts.json", def_tar_att="kind"), headers=auth
    )
    assert refused.json()["reason"] == "nested-value"
    await page.goto(f"/dashboard/data-upload?uuid={refused.json()['upload_id']}")
    await expect(page.get_by_text("It was not published")).to_be_visible()
    await picture(page, "reading-refused-column")
    assert await accessibility(page) == []

    await page.get_by_role("button", name="Leave out parts").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="kind")).to_be_visible()
    await expect(page.locator("#roles")).to_contain_text("Left out: parts")
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()
    assert await published_names(page, sandbox_url) == ["n", "kind"]


async def published_names(page: Page, sandbox_url: str) -> list[str]:
    """The names of the columns of the dataset that the page links to, as OpenML has them."""
    link = await page.get_by_role("link", name="Open dataset").get_attribute("href")
    assert link is not None
    async with httpx.AsyncClient(base_url=sandbox_url) as openml:
        features = (await openml.get(f"/api/v1/json/data/features/{link.rpartition('/')[2]}")).json()
    return [each["name"] for each in features["data_features"]["feature"]]


@pytest.mark.long
async def test_reading_when_it_makes_no_table_then_told_and_gone_back_from(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, b"a;b\n1;x\n2;y\n", "small.csv")

    lines = page.get_by_label("Lines before the table")
    await lines.fill("100")
    await lines.press("Tab")
    await expect(page.get_by_text("It cannot be read so")).to_be_visible()
    await expect(page.get_by_role("heading", name="a", exact=True)).to_be_visible()
    await picture(page, "reading-impossible")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Go back to how it was read").click()
    await expect(page.get_by_text("It cannot be read so")).to_be_hidden()
    await expect(page.locator("#reading-title")).to_be_focused()
    await expect(page.locator("#publish:enabled")).to_have_text("Publish")


@pytest.mark.long
async def test_columns_when_many_are_changed_at_once_then_those_found_or_ticked(
    open_page: OpenPage, ada: str
) -> None:
    names = [f"{kind}{number}" for number in range(40) for kind in ("left", "code")]
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, "\n".join([",".join(names), *[",".join("1" * 80)] * 3]).encode(), "wide.csv")

    await page.get_by_label("Find a column").fill("code")
    await expect(page.locator("#many-found")).to_have_text("all 40 found")
    await page.get_by_label("What becomes of them").select_option("nominal")
    await page.get_by_role("button", name="Change them").click()
    await expect(page.locator("#announce")).to_contain_text("40 columns are category")
    await expect(page.get_by_label("Type of code39")).to_have_value("nominal")

    await page.get_by_label("Find a column").fill("left1")
    await expect(page.locator(".column")).to_have_count(11)
    await page.get_by_label("Tick left1", exact=True).check()
    await page.get_by_label("Tick left19", exact=True).check()
    await page.get_by_label("What becomes of them").select_option("leave-out")
    await page.get_by_role("button", name="Change them").click()
    await expect(page.locator(".column")).to_have_count(9)
    await expect(page.locator("#roles")).to_contain_text("Left out: left19")
    await page.get_by_role("button", name="Left out: all 2").click()
    await expect(page.locator(".column")).to_have_count(11)
    assert await accessibility(page) == []


@pytest.mark.long
async def test_file_when_it_cannot_be_read_then_the_problem_is_shown_and_another_reading_chosen_by_the_keyboard(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await page.get_by_label("File", exact=True).set_input_files(
        {"name": "odd.jsonl", "mimeType": "text/plain", "buffer": b"'a;b\n1;2\n3;4\n"}
    )
    await page.get_by_role("button", name="Send it and look").click()
    await page.wait_for_url("**/dashboard/data-upload?uuid=*")
    await expect(page.get_by_text("It cannot be read so")).to_be_visible()
    await expect(page.get_by_role("button", name="Publish", exact=True)).to_be_hidden()
    await picture(page, "reading-unread")
    assert await accessibility(page) == []

    await pick(page, "Format", "csv")
    await expect(page.get_by_role("heading", name="'a", exact=True)).to_be_visible()
    await expect(page.get_by_text("It cannot be read so")).to_be_hidden()
    await expect(page.locator("#publish:enabled")).to_have_text("Publish")
    await expect(page.locator("#facts")).to_contain_text("2 rows")
    await picture(page, "reading-unread-answered")
    assert await accessibility(page) == []
