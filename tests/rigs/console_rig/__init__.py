"""A console over an embedded instance with the sample catalogue, in a thread with a loop of its own."""

import asyncio
import http.client
import threading
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

from batchsearch.config.load import load_job
from batchsearch.console.console_options import ConsoleOptions
from batchsearch.console.console_server import open_console

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "sample_data"


@contextmanager
def running_console(settings, options=None, **given):
    """A console that answers; its addresses are in `told`."""
    ready, failed, inside = threading.Event(), [], []
    told = []

    async def serve():
        ended = asyncio.Event()
        async with open_console(settings, options or ConsoleOptions(), told=told.append, **given) as console:
            console.session.looked_at.set()
            await console.session.opened.wait()
            inside.extend([console, asyncio.get_running_loop(), ended])
            ready.set()
            await ended.wait()

    def run():
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised where it was begun
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise failed[0]
    console, loop, ended = inside
    console.told = told
    try:
        yield console
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)


def demo_settings(folder, *overrides):
    """The demonstration's job with everything that it writes in a folder."""
    own = (f"output.dir={folder / 'output'}", f"emulator.data={folder / 'instance'}")
    return load_job(ROOT / "configs" / "demo.yaml", overrides=(*own, *overrides)).settings


class Visitor:
    """A browser without a page: asks one console, and keeps its cookie."""

    def __init__(self, console, *, let_in=True):
        self.console = console
        self.port = console.gate.port
        self.host = f"127.0.0.1:{self.port}"
        # Any number of visitors comes by the address that one of them has used.
        self.cookie = f"{console.gate.cookie_name}={console.gate.cookie}" if let_in else ""

    def ask(self, method, path, body=None, headers=()):
        """Status, headers and body of an answer; nothing is followed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {"Host": self.host, "Accept": "text/html", **dict(headers)}
            if self.cookie:
                sent["Cookie"] = self.cookie
            connection.request(
                method, path, body, {name: value for name, value in sent.items() if value is not None}
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, **headers):
        """The answer to a look."""
        return self.ask("GET", path, headers=headers)

    def post(self, path, fields=(), files=(), **headers):
        """The answer to a form, as a page of this console sends it."""
        own = {"Origin": f"http://{self.host}", "X-CSRF-Token": self.console.gate.csrf}
        if files:
            boundary = "----------------------------7d13"
            parts = []
            for name, value in dict(fields).items():
                head = f'Content-Disposition: form-data; name="{name}"'
                parts.append(f"--{boundary}\r\n{head}\r\n\r\n{value}\r\n".encode())
            for name, (filename, data) in dict(files).items():
                head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
                parts.append(
                    f"--{boundary}\r\n{head}\r\nContent-Type: image/jpeg\r\n\r\n".encode() + data + b"\r\n"
                )
            body = b"".join(parts) + f"--{boundary}--\r\n".encode()
            own["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        else:
            body = urllib.parse.urlencode(
                list(dict(fields).items()) if isinstance(fields, dict) else list(fields)
            )
            own["Content-Type"] = "application/x-www-form-urlencoded"
        return self.ask("POST", path, body, {**own, **headers})

    def follow(self, answer):
        """The page that an answer leads to."""
        status, headers, body = answer
        assert status == 303, body.decode()[:2000]
        return (headers["Location"], *self.get(headers["Location"]))


def asked_of(console):
    """Requests that came to the instance over HTTP, by its own log."""
    return [
        entry for entry in console.session.emulator.log.entries() if entry.verdict in {"granted", "denied"}
    ]
