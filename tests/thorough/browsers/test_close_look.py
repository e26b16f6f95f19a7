"""Two images looked at closely: in the report, and as the module that other pages load."""

import base64
import csv
from pathlib import Path

import pytest

from batchsearch.pages.html_templates import VIEWER, asset

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra `test`)")

WHERE = ".viewer .v-where"


def where(tab):
    return tab.locator(WHERE).inner_text()


def look(tab, number=0):
    """Open the first pair of a card by keyboard."""
    tab.locator("#gallery-clusters .card").nth(number).focus()
    tab.keyboard.press("Enter")
    assert tab.locator("dialog.viewer").is_visible()


def transforms(tab):
    return tab.evaluate("() => [...document.querySelectorAll('.v-sheet')].map(e => e.style.transform)")


def seen(tab):
    """Which of both images can be seen."""
    return tab.evaluate(
        """() => [...document.querySelectorAll('.v-pane')]
            .filter(e => getComputedStyle(e).visibility === 'visible')
            .map(e => e.classList.contains('left') ? 'left' : 'right')"""
    )


def test_a_cluster_is_judged_pair_by_pair(opened, deduped):
    """S and d judge and go on, z goes back, u takes back; closing leads back to the card."""
    tab = opened(deduped.folder)
    look(tab)
    total = len(deduped.members) - deduped.clusters
    assert where(tab) == f"Pair 1 of {total}; 1 of {total} looked at"
    tab.keyboard.press("s")
    assert where(tab) == f"Pair 2 of {total}; 2 of {total} looked at"
    tab.keyboard.press("d")
    tab.keyboard.press("z")
    assert where(tab) == f"Pair 2 of {total}; 3 of {total} looked at"
    tab.keyboard.press("k")
    assert where(tab) == f"Pair 1 of {total}; 3 of {total} looked at; judged same"
    assert tab.get_by_role("button", name="Same").last.get_attribute("aria-pressed") == "true"
    tab.keyboard.press("u")
    assert where(tab).endswith("looked at")
    tab.keyboard.press("d")
    tab.keyboard.press("Escape")
    assert tab.locator("dialog.viewer").count() == 0
    assert tab.evaluate("document.activeElement.classList.contains('card')")
    with tab.expect_download() as download:
        tab.click("#export-button")
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["judgement"] == "different"


def test_the_button_opens_the_image_that_was_focused(opened, deduped):
    """On an image of a cluster, Enter begins with its pair; a button does the same for the mouse."""
    tab = opened(deduped.folder)
    first = tab.locator("#gallery-clusters .card").first
    first.get_by_role("button", name="Look closely").click()
    assert where(tab).startswith("Pair 1 of")
    tab.keyboard.press("Escape")
    first.locator(".member").nth(3).focus()
    tab.keyboard.press("Enter")
    assert where(tab).startswith("Pair 3 of")


def test_images_are_shown_in_four_ways_and_the_zoom_is_kept(opened, deduped):
    """Both, one of them, both in turn, or their difference; enlarging holds over ways and pairs."""
    tab = opened(deduped.folder)
    look(tab)
    assert seen(tab) == ["left", "right"]
    small = transforms(tab)
    tab.keyboard.press("+")
    large = transforms(tab)
    assert large != small
    tab.keyboard.press("2")
    assert seen(tab) == ["left"]
    tab.keyboard.press("w")
    assert seen(tab) == ["right"]
    tab.keyboard.press("4")
    blended = "getComputedStyle(document.querySelector('.v-pane.right')).mixBlendMode"
    assert tab.evaluate(blended) == "difference"
    tab.keyboard.press("1")
    assert transforms(tab) == large
    tab.keyboard.press("j")
    tab.keyboard.press("k")
    assert transforms(tab) == large
    tab.keyboard.press("0")
    assert transforms(tab) == small
    tab.keyboard.press("3")
    for side in ("left", "right"):
        sync_api.expect(tab.locator(".v-stage")).to_have_attribute("data-front", side)


