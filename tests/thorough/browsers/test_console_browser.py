"""The console as a person has it: in headless Chromium, by mouse, by keyboard, without script."""

import asyncio
import base64
import io
import json
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from console_rig import SAMPLES, Visitor, asked_of
from image_files import saved
from PIL import Image

from batchsearch.config.model import JobSettings
from batchsearch.console.wording import script_texts
from batchsearch.images.outcome import Prepared
from batchsearch.tasks.dedup.night import run_night

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra `test`)")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium: apt-get install --no-install-recommends chromium"
)

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
IMAGE = SAMPLES / "queries" / "assorted-succulents-recompressed.jpg"


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, console):
    """Opens a page of the console in a window of its own; what went wrong in it fails the test."""
    windows, wrong = [], []

    def open_window(path="/search", **given):
        usual = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        window = chromium.new_context(**{**usual, **given})
        windows.append(window)
        window.set_default_timeout(15_000)
        origin = f"http://127.0.0.1:{console.gate.port}"
        window.add_cookies([{"name": console.gate.cookie_name, "value": console.gate.cookie, "url": origin}])
        page = window.new_page()
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        # Offline: nothing is asked of anybody but this server.
        page.on("request", lambda asked: None if asked.url.startswith(origin) else wrong.append(asked.url))
        page.goto(origin + path)
        return page

    yield open_window
    for window in windows:
        window.close()
    assert not wrong


def numbers(page):
    return ",".join(page.input_value(f"#{name}") for name in ("x1", "x2", "y1", "y2"))


def said(page):
    return page.inner_text("#answer-title")


def newest(console):
    return next(iter(console.session.history))


