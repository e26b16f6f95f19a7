"""The report for everybody: axe over its states, and the contrast of controls in every state of theirs."""

from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra `test`)")

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

CONTRAST = """(element) => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((part, place) => part * a + below[place] * (1 - a));
  const ground = (from) => {
    if (!from) return [255, 255, 255];
    const colour = channels(getComputedStyle(from).backgroundColor);
    return (colour[3] ?? 1) === 1 ? colour.slice(0, 3) : over(colour, ground(from.parentElement));
  };
  const light = (colour) => {
    const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let shown = 1;
  for (let each = element; each; each = each.parentElement) shown *= Number(getComputedStyle(each).opacity);
  const below = ground(element);
  const ink = over([...channels(getComputedStyle(element).color).slice(0, 3), shown], below);
  const [high, low] = [light(ink), light(below)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}"""

CONTROLS = (
    '[role="tab"][aria-selected="true"]',
    '[role="tab"][aria-selected="false"]',
    "nav.sections a",
    ".figure .whole-tile",
    ".need .button",
    "#help-button",
    "#import-button",
    "#export-button",
    ".pager button:disabled",
    ".bar button",
    ".judge button.same[aria-pressed='true']",
    ".judge button.different[aria-pressed='true']",
    ".judge button.same[aria-pressed='false']",
    ".closely",
    ".fold > summary",
    "details.inner > summary",
    ".gallery-chart > summary",
)


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    package = pytest.importorskip(
        "axe_playwright_python", reason="needs the package axe-playwright-python (extra `test`)"
    )
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(tab, axe):
    # At the top: further down a control that is half under the head counts as too small.
    tab.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    tab.evaluate(axe)
    return tab.evaluate(
        """async (rules) => (await axe.run(document, { runOnly: rules })).violations
            .map(each => [each.id, each.nodes.slice(0, 3).map(node => node.target.join(" "))])""",
        list(RULES),
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, axe, deduped, searched, compared, scheme):  # noqa: PLR0917 - fixtures
    """Folded and unfolded, each gallery, nothing found, the keys, the close look: nobody is kept out."""
    tab = opened(deduped.folder, scheme)
    assert violations(tab, axe) == []
    tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert violations(tab, axe) == []
    tab.locator("#gallery-clusters .judge .same").first.click()
    tab.locator("#gallery-clusters .judge .different").last.click()
    assert violations(tab, axe) == []
    tab.locator("#gallery-clusters .closely").first.click()
    assert violations(tab, axe) == []
    tab.keyboard.press("4")
    assert violations(tab, axe) == []
    tab.keyboard.press("Escape")
    tab.get_by_role("tab", name="Pairs").click()
    assert violations(tab, axe) == []
    tab.click("#help-button")
    assert violations(tab, axe) == []
    tab = opened(searched.folder, scheme, state="view=rows&find=nothing-has-this")
    assert violations(tab, axe) == []
    tab = opened(compared.folder, scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert violations(tab, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_can_be_read_in_every_state(opened, deduped, scheme):
    """At rest, under the pointer and pressed, also where it can do nothing: 4.5 to 1 at least."""
    tab = opened(deduped.folder, scheme)
    tab.locator("#gallery-clusters .judge .same").first.click()
    tab.locator("#gallery-clusters .judge .different").last.click()
    poor = {}
    for control in CONTROLS:
        element = tab.locator(control).locator("visible=true").first
        element.scroll_into_view_if_needed()
        tab.mouse.move(0, 0)
        found = [element.evaluate(CONTRAST)]
        element.hover(force=True)
        found.append(element.evaluate(CONTRAST))
        tab.mouse.down()
        found.append(element.evaluate(CONTRAST))
        tab.mouse.move(0, 0)
        tab.mouse.up()
        if min(found) < 4.5:
            poor[control] = [round(each, 2) for each in found]
    assert poor == {}


@pytest.mark.parametrize("width", [390, 1024])
def test_targets_are_large_enough_and_nothing_sticks_out(opened, deduped, width):
    """What can be pressed is 24 pixels wide and high at least, on every screen, and the page fits it."""
    tab = opened(deduped.folder)
    tab.set_viewport_size({"width": width, "height": 844})
    tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    small = """() => [...document.querySelectorAll('button, select, input:not([type=file]), summary, nav a')]
        .filter(e => e.offsetParent !== null).map(e => [e, e.closest('label.check') || e])
        .map(([e, target]) => [e.outerHTML.slice(0, 90), target.getBoundingClientRect()])
        .filter(([, box]) => box.width < 24 || box.height < 24).map(([what]) => what)"""
    assert tab.evaluate(small) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.locator("#gallery-clusters .closely").first.click()
    assert tab.evaluate(small) == []
    assert tab.evaluate("document.querySelector('.v-stage').getBoundingClientRect().height") > 200
