"""`batchsearch search` over a running instance: one image, one call, what a run would have found."""

import json

import pytest
from PIL import Image
from run_rig import invoke, sign_in
from shop_rig import ImageServer

from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.engine.run.job import run_job

ROWS = [
    {
        "id": f"r{number}",
        "product_id": f"P{number}",
        "pic_name": f"a{number}.jpg",
        "image": f"p{number:02}.jpg",
    }
    | {"price": number}
    for number in range(12)
]
HOSTILE = "=1+1\x1b[31m"


@pytest.fixture
async def shop(signed_in, load, make_job):
    """An instance with twelve images; a function that writes a job over it."""
    columns = {"product_id": "product_id", "pic_name": "pic_name", "image": "image", "int_attr": "price"}
    settings = load(
        ROWS,
        operation="AddImage",
        instance__endpoint=signed_in.endpoint,
        manifest__columns=columns,
        manifest__csv={"types": {"price": "int64"}},
        output__dir="added",
    )
    assert (await run_job(settings)).ok == 12

    def made(**settings):
        return make_job(ROWS, instance__endpoint=signed_in.endpoint, **settings)

    made.emulator = signed_in
    return made


def search(*arguments, **given):
    """A search as JSON: its exit code, what it told, and stderr."""
    ended = invoke("search", *arguments, **given)
    told = json.loads(ended.stdout) if ended.stdout.startswith("{") else {}
    assert not told or told["exit_code"] == ended.exit_code
    return ended.exit_code, told, ended.stderr


def test_an_image_is_searched_with_one_call(shop, images):
    """The hits are the instance's, the best first with rank and attributes; what was sent is told."""
    code, told, err = search(images / "p03.jpg", shop())
    assert code == 0, err
    assert (told["calls"], told["hits"][0]["product_id"], told["hits"][0]["int_attr"]) == (1, "P3", 3)
    assert [hit["rank"] for hit in told["hits"]] == list(range(1, 11))
    assert told["image"]["source"] == told["image"]["sent"]
    assert (told["image"]["source"]["width"], told["image"]["transforms"]) == (160, [])
    assert told["region"] is not None
    assert len(shop.emulator.log.entries("SearchImageByPic")) == 1


def test_nothing_of_the_job_is_touched(shop, images, tmp_path):
    """Neither the manifest is needed nor an output folder made."""
    file = shop()
    (tmp_path / "manifest.csv").unlink()
    code, told, err = search(images / "p03.jpg", file)
    assert code == 0, err
    assert told["hits"]
    assert not (tmp_path / "out").exists()


def test_options_are_the_operations_parameters(shop, images):
    """--num, --start, --filter, --threshold and --region reach the service as a manifest's columns would."""
    image, file = images / "p03.jpg", shop()
    assert len(search(image, file, "--num", "3")[1]["hits"]) == 3
    later = search(image, file, "--num", "2", "--start", "3")[1]["hits"]
    whole = search(image, file, "--num", "5")[1]["hits"]
    assert later == whole[3:]
    filtered = search(image, file, "--filter", "int_attr > 9")[1]["hits"]
    assert {hit["int_attr"] for hit in filtered} == {10, 11}
    assert len(search(image, file, "--threshold", "0.99")[1]["hits"]) == 1
    assert search(image, file, "--region", "10,90,10,90")[1]["region"] == "10,90,10,90"


def test_the_jobs_own_parameters_hold_until_an_option_says_otherwise(shop, images):
    """`parameters` of the job file are the defaults of the command's options."""
    file = shop(parameters={"num": 4, "filter": "int_attr < 6"})
    assert {hit["int_attr"] for hit in search(images / "p03.jpg", file)[1]["hits"]} <= set(range(6))
    assert len(search(images / "p03.jpg", file)[1]["hits"]) == 4
    other = search(images / "p03.jpg", file, "--filter", "int_attr > 5", "--num", "9")[1]["hits"]
    assert {hit["int_attr"] for hit in other} == set(range(6, 12))


def test_more_than_a_page_takes_several_calls_and_more_than_there_is_none(shop, images):
    """Over 100 hits are asked for page by page, and asking ends where the instance has no more."""
    code, told, _ = search(images / "p03.jpg", shop(), "--num", "250")
    assert (code, told["calls"], len(told["hits"])) == (0, 1, 12)
    code, _, err = search(images / "p03.jpg", shop(), "--num", "200", "--start", "1")
    assert (code, "leave out --start" in err) == (64, True)
    code, _, err = search(images / "p03.jpg", shop(), "--num", "100", "--start", "450")
    assert (code, "the first 500 hits" in err) == (64, True)


