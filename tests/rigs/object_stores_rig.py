"""A real S3 server in a process of its own, and a line to it that can be cut."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest

S3_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""

S3_ACCOUNT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_process():
    """An S3 server without buckets in a process of its own; its address."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", S3_SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **S3_ACCOUNT},
    ) as server:
        for line in server.stdout:
            if line.startswith("127.0.0.1 "):
                address = f"http://127.0.0.1:{line.split()[1]}"
                break
        yield address
        server.kill()


@pytest.fixture(scope="session")
def s3_server():
    """Address of an S3 server without buckets; one for the whole session."""
    with s3_process() as address:
        yield address


@pytest.fixture
def s3_account(monkeypatch, tmp_path):
    """Credentials in the environment, and none from this machine's own files."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "OSS_", "ALIBABA_")):
            monkeypatch.delenv(name)
    for name, value in S3_ACCOUNT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.fixture
def bucket(s3_server, s3_account, request):
    """Name of an empty bucket of its own."""
    from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
    from batchsearch.storage.stores.object_store import ObjectStore

    store = ObjectStore(
        "s3", ConnectionsSettings(s3=StoreConnection(endpoint=s3_server)), wanted_for="tests", writes=True
    )
    name = f"b{abs(hash(request.node.nodeid)):x}"[:40]
    store._files.mkdir(name)
    return name


class Line:
    """Passes connections on to a server, unless it is cut.

    Attributes:
        address: Where it listens.
        cut: Connections are closed, those that are open and those that come.
        drop: So many of the next connections are closed at once.
    """

    def __init__(self, server):
        host, port = server.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = False
        self.drop = 0
        self._open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def sever(self):
        """Cut it now."""
        self.cut = True
        self.hang_up()

    def hang_up(self):
        """Close what is open; further connections are taken."""
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.cut or self.drop:
                    self.drop = max(0, self.drop - 1)
                    client.close()
                    continue
                try:
                    server = socket.create_connection(self._server)
                except OSError:
                    client.close()
                    continue
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source, target):
        self._open.add(source)
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        self._open.discard(source)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def close(self):
        """Stop listening."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()


@pytest.fixture
def line(s3_server):
    """A line to the S3 server that can be cut."""
    made = Line(s3_server)
    yield made
    made.close()