def test_the_story_of_the_vendors_page(opened, console):  # noqa: PLR0915 - a story has many steps
    """Drop, search, take a second region, redraw it, fill every field; read every field of the answer."""
    page = opened()
    drop = page.evaluate_handle(
        """(text) => { const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
        data.items.add(new File([bytes], "plants.jpg", { type: "image/jpeg" })); return data; }""",
        base64.b64encode(IMAGE.read_bytes()).decode(),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": drop})
    page.wait_for_selector("#stage")
    assert "Sent as it is." in page.inner_text(".verdict")
    before = len(asked_of(console))
    page.click("#submit")
    page.wait_for_selector("#answer-title")
    assert re.fullmatch(r"10 results, best 0\.\d\d", said(page))
    assert page.locator(":focus").get_attribute("id") == "answer-title"
    assert page.inner_text("#announcer") == said(page)
    assert len(asked_of(console)) == before + 1
    second = page.locator(".found").nth(1)
    region = second.get_attribute("data-region")
    second.focus()
    page.keyboard.press("Enter")
    assert numbers(page) == region
    assert page.is_checked('[name="method"][value="custom"]')
    stage = page.locator("#stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle - 60, box["y"] + 250)
    page.mouse.down()
    page.mouse.move(middle + 60, box["y"] + 340, steps=5)
    page.mouse.up()
    drawn = numbers(page)
    assert drawn != region
    page.select_option("#category_id", "88888888")
    page.fill("#num", "20")
    page.fill("#start", "10")
    page.fill("#filter", "int_attr > 1")
    page.fill("#score_threshold", "0.00")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector('[data-announce^="20 results"]')
    asked = newest(console)
    assert asked.values["region"] == drawn
    wanted = {"num": 20, "start": 10, "filter": "int_attr > 1", "score_threshold": "0.00"}
    assert {name: asked.values[name] for name in wanted} == wanted
    assert asked.values["category_id"] == 88888888
    page.click('[data-view="table"]')
    table = page.locator("#table")
    heads = table.locator("th").all_inner_texts()
    for name in asked.content["Auctions"][0]:
        assert [head for head in heads if head.startswith(name)]
    rows = table.locator("tbody tr")
    assert rows.count() == 20
    assert rows.nth(0).inner_text().split("\t")[0] == "11"
    page.click("th >> text=ProductId")
    found = [rows.nth(place).locator("td").nth(heads.index("ProductId")).inner_text() for place in range(20)]
    assert found == sorted(found, reverse=True) or len(set(found)) == 20
    page.click("text=Answer as it came")
    assert json.loads(page.inner_text("#raw-text")) == asked.content
    for place, value in asked.content["Head"].items():
        assert page.locator(f"dt:text-is('{place}') + dd").inner_text().startswith(str(value))
    calls = len(asked_of(console))
    page.locator("#hide-below").fill("1")
    assert page.locator("#table tbody tr:visible").count() <= 1
    assert len(asked_of(console)) == calls


def test_the_same_by_keyboard_alone(opened, console):
    """Everything that the mouse does, keys do: letters lead, fields search, arrows move the region."""
    page = opened("/history")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_selector("html.scripted #search-form")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    sample = page.locator(".samples a").first
    sample.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#stage")
    custom = page.locator('[name="method"][value="custom"]')
    custom.focus()
    page.keyboard.press("Space")
    first = [int(each) for each in numbers(page).split(",")]
    page.locator(".drawn").focus()
    for keys in ("ArrowRight", "Shift+ArrowDown", "Alt+ArrowRight", "Alt+Shift+ArrowDown"):
        page.keyboard.press(keys)
    x1, x2, y1, y2 = first
    assert numbers(page) == f"{x1 + 1},{x2 + 2},{y1 + 10},{y2 + 20}"
    page.wait_for_selector(f'#announcer:text-is("Region {numbers(page)}")')
    page.locator("#num").focus()
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-announce^="7 results"]')
    assert newest(console).values["region"] == numbers(page)
    page.locator(".drawn").focus()
    page.keyboard.press("Delete")
    assert numbers(page) == ",,,"
    page.locator("#help-button").click()
    page.locator("#letters").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("h")
    assert page.locator("#search-form").count() == 1, "letters can be switched off"
    page.locator("#help-button").click()
    page.locator("#letters").check()


def test_a_page_without_script_does_the_same(opened, console):
    """With scripts off no control is dead: the image is shown, searched, and a found region is taken."""
    page = opened(java_script_enabled=False)
    assert page.locator(".script:visible").count() == 0
    page.set_input_files("#image", IMAGE)
    page.click("text=Show the image")
    assert page.locator("#stage image").count() == 1
    page.fill("#num", "3")
    page.click("#submit")
    assert said(page).startswith("3 results")
    page.locator("text=Use this region").nth(1).click()
    assert numbers(page) == newest(console).content["PicInfo"]["MultiRegion"][1]["Region"]
    page.click("#submit")
    assert said(page).startswith("3 results")
    assert newest(console).values["region"] == numbers(page)


LOOKS = 100
"""Screenshots after which an image that is not on the screen will not come."""


def marked_image(size, box, orientation=1):
    """A grey image with a red rectangle, as a JPEG that says how it is to be turned."""
    image = Image.new("RGB", size, (190, 190, 190))
    image.paste((220, 20, 30), box)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize(
    ("marked", "scale"),
    [
        (((640, 400), (160, 100, 320, 300), 1), 1),
        (((640, 400), (160, 100, 320, 300), 6), 2),
        (((640, 400), (160, 100, 320, 300), 3), 1.25),
        (((6000, 3000), (1500, 750, 3000, 2250), 1), 1),
        (((400, 5000), (100, 2500, 300, 3500), 8), 2),
    ],
)
def test_a_drawn_region_is_the_region_that_is_asked_for(opened, console, marked, scale):
    """What is drawn around the red of a turned, shrunk or huge image cuts out the red of what is sent."""
    page = opened(device_scale_factor=scale, viewport={"width": 1100, "height": 700})
    data = marked_image(*marked)
    page.set_input_files("#image", {"name": "marked.jpg", "mimeType": "image/jpeg", "buffer": data})
    page.wait_for_selector("#stage")
    stage = page.locator("#stage")
    stage.scroll_into_view_if_needed()
    # Where the red is on the screen, by what is on the screen; the image itself comes after its place.
    rows = columns = np.empty(0)
    for _ in range(LOOKS):
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
        rows, columns = np.nonzero((shot[..., 0] > 170) & (shot[..., 1] < 80) & (shot[..., 2] < 90))
        if len(rows) > 100:
            break
    assert len(rows) > 100, "no red is on the screen"
    left, right = columns.min() / scale, (columns.max() + 1) / scale
    top, bottom = rows.min() / scale, (rows.max() + 1) / scale
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move((left + right) / 2, (top + bottom) / 2)
    page.mouse.move(right, bottom)
    page.mouse.up()
    page.click("#submit")
    page.wait_for_selector("#answer-title")
    asked = newest(console)
    x1, x2, y1, y2 = (int(each) for each in asked.values["region"].split(","))
    sent = next(each.verdict for each in console.session.shelf.kept if each.sha256 == asked.images[0].sha256)
    assert isinstance(sent, Prepared)
    pixels = np.asarray(Image.open(io.BytesIO(sent.data)).convert("RGB")).astype(int)
    is_red = (pixels[..., 0] > 170) & (pixels[..., 1] < 80) & (pixels[..., 2] < 90)
    inside = is_red[y1 : y2 + 1, x1 : x2 + 1]
    assert inside.mean() > 0.93, "little but red is inside"
    assert inside.sum() > 0.93 * is_red.sum(), "little red is outside"


def test_scripts_say_what_the_table_says(opened, monkeypatch):
    """Under another table what scripts write and label is that table's too."""
    given = {key: f"⟦{text}⟧" if isinstance(text, str) else text for key, text in script_texts().items()}
    monkeypatch.setattr("batchsearch.console.rendering.script_texts", lambda: given)
    page = opened()
    assert page.inner_text("#theme-button") == "⟦Theme: ⟦system⟧⟧"
    page.click("#theme-button")
    assert page.inner_text("#theme-button") == "⟦Theme: ⟦light⟧⟧"
    page.click(".builder summary")
    assert page.inner_text(".builder button") == "⟦Another row⟧"
    assert page.get_attribute(".builder-row input", "aria-label") == "⟦Value; several with commas⟧"
    page.set_input_files("#image", IMAGE)
    page.wait_for_selector("#stage")
    page.check('[name="method"][value="custom"]')
    assert page.get_attribute(".drawn", "aria-label") == (
        f"⟦Region {numbers(page)}, {' by '.join(sides_of(page))} pixels⟧"
    )
    page.wait_for_selector(f'#announcer:text-is("⟦Region {numbers(page)}⟧")')


def sides_of(page):
    x1, x2, y1, y2 = (int(each) for each in numbers(page).split(","))
    return str(x2 - x1 + 1), str(y2 - y1 + 1)


def test_nothing_typed_is_lost_by_a_reload(opened):
    """What was entered is there again after a reload, and after an error."""
    page = opened()
    page.fill("#filter", 'str_attr = "red"')
    page.fill("#num", "33")
    page.reload()
    page.wait_for_selector('#num[value="33"]')
    assert page.input_value("#filter") == 'str_attr = "red"'
    page.fill("#start", "499")
    page.wait_for_selector("#problem-start, [id=problem-start]")
    assert "OverflowMaxResultNum" in page.inner_text('[data-control="start"]')
    page.evaluate("sessionStorage.clear()")


def test_a_filter_is_completed_and_built(opened):
    """The filter offers what may come next, with values that tables know; rows make one too."""
    page = opened()
    page.click("#filter")
    page.keyboard.type("str_attr")
    page.wait_for_selector(".completions li")
    page.fill("#filter", "")
    page.keyboard.type('str_attr = "')
    page.wait_for_selector('.completions li:has-text("\\"")')
    offered = page.locator(".completions li").all_inner_texts()
    assert '"Plants"' in offered
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.input_value("#filter") == f"str_attr = {offered[0]} "
    page.click("text=Build a filter row by row")
    row = page.locator(".builder-row")
    row.locator("select").nth(1).select_option(">=")
    row.locator("input").fill("500")
    row.locator("input").blur()
    assert page.input_value("#filter") == "int_attr >= 500"
    page.evaluate("sessionStorage.clear()")


def test_answers_are_kept_compared_and_forgotten(opened, console):
    """The history opens for free, names, pins, compares two answers, and deletes."""
    page = opened()
    page.set_input_files("#image", IMAGE)
    page.wait_for_selector("#stage")
    for number in ("4", "6"):
        page.fill("#num", number)
        page.click("#submit")
        page.wait_for_selector(f'[data-announce^="{number} results"], #same')
        if page.locator("#same").count():
            page.click("text=Ask again")
            page.wait_for_selector(f'[data-announce^="{number} results"]')
    calls = len(asked_of(console))
    page.goto(page.url.partition("/answer")[0] + "/history")
    first = page.locator(".entry").first
    first.locator('[name="title"]').fill("six of them")
    first.locator("text=Name it").click()
    page.wait_for_selector("h2 >> text=six of them")
    for place in range(2):
        page.locator(".entry").nth(place).locator('[name="answer"]').check()
    page.click("text=Compare two answers")
    assert page.locator("td:text-is('new')").count() == 2
    assert page.locator("td:text-is('same place')").count() == 4
    page.go_back()
    page.locator(".entry", has_text="six of them").locator("text=Delete").click()
    page.wait_for_selector("h1:text-is('History')")
    assert page.locator("h2 >> text=six of them").count() == 0
    assert len(asked_of(console)) == calls


def test_two_images_are_compared(opened, console):
    """Two images: what is free is known and can be looked at closely; the score takes one call."""
    page = opened("/compare")
    page.set_input_files("#image", IMAGE)
    page.wait_for_selector(".verdict")
    page.set_input_files("#image_2", SAMPLES / "catalogue" / "assorted-succulents.jpg")
    page.wait_for_selector("text=Different files")
    page.click("#look-closely")
    page.wait_for_selector("dialog.viewer[open] img[src]")
    page.keyboard.press("4")
    assert page.get_attribute(".v-stage", "class") == "v-stage difference"
    page.keyboard.press("Escape")
    assert page.locator("dialog.viewer[open]").count() == 0
    calls = len(asked_of(console))
    page.click("#submit")
    page.wait_for_selector('[data-announce^="Score"]')
    assert len(asked_of(console)) == calls + 1
    assert 0.5 < float(page.inner_text(".large-score")) <= 1


def make_dedup(folder):
    """A night over five products, each with a smaller copy under another number."""
    folder.mkdir()
    rows = ["product_id,pic_name,image"]
    for path in sorted((SAMPLES / "catalogue").glob("*.jpg"))[:5]:
        with Image.open(path) as image:
            for number, share in enumerate((1, 0.8)):
                copy = image.convert("RGB").resize((round(image.width * share), round(image.height * share)))
                copy.save(folder / f"{path.stem}-{number}.jpg", quality=90)
                rows.append(f"{path.stem}-{number},a.jpg,{path.stem}-{number}.jpg")
    (folder / "products.csv").write_text("\n".join(rows) + "\n")
    job = {
        "operation": "SearchImageByPic",
        "instance": {"endpoint": "emulator", "name": "night", "qps": "unlimited"},
        "manifest": {
            "path": str(folder / "products.csv"),
            "key": ["product_id", "pic_name"],
            "columns": {"image": "image"},
        },
        "dedup": {"threshold": 0.8, "sync": "add"},
        "output": {"dir": str(folder)},
    }
    # Playwright has this thread's loop.
    with ThreadPoolExecutor(1) as threads:
        night = threads.submit(lambda: asyncio.run(run_night(JobSettings.model_validate(job)))).result()
    assert night.exit_code == 0


STATES = {
    "first use": ("/search", None),
    "an image": ("/search", "show"),
    "an answer": ("/search", "search"),
    "problems": ("/search", "wrong"),
    "compare": ("/compare", None),
    "items": ("/items", None),
    "an item": ("/items/one?product_id=A08593&pic_name=assorted-succulents.jpg", None),
    "add": ("/change/add", None),
    "history": ("/history", None),
    "runs": ("/runs", None),
    "requests": ("/requests", None),
    "nothing": ("/answer/20261127T000000-000000000000", None),
    "keyboard": ("/search", "help"),
}


def in_state(page, what):
    if what in {"show", "search", "wrong"}:
        page.set_input_files("#image", IMAGE)
        page.wait_for_selector("#stage")
    if what == "search":
        page.click("#submit")
        page.wait_for_selector("#answer-title, #same")
        if page.locator("#same").count():
            page.click("#same a")
            page.wait_for_selector("#answer-title")
        page.click("text=Answer as it came")
    if what == "wrong":
        page.fill("#num", "600")
        page.click("#submit")
        page.wait_for_selector("#problem-num")
    if what == "help":
        page.click("#help-button")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_for_everybody(chromium, console, scheme):
    """Axe finds nothing in any state and scheme, hovered or not; nothing is wider than the window."""
    package = pytest.importorskip(
        "axe_playwright_python", reason="needs axe-playwright-python (extra `test`)"
    )
    axe = (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    window = chromium.new_context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    window.set_default_timeout(15_000)
    origin = f"http://127.0.0.1:{console.gate.port}"
    window.add_cookies([{"name": console.gate.cookie_name, "value": console.gate.cookie, "url": origin}])
    page = window.new_page()
    found = []
    for name, (path, what) in STATES.items():
        page.set_viewport_size({"width": 1440, "height": 1000})
        page.goto(origin + path)
        in_state(page, what)
        page.evaluate(axe)
        for hovered in (None, "nav.screens a:not([aria-current])", "main button.primary:visible"):
            if hovered is not None:
                target = page.locator(hovered).first
                if what == "help" or not target.count():
                    continue
                target.hover()
            told = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            found += [
                (name, hovered, each["id"], [node["html"][:120] for node in each["nodes"]][:3])
                for each in told["violations"]
            ]
        for width in (390, 768, 1024, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                found.append((name, width, "wider than the window", wide))
    window.close()
    assert not found, "\n".join(map(str, found))


def test_two_windows_judge_and_lose_nothing(opened, console):
    """Two windows on one dedup's folder: every judgement of both is in the file, and is told to both."""
    folder = Path(console.session.options.outputs) / "night"
    make_dedup(folder)
    visitor = Visitor(console)
    name = re.search(r'/runs/(\w+)/report">Review', visitor.get("/runs")[2].decode())[1]
    pages = [opened(f"/runs/{name}/report") for _ in range(2)]
    for place, page in enumerate(pages):
        page.locator(".judge .same").nth(place).click()
        page.wait_for_selector("text=written at once")
    file = folder / "judgements.csv"
    lines = file.read_text().splitlines()
    assert len(lines) == 3, lines
    told = json.loads(visitor.get(f"/runs/{name}/judgements")[2])
    assert len(told) == 2
    threads = [
        threading.Thread(
            target=visitor.post,
            args=(
                f"/runs/{name}/judge",
                {"product_a": "x", "product_b": f"y{number}", "judgement": "same", "note": ""},
            ),
        )
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(visitor.get(f"/runs/{name}/judgements")[2])) == 10
    # Each of the five products stood with its copy; x stands with eight others now.
    told = visitor.get(f"/runs/{name}/tonight")[2].decode()
    assert "<h2>5 clusters become 6</h2>" in told
    assert "9 products would stand with others than before" in told
