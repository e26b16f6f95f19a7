"""What leads where: figures, needs, bars and tables choose what the gallery shows; the address says it."""

import shutil
from urllib.parse import parse_qs, urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra `test`)")


def cards(tab, kind):
    return tab.locator(f"#gallery-{kind} .card")


def state(tab):
    return {name: values[0] for name, values in parse_qs(urlsplit(tab.url).fragment).items()}


def test_the_page_begins_with_the_verdict(opened, deduped):
    """The sentence comes first, then figures and needs, then the gallery; details are folded below."""
    tab = opened(deduped.folder)
    order = tab.evaluate(
        "() => [...document.querySelectorAll('.verdict, .figures, #needs, #browse, #details')]"
        ".filter(e => e.checkVisibility()).map(e => e.id || e.className.split(' ')[0])"
    )
    assert order == ["verdict", "figures", "needs", "browse", "details"]
    assert tab.locator(".verdict").inner_text() == "14 products are duplicates; 2 clusters need you."
    assert not tab.locator("#duplicates").is_visible()
    tab.get_by_role("link", name="Details").click()
    assert tab.locator("#duplicates").is_visible()


def test_a_figure_shows_what_it_counts(opened, searched):
    """The figure of failed rows shows those alone; the address says so, a reload keeps it, back undoes it."""
    tab = opened(searched.folder)
    every = cards(tab, "rows").count()
    tab.get_by_role("link", name="2 failed: show them").click()
    assert cards(tab, "rows").count() == 2
    assert state(tab) == {"view": "rows", "code": "failed"}
    tab.reload()
    assert cards(tab, "rows").count() == 2
    tab.go_back()
    assert cards(tab, "rows").count() in (2, every)
    tab.locator("#gallery-rows").get_by_role("button", name="Clear filters").click()
    assert cards(tab, "rows").count() == every
    assert state(tab) == {"view": "rows"}


def test_a_need_shows_what_it_is_about(opened, searched, deduped):
    """A failure leads to its rows, a reason to look to its clusters, whatever was chosen before."""
    tab = opened(searched.folder)
    tab.locator(".need", has_text="Local.ImageMissing").get_by_role("link").first.click()
    assert cards(tab, "rows").locator(".pill").all_inner_texts() == ["Local.ImageMissing"]
    tab = opened(deduped.folder, state="view=products&score=0.5..0.6")
    assert tab.locator("#gallery-products").is_visible()
    tab.locator(".need", has_text="split").get_by_role("link").click()
    assert cards(tab, "clusters").count() == 2
    assert tab.evaluate("document.activeElement.id") == "browse-title"


def test_a_bar_chooses_its_scores(opened, compared):
    """A click shows as many as the bar counts, a drag several bars, the same bar once more everything."""
    tab = opened(compared.folder)
    scores = [float(text) for text in tab.locator("#gallery-pairs .pair-score").all_inner_texts()]
    chart = tab.locator("#gallery-pairs svg[data-chooses]")
    box, wide = chart.bounding_box(), 560

    def at(score):
        return box["x"] + (50 + score * (wide - 60)) * box["width"] / wide, box["y"] + box["height"] / 2

    highest = max(scores)
    edge = int(highest * 50) / 50
    tab.mouse.click(*at(min(edge, 0.98) + 0.01))
    inside = [score for score in scores if score >= min(edge, 0.98)]
    assert cards(tab, "pairs").count() == len(inside)
    assert state(tab)["score"].startswith(f"{min(edge, 0.98):g}..")
    assert float(chart.locator(".chosen").get_attribute("width")) > 5
    tab.mouse.click(*at(min(edge, 0.98) + 0.01))
    assert cards(tab, "pairs").count() == len(scores)
    tab.mouse.move(*at(0.011))
    tab.mouse.down()
    tab.mouse.move(*at(0.55))
    tab.mouse.up()
    assert cards(tab, "pairs").count() == sum(score < 0.56 for score in scores) or not any(
        score < 0.56 for score in scores
    )
    assert state(tab)["score"] == "0..0.5599"


def test_what_no_card_has_shows_nothing(opened, searched):
    """A state that nothing on the page fits says so; it does not show everything."""
    tab = opened(searched.folder, state="view=rows&code=%3DNoSuchCode")
    assert "Nothing fits these filters" in tab.locator("#gallery-rows").inner_text()
    assert tab.locator("#gallery-rows").get_by_label("Outcome").input_value() == "=NoSuchCode"


@pytest.mark.parametrize(
    "state", ["view=rows&page=99&sort=77&score=x..y", "view=nothing", "%", "view=rows&find=%FF"]
)
def test_an_address_that_somebody_made_up_does_no_harm(opened, searched, state):
    """Whatever stands in the address, the page works."""
    tab = opened(searched.folder, state=state)
    tab.locator("#gallery-rows").get_by_role("button", name="Clear filters").click()
    assert cards(tab, "rows").count() == 24


def test_pairs_are_found_by_the_reason_of_their_decision(opened, deduped):
    """Each pair says why it was decided so, and those of one reason can be seen alone."""
    tab = opened(deduped.folder, state="view=products")
    gallery = tab.locator("#gallery-products")
    gallery.get_by_label("Why").select_option("the score is too low")
    texts = tab.locator("#gallery-products .decision").all_inner_texts()
    assert 0 < len(texts) < len(deduped.pairs)
    assert all(text.startswith("not accepted: the score is too low; score 0.") for text in texts)
    assert state(tab) == {"view": "products", "reason": "the score is too low"}


def test_a_row_of_a_table_leads_to_what_it_counts(opened, deduped):
    """In the details, too, a reason to look leads to its clusters."""
    tab = opened(deduped.folder, state="details")
    tab.locator("#duplicates").get_by_role("link", name="split").click()
    assert cards(tab, "clusters").count() == 2


def test_the_bar_with_the_count_stays_in_sight(opened, deduped):
    """While clusters are judged, how many are judged and the way to export them are in the window."""
    tab = opened(deduped.folder)
    cards(tab, "clusters").nth(2).scroll_into_view_if_needed()
    box = tab.locator("#judgements").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 900


def test_paper_begins_with_the_facts(opened, deduped):
    """Printed, the verdict and all facts come before the gallery, unfolded; afterwards all is as it was."""
    tab = opened(deduped.folder)
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    places = ["verdict", "#needs", "#duplicates", "#search", "#browse"]
    tops = [tab.locator(each if each.startswith("#") else f".{each}").bounding_box()["y"] for each in places]
    assert tops == sorted(tops)
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    tab.emulate_media(media="screen")
    assert not tab.locator("#duplicates").is_visible()


def test_rows_of_upkeep_are_told_by_part(opened, deduped, searched, tmp_path):
    """Failed rows of the search and of each upkeep can be seen apart."""
    folder = tmp_path / "both"
    shutil.copytree(deduped.folder, folder)
    shutil.copytree(searched.folder, folder / "sync" / "add")
    tab = opened(folder, state="view=rows")
    assert cards(tab, "rows").count() == 4
    tab.locator("#gallery-rows").get_by_label("Part").select_option("Upkeep: add")
    assert cards(tab, "rows").count() == 2
