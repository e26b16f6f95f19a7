"""The report as a person has it: opened in headless Chromium, used with mouse and keyboard."""

import csv
import json
from datetime import datetime
from pathlib import Path

import pytest

from batchsearch.tasks.dedup.clusters.judgements import read_judgements

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra `test`)")


def names(tab, of="#gallery-clusters .card > .head .name"):
    return tab.locator(of).all_inner_texts()


def verdicts(tab):
    return tab.locator("#judged-count").inner_text()


def exported(tab):
    with tab.expect_download() as download:
        tab.click("#export-button")
    path = Path(download.value.path())
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(read_judgements([path]).verdicts) == {(row["product_a"], row["product_b"]) for row in rows}
    return download.value.suggested_filename, rows


def test_clusters_are_drawn_with_images_and_regions(opened, deduped):
    """Each member is there with its image, each image with the region found on it."""
    tab = opened(deduped.folder)
    assert tab.locator("#gallery-clusters .card").count() == deduped.clusters
    assert tab.locator("#gallery-clusters .member image").count() == len(deduped.members)
    assert tab.locator("#gallery-clusters .member rect.region:not(.more)").count() == len(deduped.members)
    shown = "() => getComputedStyle(document.querySelector('rect.region')).display"
    assert tab.evaluate(shown) != "none"
    tab.keyboard.press("r")
    assert tab.evaluate(shown) == "none"
    widths = "() => [...document.querySelectorAll('.member svg')].map(e => e.getBoundingClientRect().width)"
    assert min(tab.evaluate(widths)) > 100


def test_clusters_are_found_filtered_and_sorted(opened, deduped):
    """Text, size, confidence and the review flag narrow the gallery; the order is the one chosen."""
    tab = opened(deduped.folder)
    gallery = tab.locator("#gallery-clusters")
    gallery.get_by_label("Find").fill("p016")
    sync_api.expect(tab.locator("#gallery-clusters .card")).to_have_count(1)
    assert names(tab) == ["P015"]
    gallery.get_by_role("button", name="Clear filters").click()
    gallery.get_by_label("Products from").fill("4")
    assert len(names(tab)) == 2
    gallery.get_by_role("button", name="Clear filters").click()
    gallery.get_by_label("Reason to look").select_option("any")
    assert len(names(tab)) == 2
    gallery.get_by_role("button", name="Clear filters").click()
    gallery.get_by_label("Confidence from").fill("0.9")
    assert len(names(tab)) == 2
    gallery.get_by_label("Find").fill("no such thing")
    tab.wait_for_selector("#gallery-clusters .empty")
    assert "Nothing fits these filters" in gallery.inner_text()
    gallery.get_by_role("button", name="Clear filters").click()
    gallery.get_by_label("Sort").select_option(label="Largest first")
    sizes = [
        int(text.split()[0]) for text in tab.locator("#gallery-clusters .head .facts-line").all_inner_texts()
    ]
    assert sizes == sorted(sizes, reverse=True)


def test_judgements_are_marked_kept_and_exported(opened, deduped):
    """Marks survive a reload, and the file holds each pair once in code point order, and dedup reads it."""
    tab = opened(deduped.folder)
    hostile = tab.locator("#gallery-clusters .card", has_text="window.pwned")
    hostile.get_by_role("button", name="Different").click()
    assert "1 pair judged: 0 same, 1 different" in verdicts(tab)
    first = tab.locator("#gallery-clusters .card").first
    first.get_by_role("button", name="Same").nth(1).click()
    assert first.get_by_role("button", name="Same").nth(1).get_attribute("aria-pressed") == "true"
    tab.reload()
    assert "2 pairs judged: 1 same, 1 different" in verdicts(tab)
    name, rows = exported(tab)
    assert name == "judgements.csv"
    assert list(rows[0]) == ["product_a", "product_b", "judgement", "judged_at", "note"]
    assert all(row["product_a"] < row["product_b"] for row in rows)
    ids = {row["product_id"] for row in deduped.members}
    assert {row["judgement"]: {row["product_a"], row["product_b"]} <= ids for row in rows} == {
        "same": True,
        "different": True,
    }
    assert all(datetime.fromisoformat(row["judged_at"]).tzinfo is not None for row in rows)
    first.get_by_role("button", name="Same").nth(1).click()
    assert "1 pair judged" in verdicts(tab)