def test_an_image_of_the_instance_is_searched_by_its_name(shop):
    """--name ID/PIC needs no image; one that is not there is an answer, with exit code 3."""
    code, told, err = search("--name", "P5/a5.jpg", shop())
    assert code == 0, err
    assert (told["operation"], told["hits"][0]["product_id"]) == ("SearchImageByName", "P5")
    assert search("--name", "P5", "--pic-name", "a5.jpg", shop())[1]["hits"] == told["hits"]
    code, told, _ = search("--name", "P5/none.jpg", shop())
    assert (code, told["error"]["code"]) == (3, "PicNotExist")
    code, _, err = search("--name", "P5", shop())
    assert (code, "is not ID/PIC" in err) == (64, True)
    code, _, err = search("--name", "P5/a5.jpg", "--region", "1,2,3,4", shop())
    assert (code, "means nothing in a search by name" in err) == (64, True)


def test_an_image_that_would_be_refused_costs_no_call(shop, tmp_path, images):
    """The local verdict is a run's: code, message and advice, exit code 3, and nobody was called."""
    Image.new("RGB", (20, 20), "red").save(tmp_path / "tiny.jpg")
    code, told, err = search(tmp_path / "tiny.jpg", shop())
    assert (code, told["error"]["code"], told["calls"]) == (3, "Local.ImageTooSmall", 0)
    assert told["error"]["advice"]
    assert "Local.ImageTooSmall" in err
    (tmp_path / "text.jpg").write_text("no image")
    assert search(tmp_path / "text.jpg", shop())[0] == 3
    assert search(images / "p03.jpg", shop(), "--filter", "int_attr ==")[1]["error"]["owner"] == "row"
    assert search(images / "p03.jpg", shop(), "--filter", "int_attr ==")[0] == 64
    assert shop.emulator.log.entries("SearchImageByPic") == ()


def test_what_is_done_to_an_image_is_told(shop, tmp_path, images):
    """A rotated one is sent upright, and its region comes back in the file's own pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(images / "p03.jpg") as image:
        image.save(tmp_path / "turned.jpg", exif=exif)
    code, told, err = search(tmp_path / "turned.jpg", shop())
    assert code == 0, err
    assert told["image"]["transforms"]
    assert (told["image"]["sent"]["width"], told["image"]["sent"]["height"]) == (120, 160)
    x1, x2, y1, y2 = map(int, told["region"].split(","))
    assert 0 <= x1 < x2 <= 160
    assert 0 <= y1 < y2 <= 120


def test_stdin_and_paths_of_the_job_are_images_too(shop, images, monkeypatch, tmp_path):
    """`-` reads the image from stdin; a path that is not here is looked for under the job's images."""
    data = (images / "p03.jpg").read_bytes()
    monkeypatch.chdir(tmp_path)
    whole = search(images / "p03.jpg", shop())[1]["hits"]
    assert search("-", shop(), input=data)[1]["hits"] == whole
    assert search("p03.jpg", shop())[1]["hits"] == whole
    for absent, words in (("gone.jpg", "there is no such image"), (tmp_path, "is a folder")):
        code, _, err = search(absent, shop())
        assert (code, words in err) == (64, True), err


def test_an_address_is_fetched_by_the_jobs_rules(shop, images):
    """A host that the job does not allow is refused before any call; an allowed one is fetched."""
    server = ImageServer()
    try:
        server.files["/p.jpg?signature=secret"] = (images / "p03.jpg").read_bytes()
        address = f"{server.address}/p.jpg?signature=secret"
        code, told, err = search(address, shop())
        assert (code, told["calls"]) == (3, 0)
        assert told["error"]["code"] == "Local.ImageAddressRefused"
        assert "secret" not in json.dumps(told) + err
        host = server.address.removeprefix("http://")
        code, told, err = search(address, shop(images__allow_hosts=[host.partition(":")[0]]))
        assert code == 0, err
        assert told["hits"][0]["product_id"] == "P3"
        assert "secret" not in json.dumps(told)
    finally:
        server.close()


