"""Images with nothing to see: what counts as blank, what it costs to find out, and what becomes of them."""

import io

import numpy as np
import pytest
from image_files import saved
from PIL import Image, ImageDraw

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images import prepare as preparing
from batchsearch.images.decoding.blank import contrasting, flat_colour, may_be_blank
from batchsearch.images.inspect import inspect
from batchsearch.images.prepare import Prepared, Rejected, prepare
from batchsearch.images.rules import rules_for


def rules(**settings):
    return rules_for("generic", ImageSettings(**settings))


def logo(colour=(255, 255, 255), under=(255, 255, 255, 0)):
    """A disc on transparency."""
    image = Image.new("RGBA", (300, 200), under)
    ImageDraw.Draw(image).ellipse((80, 40, 220, 160), fill=(*colour, 255))
    return image


@pytest.mark.parametrize("colour", ["white", "black", "#fdfefd"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_white_or_black_image_is_blank_whether_it_complies_or_not(kind, colour):
    """`reject`: an empty page is refused by its code, also where nothing would have been done to the file."""
    made = prepare(saved(Image.new("RGB", (640, 480), colour), kind), rules(blank="reject"))
    assert isinstance(made, Rejected)
    assert made.code == "Local.ImageBlank"
    assert "nothing to see" in made.message


@pytest.mark.parametrize("colour", ["white", "black", "teal"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_what_is_flat_in_the_file_is_sent_by_default(kind, colour):
    """Nothing of a black or white swatch is lost on the way, so it is the image that was meant."""
    assert isinstance(prepare(saved(Image.new("RGB", (640, 480), colour), kind), rules()), Prepared)


def test_a_flat_frame_of_an_animation_is_not_the_image_that_was_meant():
    """A black first frame, from which the rest fades in, is refused; another frame is sent."""
    rng = np.random.default_rng(4)
    shown = Image.fromarray(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)).quantize(64)
    data = saved(
        Image.new("RGB", (160, 120), "black"), "GIF", save_all=True, append_images=[shown.convert("RGB")]
    )
    refused = prepare(data, rules())
    assert refused.code == "Local.ImageBlank"
    assert "the file holds more" in refused.message
    assert isinstance(prepare(data, rules(frame=1)), Prepared)


@pytest.mark.parametrize("kind", ["JPEG", "BMP"])
def test_a_colour_chip_is_an_image(kind):
    """One flat colour that is neither white nor black is what its owner sells."""
    data = saved(Image.new("RGB", (640, 480), "teal"), kind)
    assert isinstance(prepare(data, rules(blank="reject")), Prepared)


def test_a_compliant_white_image_is_sent_untouched_where_that_is_set():
    """`images.blank: send` asks for no look at all."""
    data = saved(Image.new("RGB", (640, 480), "white"), "JPEG")
    assert prepare(data, rules(blank="send")).data is data


def test_a_logo_that_its_background_swallows_is_refused_by_name():
    """The message has the colour and the setting that helps."""
    made = prepare(saved(logo()), rules())
    assert made.code == "Local.ImageBlank"
    assert "#ffffff" in made.message
    assert "images.background" in made.message


@pytest.mark.parametrize(
    ("colour", "background", "word"),
    [
        ((255, 255, 255), "#ffffff", "alpha->#000000"),
        ((0, 0, 0), "#000000", "alpha->#ffffff"),
        ((20, 60, 220), "#143cdc", "alpha->#ffffff"),
    ],
)
def test_a_logo_is_set_on_what_shows_it_where_that_is_asked_for(colour, background, word):
    """`contrast` takes black or white, and the transforms say which."""
    made = prepare(saved(logo(colour)), rules(blank="contrast", background=background))
    assert word in made.transforms
    pixels = np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB")).astype(int)
    assert np.abs(pixels[100, 150] - colour).max() < 12
    assert np.abs(pixels[5, 5] - pixels[100, 150]).max() > 60


def test_a_logo_that_can_be_seen_keeps_its_background():
    """`contrast` changes nothing where the background is not at fault."""
    made = prepare(saved(logo((200, 0, 0))), rules(blank="contrast"))
    assert "alpha->#ffffff" in made.transforms


@pytest.mark.parametrize("background", ["#ffffff", "#336699"])
@pytest.mark.parametrize("blank", ["lost", "reject", "contrast"])
def test_nothing_makes_a_wholly_transparent_image_visible(blank, background):
    """Colours under full transparency are not what anybody meant to show."""
    image = logo().copy()
    image.putalpha(0)
    made = prepare(saved(image), rules(blank=blank, background=background))
    assert made.code == "Local.ImageBlank"


def test_what_was_lost_on_the_way_is_blank_in_any_colour():
    """Samples too dark for eight bits are not called an empty page: the file holds more."""
    levels = np.tile(np.arange(200, dtype=np.uint16), (150, 1))
    made = prepare(saved(Image.fromarray(levels)), rules())
    assert made.code == "Local.ImageBlank"
    assert "#000000, though the file holds more" in made.message


def test_a_fine_pattern_is_no_blank_image():
    """A compliant JPEG whose blocks are all equally bright on average is looked at in full."""
    wave = 245 + 10 * np.cos((np.arange(8) + 0.5) * np.pi / 8)
    lines = np.tile(wave.round().astype(np.uint8)[:, None], (100, 800))
    data = saved(Image.fromarray(lines), "JPEG", quality=60, optimize=True)
    assert may_be_blank(inspect(data), len(data))
    assert prepare(data, rules(blank="reject")).data is data


def test_a_photograph_is_not_decoded_to_see_that(monkeypatch):
    """A file of ordinary length passes without a decoder."""
    monkeypatch.delattr(preparing, "decode")
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize((640, 480))
    data = saved(image, "JPEG", quality=85)
    assert prepare(data, rules(blank="reject")).data is data


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "LA", "RGBA", "P", "1", "I;16", "F"])
def test_flatness_is_found_in_every_mode(mode):
    """One colour is found, and a single other pixel among very many too."""
    image = Image.new(mode, (500, 300))
    assert flat_colour(image) is not None
    image.putpixel((377, 201), 1.0 if mode == "F" else 1 if mode == "P" else 255 if len(mode) == 1 else
                     60000 if mode == "I;16" else (0,) * (len(mode) - 1) + (255,))  # fmt: skip
    assert flat_colour(image) is None


def test_the_contrast_to_a_colour_is_the_farther_end():
    """Dark shows on white, light on black."""
    assert contrasting((10, 20, 200)) == (255, 255, 255)
    assert contrasting((250, 240, 90)) == (0, 0, 0)
