"""The images in one cell, and the name of each within its product."""

import pytest

from batchsearch.manifest.product_images.image_cells import InlineImage, images_in, name_of

A, B = "https://cdn.example/a.jpg", "https://cdn.example/b.jpg"


@pytest.mark.parametrize(
    ("cell", "images"),
    [
        (None, []),
        ("", []),
        (" \n", []),
        (A, [A]),
        (f"{A},{B}", [A, B]),
        (f"{A}, {B}", [A, B]),
        (f"{A};{B}", [A, B]),
        (f"{A} | {B}", [A, B]),
        (f"{A} {B}", [A, B]),
        (f"{A}\r\n{B}\n", [A, B]),
        (f"{A},,{B},", [A, B]),
        (f"{A},//cdn.example/b.jpg", [A, "//cdn.example/b.jpg"]),
        (f'["{A}", "{B}"]', [A, B]),
        (f'[{{"src": "{A}"}}, {{"url": "{B}", "alt": "x"}}, {{"alt": "y"}}, null]', [A, B]),
        (f'{{"src": "{A}"}}', [A]),
        ("[]", []),
        ("a.jpg,b.PNG", ["a.jpg", "b.PNG"]),
        ("/a/b/a.jpg;/a/b/b.jpeg", ["/a/b/a.jpg", "/a/b/b.jpeg"]),
        ("a.jpg|b.webp\nc d.jpg", ["a.jpg", "b.webp", "c d.jpg"]),
    ],
)
def test_a_cell_names_each_image_once_and_in_order(cell, images):
    """Texts with something between them and JSON arrays come apart."""
    assert images_in(cell) == images


@pytest.mark.parametrize(
    "cell",
    [
        "https://res.example/w_300,h_300,c_fill/shoe.jpg",
        "https://cdn.example/a;jsessionid=1/b|c.jpg",
        "https://cdn.example/i?ids=1,2,3",
        "red, blue shoe.jpg",
        " leading blank.jpg",
        "data:image/png;base64,iVBORw0KGgo=",
        "[sale] shoe.jpg",
        "{id}.jpg",
    ],
)
def test_one_image_stays_as_it_is_written(cell):
    """Commas, semicolons and bars inside an address or a file's name separate nothing."""
    assert images_in(cell) == [cell]


def test_a_separator_that_is_named_separates_everywhere():
    """`image_separator` wins over every guess; `none` takes the cell as one image, whatever is in it."""
    assert images_in("a b;c,d; ;e", ";") == ["a b", "c,d", "e"]
    assert images_in("a--b", "--") == ["a", "b"]
    assert images_in(f"{A},{B}", "none") == [f"{A},{B}"]
    assert images_in('["a.jpg"]', "none") == ['["a.jpg"]']


@pytest.mark.parametrize(
    "other",
    [
        f" {A}",
        f"{A}?v=1700000001",
        f"{A}?X-Amz-Signature=abc&X-Amz-Date=20261126T000000Z",
        f"{A}#top",
        "https://user:secret@cdn.example/a.jpg?Expires=1&OSSAccessKeyId=k&Signature=s",
    ],
)
def test_an_image_keeps_its_name_while_signature_and_version_change(other):
    """What changes every night names nothing: else every image would be new and paid for again."""
    assert name_of(other) == name_of(A)


def test_a_relative_address_keeps_its_name_while_its_signature_changes():
    """What `images.base_url` completes is signed as other addresses are."""
    assert name_of("media/a.jpg?Expires=1&Signature=s") == name_of("media/a.jpg")
    assert name_of("//cdn.example/a.jpg?w=9&sig=s") == name_of("//cdn.example/a.jpg?w=9")
    assert name_of("a.jpg?v=1") != name_of("a.jpg?v=2")


def test_images_that_differ_have_names_that_differ():
    """Whatever may mean another image is part of the name."""
    different = [
        A,
        B,
        "a.jpg",
        f"{A}?id=1",
        f"{A}?id=2",
        "https://shop.example/image?v=1",
        "https://shop.example/image?v=2",
        InlineImage(b"a.jpg"),
        InlineImage(b"b"),
    ]
    assert len({name_of(image) for image in different}) == len(different)
    assert name_of(InlineImage(b"b", "x.jpg")) == name_of(InlineImage(b"b"))
    assert name_of(A) == "31818a77236329a7"
