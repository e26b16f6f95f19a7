"""What the report's page promises whatever it is about: nothing from outside runs, everything is bounded."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.manifest.rows import ImageReference
from batchsearch.pages.html_templates import BASE_STYLE, VIEWER, asset
from batchsearch.tasks.report import html_page as page
from batchsearch.tasks.report.html_page import (
    Gallery,
    Matrix,
    PageFacts,
    Part,
    embedded,
    page_of,
    page_script,
)
from batchsearch.tasks.report.references import RowSource
from batchsearch.tasks.report.report_facts import FactColumn, FactTable, Figure
from batchsearch.tasks.report.summing_up.needs import Need, state
from batchsearch.tasks.report.thumbnails import (
    CLOSE_SIDE,
    MOST_BYTES,
    MOST_CLOSE_BYTES,
    NOT_FETCHED,
    OVER_BUDGET,
    Missing,
    Thumbnail,
    Thumbnails,
)

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u2029<!--"
ASSETS = files("batchsearch.tasks.report").joinpath("templates")
BASE = asset(BASE_STYLE)
STYLE = BASE + ASSETS.joinpath("style.css").read_text(encoding="utf-8")
SCRIPT = page_script()


def facts_with(text, *, cards=(), thumbnails=()):
    """A page on which every text that can come from outside is `text`."""
    columns = (FactColumn("a", "A", "code"), FactColumn("b", "B", "count"))
    table = FactTable("outcomes", "Outcomes", columns, ((text, 1),), show=(state(text, code=text),))
    return PageFacts(
        title=text,
        subtitle=text,
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        name="n",
        status=("complete", "good"),
        sentence=text,
        needs=(Need(text, text, text, text, 1, text, state(text, find=text)),),
        notes=(text,),
        figures=(Figure("rows", "text", text, text, show=state(text)),),
        galleries=(Gallery("clusters", "Clusters", list(cards), 12),),
        thumbnails=list(thumbnails),
        matrices=(Matrix(text, (text, text), ((1.0, None), (None, 1.0))),),
        parts=(Part("run", "Run", (text,), (Figure("x", "text", text),), (), (table,)),),
        judged=True,
        glossary=((text, text),),
    )


def test_control_characters_are_written_out():
    """What a terminal or a browser would obey in a job's own texts is shown, not sent."""
    made = page_of(facts_with("a\x1b[2Jb\x00c\u202ed"))
    assert "a\\x1b[2Jb\\x00c\\u202ed" in made
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", made)


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the texts of its scripts."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.scripts = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


def test_json_in_the_page_ends_no_script():
    """Texts keep their meaning as JSON, and hold nothing that an HTML or script parser could take up."""
    text = embedded({"name": EVIL})
    assert json.loads(text) == {"name": EVIL}
    assert not re.search("[<>&\u2028\u2029]", text)


def test_texts_from_outside_make_no_element():
    """A page of hostile texts has exactly the elements of a page of harmless ones."""
    harmless, hostile = (
        Elements(page_of(facts_with(text, cards=[{"k": text, "m": [[text, -1]]}])))
        for text in ("harmless", EVIL)
    )
    assert [tag for tag, _ in hostile.found] == [tag for tag, _ in harmless.found]
    assert not [name for _, attributes in hostile.found for name in attributes if name.startswith("on")]


def test_only_the_pages_own_script_and_style_may_run():
    """The policy allows nothing but data: images and the two inline blocks, by hashes that fit them."""
    elements = Elements(page_of(facts_with(EVIL)))
    policy = next(each["content"] for tag, each in elements.found if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    own = elements.scripts[-1]
    assert own == SCRIPT
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_nothing_on_the_page_leads_elsewhere():
    """No element names anything outside the page: links lead to its own sections, the icon is empty."""
    found = Elements(page_of(facts_with("https://example.invalid/"))).found
    led = [
        attributes[name]
        for _, attributes in found
        for name in ("src", "href", "action")
        if name in attributes
    ]
    assert all(address.startswith("#") or address == "data:," for address in led)
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_the_script_parses_no_markup():
    """The page's script builds elements one by one: nothing in it turns text into markup or code."""
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "</script",
    ):
        assert word not in SCRIPT
    assert "</style" not in STYLE


def test_the_viewer_is_in_the_script_and_exports_nothing_there():
    """What is a module for other pages is part of this page's one script."""
    assert asset(VIEWER).count("export ") == 1
    assert "const openViewer = (" in SCRIPT
    assert "export const" not in SCRIPT


def test_a_gallery_has_a_bound_in_bytes(monkeypatch):
    """Cards over the bound are left out, and the page says how many of how many it has."""
    monkeypatch.setattr(page, "MOST_GALLERY_BYTES", 500)
    html = page_of(facts_with("x", cards=[{"k": "y" * 90} for _ in range(12)]))
    assert "5 of 12 are on this page" in html
    assert html.count("y" * 90) == 5