def test_an_export_is_the_union_with_what_the_night_followed(opened, deduped):
    """Another browser drops nothing: the page begins with the night's judgements, and the newest holds."""
    first, second = "P001", "P002"
    lines = [
        "product_a,product_b,judgement,judged_at,note",
        "elsewhere-1,elsewhere-2,different,2026-11-01T08:00:00Z,kept",
        f"{first},{second},same,2026-11-01T09:00:00Z,",
        "elsewhere-3,elsewhere-4,same,,",
    ]
    file = deduped.folder / "judgements-followed.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        tab = opened(deduped.folder)
        assert "3 pairs judged: 2 same, 1 different; 0 of them since the night" in verdicts(tab)
        hostile = tab.locator("#gallery-clusters .card", has_text="window.pwned")
        hostile.get_by_role("button", name="Different").click()
        assert "1 of them since the night" in verdicts(tab)
        rows = {(row["product_a"], row["product_b"]): row for row in exported(tab)[1]}
        assert len(rows) == 4
        assert rows["elsewhere-1", "elsewhere-2"]["judgement"] == "different"
        assert rows["elsewhere-1", "elsewhere-2"]["judged_at"] == "2026-11-01T08:00:00Z"
    finally:
        file.unlink()


def test_judging_a_whole_cluster_keeps_what_was_judged_and_can_be_undone(opened, deduped):
    """`s` on a cluster touches only pairs that nobody has judged; `z` takes the whole step back."""
    tab = opened(deduped.folder)
    first = tab.locator("#gallery-clusters .card").first
    first.get_by_role("button", name="Different").nth(0).click()
    assert "1 pair judged: 0 same, 1 different" in verdicts(tab)
    first.focus()
    tab.keyboard.press("s")
    count = first.get_by_role("button", name="Same").count()
    assert f"{count} pairs judged: {count - 1} same, 1 different" in verdicts(tab)
    tab.keyboard.press("z")
    assert "1 pair judged: 0 same, 1 different" in verdicts(tab)
    tab.keyboard.press("z")
    assert "Nothing is judged yet" in verdicts(tab)


def test_judgements_of_pairs_have_notes_and_are_loaded_again(opened, deduped, tmp_path):
    """A note goes along with its pair; a file of judgements from elsewhere is taken up."""
    tab = opened(deduped.folder)
    tab.get_by_role("tab", name="Pairs").click()
    card = tab.locator("#gallery-products .card").first
    card.get_by_role("button", name="Same").click()
    card.get_by_label("Note").fill('the "blue" one, again')
    card.get_by_label("Note").press("Enter")
    (row,) = exported(tab)[1]
    assert row["note"] == 'the "blue" one, again'
    file = tmp_path / "earlier.csv"
    file.write_text(
        'product_a,product_b,judgement,judged_at,note\r\nP013,P014,different,,"two\nlines"\r\nx,y,maybe,,\r\n'
    )
    tab.set_input_files("#import-file", file)
    sync_api.expect(tab.locator("#judged-count")).to_contain_text("2 pairs")
    rows = {row["product_a"]: row for row in exported(tab)[1]}
    assert rows["P013"]["note"] == "two\nlines"