def test_who_must_act_is_said_by_the_exit_code(shop, images):
    """An unknown instance ends with 5, a port without a service with 4, and missing settings with 64."""
    image = images / "p03.jpg"
    code, told, _ = search(image, shop(), "--set", "instance.name=other")
    assert code == 5, told
    nobody = ("--set", "instance.endpoint=http://127.0.0.1:9", "--set", "calls.max_attempts=1")
    code, told, _ = search(image, shop(), *nobody)
    assert (code, told["error"]["code"]) == (4, "Transport.ConnectFailed")
    code, _, err = search(image, shop(), "--instance", "none")
    assert (code, "has no instance 'none'" in err) == (64, True)


def test_a_denied_call_is_repeated_through_the_pacer(shop, images, monkeypatch, make_job):
    """Flow control is waited out, as in a run."""
    instances = (InstanceOptions(name="demo", qps=1.0),)
    with Emulator(EmulatorOptions(instances=instances)) as slow:
        sign_in(monkeypatch, slow)
        file = make_job(ROWS, instance__endpoint=slow.endpoint)
        assert search(images / "p03.jpg", file)[0] == 0
        code, told, _ = search(images / "p03.jpg", file)
        assert (code, told["hits"]) == (0, [])
        assert len(slow.log.entries("SearchImageByPic", verdict="denied")) == told["calls"] - 1


def test_a_table_shows_the_hits_and_no_control_characters(shop, images):
    """--table has a line for each hit under headings; what a terminal would obey is written out."""
    columns = {"product_id": "product_id", "pic_name": "pic_name", "image": "image", "custom_content": "note"}
    row = {"id": "h", "product_id": "H", "pic_name": "h.jpg", "image": "p30.jpg", "note": HOSTILE}
    import asyncio

    from batchsearch.config.load import load_job

    file = shop(operation="AddImage", manifest__columns=columns, output__dir="hostile")
    manifest = file.parent / "manifest.csv"
    manifest.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
    settings = load_job(file, environ={}).settings
    assert asyncio.run(run_job(settings)).ok == 1
    ended = invoke("search", images / "p30.jpg", shop(), "--table")
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    assert lines[0].endswith("sent as it is")
    heading = next(place for place, line in enumerate(lines) if line.startswith("rank"))
    assert {"score", "product", "image", "custom_content"} <= set(lines[heading].split())
    assert len(lines) - heading - 1 == 10
    assert "\x1b" not in ended.stdout
    assert lines[heading + 1].split()[2:4] == ["H", "h.jpg"]


def test_an_embedded_instance_is_filled_and_searched(make_job, images, tmp_path):
    """For `endpoint: emulator` the job's catalogue is indexed first, where a run would find it."""
    (tmp_path / "catalogue.csv").write_text(
        "product_id,pic_name,image\n" + "".join(f"P{n},a{n}.jpg,p{n:02}.jpg\n" for n in range(3)),
        encoding="utf-8",
    )
    instance = {"endpoint": "emulator", "name": "demo", "qps": 5}
    catalogue = {"manifest": {"path": "catalogue.csv"}, "root": str(images)}
    file = make_job(ROWS, instance=instance, emulator={"catalogue": catalogue, "data": "kept"})
    code, told, err = search(images / "p01.jpg", file)
    assert code == 0, err
    assert [told["hits"][0]["product_id"], len(told["hits"])] == ["P1", 3]
    assert (tmp_path / "kept").is_dir()


def test_the_image_travels_by_address_where_the_job_says_so(shop, images):
    """With `calls.upload: url` the image is uploaded first, and the call names it."""
    file = shop(
        calls={"upload": "url", "open_platform": shop.emulator.endpoint}, instance__region="cn-shanghai"
    )
    code, told, err = search(images / "p03.jpg", file)
    assert code == 0, err
    assert told["hits"][0]["product_id"] == "P3"
    assert len(shop.emulator.log.entries("AuthorizeFileUpload")) == 1


def test_help_names_every_exit_code():
    """The help page lists what the command ends with, and shows each way of naming an image."""
    text = invoke("search", "--help").stdout
    for code in ("0  ", "3  ", "4  ", "5  ", "64  "):
        assert f"\n  {code:>4}" in text or code in text
    assert "--name ID/PIC" in text