def test_regions_are_switched_and_aligned(opened, deduped):
    """Regions go on and off; aligned, the subjects of both images lie in the middle, on each other."""
    tab = opened(deduped.folder)
    look(tab)
    boxes = """() => [...document.querySelectorAll('.v-pane')].map(pane => {
        const middle = (selector) => {
            const box = pane.querySelector(selector).getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        };
        const [one, frame] = [middle('rect.region:not(.more)'), middle('.v-frame')];
        return [one[0] - frame[0], one[1] - frame[1]];
    })"""
    tab.keyboard.press("a")
    assert all(abs(away) < 2 for pair in tab.evaluate(boxes) for away in pair)
    tab.keyboard.press("r")
    assert tab.locator(".viewer rect").count() == 0
    tab.keyboard.press("r")
    assert tab.locator(".viewer rect.region-edge").count() == 2


def test_letter_keys_can_be_switched_off(opened, deduped):
    """Without them letters and signs do nothing, here and on the page, until they are switched on again."""
    tab = opened(deduped.folder)
    look(tab)
    tab.get_by_label("Letter keys").uncheck()
    before = where(tab)
    for key in "sdj2+":
        tab.keyboard.press(key)
    assert where(tab) == before
    assert seen(tab) == ["left", "right"]
    tab.keyboard.press("Escape")
    tab.keyboard.press("d")
    tab.keyboard.press("/")
    assert "Nothing is judged" in tab.locator("#judged-count").inner_text()
    assert tab.evaluate("document.activeElement.type") != "search"
    tab.reload()
    tab.click("#help-button")
    assert not tab.locator("#letters").is_checked()
    tab.locator("#letters").check()
    tab.keyboard.press("Escape")
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.type") == "search"


def test_what_is_not_judged_is_looked_at_only(opened, compared, searched):
    """Compared pairs and hits open likewise, without a judgement."""
    tab = opened(compared.folder)
    tab.locator("#gallery-pairs").get_by_role("button", name="Look closely").first.click()
    assert where(tab) == "Pair 1 of 10; 1 of 10 looked at"
    assert tab.locator(".v-judge").get_by_role("button", name="Same").count() == 0
    assert tab.locator(".viewer img").count() == 2
    tab = opened(searched.folder, state="view=rows&code=ok")
    tab.locator("#gallery-rows .members .member").first.focus()
    tab.keyboard.press("Enter")
    assert "hit 1" in tab.locator(".v-facts").inner_text()


def test_the_viewer_is_a_module_that_other_pages_load(browser):
    """It exports `openViewer` and nothing else, and works with what its head says, an image missing."""
    source = base64.b64encode(asset(VIEWER).encode()).decode()
    tab = browser.new_page()
    pixel = (
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'>"
        "<rect width='40' height='30'/></svg>"
    )
    try:
        said = tab.evaluate(
            """async ([source, pixel]) => {
                const module = await import(`data:text/javascript;base64,${source}`);
                const said = window.said = [];
                const side = (label, src) => ({ label, src, why: "gone", width: 40, height: 30, boxes: [] });
                const pair = (a, src) => ({
                    a, b: "z", left: side(a, pixel), right: side("z", src), facts: [`about ${a}`],
                });
                module.openViewer({
                    pairs: [pair("x", pixel), pair("y", null)],
                    start: 1,
                    judgementOf: () => null,
                    judge: (pair, word) => said.push([pair.a, word]),
                    undo: () => said.push("undo"),
                    closed: (pair) => said.push(`closed ${pair.a}`),
                });
                return Object.keys(module);
            }""",
            [source, pixel],
        )
        assert said == ["openViewer"]
        assert "gone" in tab.locator(".v-pane.right").inner_text()
        assert tab.locator(".v-facts").inner_text() == "about y"
        for key in ("k", "s", "z", "Escape"):
            tab.keyboard.press(key)
        sync_api.expect(tab.locator("dialog")).to_have_count(0)
        assert tab.evaluate("window.said") == [["x", "same"], "undo", "closed x"]
    finally:
        tab.close()
