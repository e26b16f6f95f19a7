"""A shop whose catalogue, instance and nights of dedup a test writes by hand."""

import csv
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import yaml

from batchsearch.config.load import load_job
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.records import NewItem
from batchsearch.tasks.dedup.night import run_night

SAMPLES = Path(__file__).resolve().parents[3] / "sample_data"
COPIES = {"recompressed", "half size", "cropped", "mirrored", "banner", "brighter"}


def samples():
    """Every photograph of the sample catalogue and its changed copies: product, image, file."""
    found = []
    with (SAMPLES / "catalogue.csv").open(encoding="utf-8") as file:
        found += [(row["product_id"], row["pic_name"], row["image"]) for row in csv.DictReader(file)]
    with (SAMPLES / "queries.csv").open(encoding="utf-8") as file:
        found += [
            (row["product_id"], row["pic_name"], row["image"])
            for row in csv.DictReader(file)
            if row["change"] in COPIES
        ]
    return found


class ImageServer:
    """Serves what `files` says, by path."""

    def __init__(self):
        self.files = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                data = server.data(self.path)
                with suppress(OSError):  # who asked may have been killed
                    self.send_response(404 if data is None else 200)
                    self.send_header("Content-Length", str(len(data or b"")))
                    self.end_headers()
                    self.wfile.write(data or b"")

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def data(self, path):
        """The file at a path, if there is one."""
        return self.files.get(path)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Shop:
    """A catalogue in a folder, the instance that it is added to, and the job over both."""

    def __init__(self, folder, emulator):
        self.folder = folder
        self.emulator = emulator
        self.rows = []
        self.more = {}
        self.key = ["product_id", "pic_name"]
        self.results_per_row = 30
        self.images = {}
        self.reuse = {}
        self.sections = {}
        (folder / "images").mkdir(exist_ok=True)

    def write(self, product, name, source):
        """A product's image, new or changed, in the catalogue alone; a sample's path, or bytes."""
        data = source if isinstance(source, bytes) else (SAMPLES / source).read_bytes()
        path = self.folder / "images" / f"{product}-{name}"
        path.write_bytes(data)
        row = (product, name, path.name)
        if row not in self.rows:
            self.rows.append(row)
        return data

    def put(self, product, name, source):
        """A product's image, new or changed, in the catalogue and in the instance."""
        data = self.write(product, name, source)
        image = decode_image(data, "generic")
        self.emulator.catalogue().add(NewItem(product, name), image, crop=True, region=None)

    def write_all(self, some):
        """Products, images and sources, in the catalogue alone."""
        for each in some:
            self.write(*each)

    def put_all(self, some):
        """The same, in the catalogue and in the instance."""
        for each in some:
            self.put(*each)

    def job(self, name="out", **dedup):
        with (self.folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["product_id", "pic_name", "image", *self.more])
            for row in self.rows:
                writer.writerow([*row, *(values[row[0]] for values in self.more.values())])
        job = {
            "operation": "SearchImageByPic",
            "instance": {
                "endpoint": self.emulator.endpoint,
                "name": "demo",
                "qps": 1000,
                "custom_qps": True,
                "add_qps": 1000,
                "delete_qps": 1000,
            },
            "results_per_row": self.results_per_row,
            "manifest": {"path": "manifest.csv", "key": self.key, "csv": {"types": dedup.pop("types", {})}},
            "images": {"root": "images", **self.images},
            "reuse": self.reuse,
            "output": {"dir": name},
            "dedup": dedup,
            **self.sections,
        }
        path = self.folder / "job.yaml"
        path.write_text(yaml.safe_dump(job), encoding="utf-8")
        return path

    async def night(self, name="out", **dedup):
        return await run_night(load_job(self.job(name, **dedup), environ={}).settings)

    def asked(self):
        return len(self.emulator.log.entries("SearchImageByPic"))


def clusters_of(folder):
    """Members by representative."""
    table = pd.read_parquet(folder / "clusters")
    return {name: set(rows["product_id"]) for name, rows in table.groupby("representative")}


def pairs_of(folder):
    table = pd.read_parquet(folder / "pairs")
    return table.set_index(["product_a", "product_b"]).sort_index()


def same_tables(ours, fresh):
    """Two outputs have the same clusters, and the same pairs, accepted alike."""
    assert clusters_of(ours) == clusters_of(fresh)
    pairs = [pairs_of(folder)["accepted"] for folder in (ours, fresh)]
    pd.testing.assert_series_equal(*pairs)
