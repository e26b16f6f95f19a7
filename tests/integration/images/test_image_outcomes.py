"""Images and regions through a whole run and a check: what is meant is sent, or no call is made."""

import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from run_rig import results_of, sign_in

from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, ExitCode
from batchsearch.tasks.check.checking import check_job


def photograph(width=600, height=500):
    """Colours that change all over: nothing stands out of it."""
    rng = np.random.default_rng(4)
    small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.NEAREST)


def claiming(width, height):
    """A PNG of 69 bytes that claims any sides."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">II", width, height) + b"\x08\2\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.fixture
def folder(tmp_path):
    """Files by name: a photograph, upright and turned, and three that are not to be sent."""
    made = tmp_path / "images"
    made.mkdir()
    upright = photograph()
    upright.save(made / "upright.jpg", quality=92)
    turned = Image.Exif()
    turned[0x112] = 6
    upright.save(made / "turned.jpg", quality=92, exif=turned)
    (made / "huge.png").write_bytes(claiming(2**31, 3))
    (made / "huge.ppm").write_bytes(b"P6 9999999999 1 255\n")
    logo = Image.new("RGBA", (300, 200), (255, 255, 255, 0))
    ImageDraw.Draw(logo).ellipse((80, 40, 220, 160), fill="white")
    logo.save(made / "logo.png")
    return made


async def test_a_claimed_side_of_any_length_stops_neither_run_nor_check(run_here, folder):
    """Rows of such files have their code, the output is written, and so are the verdicts."""
    names = ["huge.png", "huge.ppm", "upright.jpg", "logo.png"]
    rows = [{"id": name, "image": name} for name in names]
    settings, summary = await run_here(rows, images__root=str(folder), max_failed=3)
    results = results_of(settings)
    assert summary.exit_code == ExitCode.DONE
    assert dict(results["error_code"].fillna("ok")) == {
        "huge.png": "Local.ImageTooManyPixels",
        "huge.ppm": "Local.ImageTooManyPixels",
        "logo.png": "Local.ImageBlank",
        "upright.jpg": "ok",
    }
    assert summary.calls == 1
    page = await check_job(settings)
    verdicts = pd.read_parquet(page.verdicts).set_index("row_key").sort_index()
    assert dict(verdicts["code"].fillna("ok")) == dict(results["error_code"].fillna("ok"))
    assert verdicts["source_width"].max() == 600


async def test_regions_are_the_files_own_pixels_to_the_last_one(run_here, folder):
    """All of an image is answered as such, turned or not; a region given comes back as it was given."""
    rows = [
        {"id": "turned", "image": "turned.jpg", "box": None},
        {"id": "turned, a part", "image": "turned.jpg", "box": "10,599,20,300"},
        {"id": "upright", "image": "upright.jpg", "box": None},
        {"id": "upright, by edges", "image": "upright.jpg", "box": "0,600,0,500"},
    ]
    settings, _ = await run_here(
        rows,
        images__root=str(folder),
        manifest__columns={"image": "image", "region": "box"},
        parameters={"crop": True},
    )
    results = results_of(settings)
    assert set(results["outcome"]) == {"ok"}, results["error_message"]
    assert dict(results["pic_region"]) == {
        "turned": "0,599,0,499",
        "turned, a part": "10,599,20,300",
        "upright": "0,599,0,499",
        "upright, by edges": "0,599,0,499",
    }
    assert results.loc["turned", "pic_region_sent"] == "0,499,0,599"


async def test_a_region_that_reaches_out_of_its_image_costs_no_call(run_here, folder):
    """It is refused with the image's sides and the order, not cut and sent."""
    rows = [
        {"id": "beyond", "image": "upright.jpg", "box": "10,20,200,900"},
        {"id": "corners", "image": "turned.jpg", "box": "10,700,20,300"},
    ]
    settings, summary = await run_here(
        rows, images__root=str(folder), manifest__columns={"image": "image", "region": "box"}, max_failed=2
    )
    results = results_of(settings)
    assert set(results["error_code"]) == {"Local.InvalidRegion"}
    assert results.loc["beyond", "error_message"].startswith(
        "region: region '10,20,200,900' reaches out of the image of 600x500 pixels"
    )
    assert summary.calls == 0


async def test_a_fabric_instance_looks_at_no_region(monkeypatch, load, folder):
    """Where the service ignores regions, a row is not refused for one, and equal requests are one call."""
    rows = [
        {"id": str(number), "image": "upright.jpg", "box": box}
        for number, box in enumerate(["10,20,200,900", "nonsense", "", "0,50,0,50"])
    ]
    fabrics = InstanceOptions(name="fabrics", qps=1e9, service_type="fabric")
    with Emulator(EmulatorOptions(instances=(fabrics,))) as running:
        sign_in(monkeypatch, running)
        settings = load(
            rows,
            instance__endpoint=running.endpoint,
            instance__name="fabrics",
            instance__service_type="fabric",
            images__root=str(folder),
            manifest__columns={"image": "image", "region": "box"},
        )
        summary = await run_job(settings)
    assert set(results_of(settings)["outcome"]) == {"ok"}
    assert summary.calls == 1


def test_a_columns_count_of_hits_is_not_overwritten(load, folder):
    """`results_per_row` beside a column mapped to `num` ends the job before it starts."""
    with pytest.raises(ConfigError, match="maps the column 'wanted' to `num`"):
        load(
            [{"id": "a", "image": "upright.jpg", "wanted": 3}],
            manifest__columns={"image": "image", "num": "wanted"},
            results_per_row=20,
        )