def test_thumbnails_come_in_blocks():
    """A hundred thumbnails make one block, so that a page of many starts without reading them all."""
    html = page_of(facts_with("x", thumbnails=[Thumbnail(b"\xff", 1, 1, ()), *[Missing("gone")] * 100]))
    blocks = re.findall(r'id="thumbnails-\d+">(.*?)</script>', html)
    assert [len(json.loads(block)) for block in blocks] == [100, 1]


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [":root {", ':root[data-theme="dark"] {'])
def test_colours_can_be_read(theme):
    """Text on every ground it stands on has the contrast that WCAG AA asks for, light and dark."""
    block = BASE[BASE.index(theme) :].split("}", 1)[0]
    colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    grounds = ("ground", "surface", "sunken")
    pairs = [(text, ground) for text in ("text", "muted") for ground in grounds]
    pairs += [(tone, f"{tone}-soft") for tone in ("good", "bad", "warn")]
    pairs += [(tone, "surface") for tone in ("good", "bad", "warn", "accent", "accent-over")]
    pairs += [("on-accent", fill) for fill in ("accent", "accent-over")]
    pairs += [("on-tone", fill) for fill in ("good", "good-over", "bad", "bad-over")]
    assert {
        pair: round(contrast(colour[pair[0]], colour[pair[1]]), 2)
        for pair in pairs
        if contrast(colour[pair[0]], colour[pair[1]]) < 4.5
    } == {}
    assert contrast(colour["line-strong"], colour["surface"]) >= 3
    for series in ("chart-main", "chart-second", "chart-bad"):
        assert contrast(colour[series], colour["surface"]) >= 3


@pytest.fixture
def folder(tmp_path):
    """A root with a large image that stands on its side, and a secret beside it."""
    root = tmp_path / "root"
    root.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((1200, 800), 90).convert("RGB").save(root / "big.jpg", exif=exif)
    Image.new("RGB", (50, 50), "red").save(tmp_path / "secret.png")
    return root


def made(root, wishes, **bounds):
    thumbnails = Thumbnails(**{"most": 100, "side": 160, "megabytes": 5} | bounds)
    source = RowSource(root, ImageSettings())
    places = [
        thumbnails.want(source, (name, "image"), reference=reference, regions=regions)
        for name, reference, regions in wishes
    ]
    thumbnails.make()
    return places, thumbnails


def test_a_thumbnail_is_small_upright_and_new(folder):
    """Sides and bytes are bounded, the image is turned, its region with it, and no metadata goes along."""
    _, thumbnails = made(folder, [("a", ImageReference(path="big.jpg"), ("0,600,0,400", "no region"))])
    (one,) = thumbnails.made
    assert (one.width, one.height) == (100, 150)
    assert len(one.data) <= MOST_BYTES
    assert b"Exif" not in one.data
    assert one.boxes == ((50, 0, 50, 75),)


def test_some_are_kept_larger_for_a_close_look(folder):
    """As many as may be are larger, the first that ask, also one that was wanted small before."""
    for name in ("b", "c", "d"):
        Image.effect_noise((900, 600), 100 + ord(name)).convert("RGB").save(folder / f"{name}.png")
    thumbnails = Thumbnails(most=100, side=160, megabytes=5, close_ups=2)
    source = RowSource(folder, ImageSettings())

    def want(name, **how):
        return thumbnails.want(source, (name, "image"), reference=ImageReference(path=f"{name}.png"), **how)

    places = [want("b"), want("c", close=True), want("b", close=True), want("d", close=True)]
    thumbnails.make()
    assert places == [0, 1, 0, 2]
    assert [each.width for each in thumbnails.made] == [CLOSE_SIDE, CLOSE_SIDE, 160]
    assert all(len(each.data) <= MOST_CLOSE_BYTES for each in thumbnails.made)


def test_images_are_read_under_the_root_only_and_never_fetched_unasked(folder):
    """A path out of the root, an address and a text that is no image become words, not images."""
    (folder / "page.html").write_text("<html><script>x</script></html>")
    wishes = [
        ("out", ImageReference(path="../secret.png"), ()),
        ("far", ImageReference(url="http://127.0.0.1:9/x.jpg"), ()),
        ("page", ImageReference(path="page.html"), ()),
    ]
    _, thumbnails = made(folder, wishes)
    assert thumbnails.made == [
        Missing("Local.ImageOutsideRoot"),
        Missing(NOT_FETCHED),
        Missing("Local.NotAnImage"),
    ]


def test_thumbnails_are_bounded_in_number_and_bytes(folder):
    """Over the number none is made; over the bytes it is said; each image is made once."""
    for name in ("b", "c", "d"):
        Image.effect_noise((500, 500), 100 + ord(name)).convert("RGB").save(folder / f"{name}.png")
    reference = ImageReference(path="b.png")
    places, thumbnails = made(
        folder,
        [
            ("b", reference, ()),
            ("b", reference, ()),
            ("c", ImageReference(path="c.png"), ()),
            ("d", ImageReference(path="d.png"), ()),
        ],
        most=2,
    )
    assert places == [0, 0, 1, -1]
    assert thumbnails.left_out == 1
    _, poor = made(folder, [("b", reference, ())], megabytes=0)
    assert poor.made == [Missing(OVER_BUDGET)]
