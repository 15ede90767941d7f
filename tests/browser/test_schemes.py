"""Pages that are not made of our style sheet, in the light and in the dark: the API's, and the sandbox's."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from sandbox_server import WRITER, Server, describe, serve
from tests.browser.conftest import OpenPage, Seen, accessibility, picture
from tests.conftest import LONG

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCHEMES = [pytest.param("light", marks=pytest.mark.long), "dark"]
BRIGHTEST_DARK = 80
"""Of 255: what the ground of a dark page may be at most."""
GROUND = """() => {
    let element = document.querySelector("#swagger-ui .information-container, redoc h1, body");
    for (; element; element = element.parentElement) {
        const [red, green, blue, alpha = 1] = getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number);
        if (alpha) return (red + green + blue) / 3;
    }
    return getComputedStyle(document.documentElement).colorScheme.includes("dark")
        && matchMedia("(prefers-color-scheme: dark)").matches ? 18 : 255;
}"""


async def require_readable(page: Page, scheme: str, name: str, *rules: str) -> None:
    """axe finds nothing, on a desk, and where there is time on a telephone."""
    for device, width in (("desk", 1200), ("phone", 360)) if LONG else (("desk", 1200),):
        await page.set_viewport_size({"width": width, "height": 800})
        await picture(page, f"{name}-{scheme}-{device}")
        assert await accessibility(page, *rules) == []


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.long
async def test_swagger_when_shown_in_either_scheme_then_every_text_can_be_read(
    open_page: OpenPage, scheme: str
) -> None:
    page = await open_page("/")
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    await page.goto("/docs")
    await expect(page.locator(".opblock").first).to_be_visible()
    assert (await page.evaluate(GROUND) < BRIGHTEST_DARK) == (scheme == "dark")
    for path in ("/signup", "/uploads/{upload_id}"):
        await page.locator(".opblock-summary-control", has_text=path).first.click()
    await page.get_by_role("button", name="Try it out").first.click()
    await require_readable(page, scheme, "swagger-open", "color-contrast")
    await page.locator(".models-control").click()
    await page.get_by_role("button", name="Authorize", exact=True).click()
    await require_readable(page, scheme, "swagger-dialog", "color-contrast")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.long
async def test_redoc_when_shown_in_either_scheme_then_every_text_can_be_read(
    open_page: OpenPage, seen: Seen, scheme: str
) -> None:
    page = await open_page("/")
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    await page.goto("/redoc")
    await expect(page.locator("redoc h1").first).to_be_visible()
    assert await page.evaluate(GROUND) == 255, "it is light, whatever the browser would make of it"
    assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    await page.set_viewport_size({"width": 360, "height": 800})
    await picture(page, f"redoc-{scheme}-phone", full_page=False)
    await page.set_viewport_size({"width": 1200, "height": 800})
    await picture(page, f"redoc-{scheme}-desk", full_page=False)
    assert await accessibility(page, "color-contrast") == []
    # Its maker's logo, which our policy keeps out.
    seen.complaints[:] = [each for each in seen.complaints if "cdn.redoc.ly" not in each]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sandbox with something of each kind to see."""
    with serve(tmp_path_factory.mktemp("sandbox")) as server, server.client() as client:
        dataset_id = server.publish(describe(default_target_attribute="class", licence="CC0", tag="a"))
        failed = server.publish(
            describe(name="failed", default_target_attribute="class"), arff=b"@relation x"
        )
        for each in (dataset_id, failed):
            server.wait_until_processed(each)
        task = (
            '<oml:task_inputs xmlns:oml="http://openml.org/openml"><oml:task_type_id>5</oml:task_type_id>'
            f'<oml:input name="source_data">{dataset_id}</oml:input>'
            '<oml:input name="estimation_procedure">17</oml:input></oml:task_inputs>'
        )
        study = (
            '<oml:study xmlns:oml="http://openml.org/openml"><oml:alias>shown</oml:alias>'
            "<oml:main_entity_type>task</oml:main_entity_type><oml:name>Shown</oml:name>"
            "<oml:description>All of it.</oml:description>"
            "<oml:tasks><oml:task_id>1001</oml:task_id></oml:tasks></oml:study>"
        )
        for kind, document in (("task", task), ("study", study)):
            answer = client.post(
                f"/api/v1/{kind}", data={"api_key": WRITER}, files={"description": ("d", document)}
            )
            assert answer.status_code == 200, answer.text
        yield server


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_sandbox_pages_when_shown_in_either_scheme_then_axe_finds_nothing(
    open_page: OpenPage, sandbox: Server, seen: Seen, scheme: str
) -> None:
    seen.site = sandbox.url
    page = await open_page(f"{sandbox.url}/")
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    failed = page.locator("tr", has_text="failed")
    paths = [
        "/",
        "/d/1",
        "/t/1001",
        "/s/101",
        await failed.get_by_role("link", name="failed").get_attribute("href"),
    ]
    for path in paths:
        await page.goto(f"{sandbox.url}{path}")
        await require_readable(page, scheme, f"sandbox-{str(path).strip('/').replace('/', '-') or 'start'}")
        assert (await page.evaluate(GROUND) < BRIGHTEST_DARK) == (scheme == "dark")
    await expect(page.locator(".error")).to_contain_text("Processed with an error")