def test_everything_can_be_done_with_the_keyboard(opened, deduped):
    """Cards and images are walked, judged and taken back with keys; / finds, ? explains, Esc goes back."""
    tab = opened(deduped.folder)
    tab.keyboard.press("j")
    assert tab.evaluate("document.activeElement.className").startswith("card")
    tab.keyboard.press("d")
    assert "5 pairs judged: 0 same, 5 different" in verdicts(tab)
    tab.keyboard.press("u")
    assert "Nothing is judged" in verdicts(tab)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("s")
    assert "Nothing is judged" in verdicts(tab)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("s")
    assert "1 pair judged: 1 same" in verdicts(tab)
    assert tab.evaluate("document.activeElement.dataset.place") == "1"
    tab.keyboard.press("j")
    assert (
        tab.evaluate("[...document.activeElement.parentNode.children].indexOf(document.activeElement)") == 1
    )
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.type") == "search"
    tab.keyboard.type("sdnp")
    assert tab.evaluate("document.activeElement.value") == "sdnp"
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.tagName") == "BODY"
    tab.keyboard.press("?")
    assert tab.locator("#help").is_visible()
    tab.keyboard.press("Escape")
    assert not tab.locator("#help").is_visible()
    tab.locator("#tab-clusters").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#gallery-products").is_visible()
    assert tab.evaluate("document.activeElement.id") == "tab-products"


def test_the_way_of_the_tab_key(opened, deduped):
    """The first stop leads past the head; every control that takes the focus says what it is."""
    tab = opened(deduped.folder)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    nameless = """() => [...document.querySelectorAll('button, input, select, a, [tabindex="0"]')]
        .filter(e => e.offsetParent !== null)
        .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length)))
        .map(e => e.outerHTML.slice(0, 100))"""
    assert tab.evaluate(nameless) == []


def test_pages_are_turned(opened, deduped):
    """A page holds what was asked for; the next one begins where it ended, and the focus goes along."""
    tab = opened(deduped.folder)
    tab.get_by_role("tab", name="Pairs").click()
    gallery = tab.locator("#gallery-products")
    gallery.get_by_label("Cards on a page").first.select_option("12")
    first = tab.locator("#gallery-products .pair-score").all_inner_texts()
    assert len(first) == 12
    tab.keyboard.press("n")
    assert "Page 2 of 2" in gallery.inner_text()
    assert f"13\u2013{len(deduped.pairs)} of {len(deduped.pairs)} pairs" in gallery.inner_text()
    assert tab.evaluate("document.activeElement.classList.contains('card')")
    assert gallery.get_by_role("button", name="Next").first.is_disabled()


def test_a_search_and_a_comparison(opened, searched, compared):
    """Rows show codes and hits, pairs their scores; filters by outcome and score narrow them."""
    tab = opened(searched.folder)
    gallery = tab.locator("#gallery-rows")
    assert "28 hits" not in gallery.inner_text()
    gallery.get_by_label("Outcome").select_option("failed")
    assert tab.locator("#gallery-rows .card").count() == 2
    gallery.get_by_label("Outcome").select_option("ok")
    assert tab.locator("#gallery-rows .members .member image").count() > 24
    tab = opened(compared.folder)
    tab.locator("#gallery-pairs").get_by_label("Sort").select_option(label="Lowest score first")
    scores = [float(text) for text in tab.locator("#gallery-pairs .pair-score").all_inner_texts()]
    assert scores == sorted(scores)
    assert tab.locator("#export-button").count() == 0
    assert tab.locator(".matrix td").count() == 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(opened, deduped, scheme):
    """The page wears what the system wears, or what the button says."""
    tab = opened(deduped.folder, scheme)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    worn = {"light": "rgb(245, 246, 248)", "dark": "rgb(15, 18, 22)"}
    assert tab.evaluate(ground) == worn[scheme]
    tab.keyboard.press("t")
    assert tab.evaluate(ground) == worn["light"]
    tab.click("#theme-button")
    assert tab.evaluate(ground) == worn["dark"]
    tab.emulate_media(media="print")
    assert tab.evaluate(ground) == "rgb(255, 255, 255)"
    assert not tab.locator("nav.sections").is_visible()
    assert tab.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_screens(opened, deduped, width):
    """Nothing sticks out of a narrow page: wide tables scroll by themselves."""
    tab = opened(deduped.folder)
    tab.set_viewport_size({"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.get_by_role("tab", name="Pairs").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_has_its_data_and_nothing_else(opened, deduped):
    """What the page shows is in the page: every block of it is JSON that reads."""
    tab = opened(deduped.folder)
    blocks = tab.locator('script[type="application/json"]').all_text_contents()
    assert [type(json.loads(block)) for block in blocks].count(dict) == 1
    assert len(blocks) == 6
