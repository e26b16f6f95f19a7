"""What the console takes: from its start to its first page, and a page of a hundred results.

Run from the project's folder:

    python tests/benchmarks/console.py [--json]

The start is a process of its own; the reference is `batchsearch --help`, measured in the same run. CPU time
is user and system time until the first page has been sent. Script time of a page is what Chromium itself says
(`Performance.getMetrics`), for a page of a hundred results beside one of one result; without Chromium that
part is left out.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring.command_line import command_line, tell

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "sample_data" / "queries" / "assorted-succulents-recompressed.jpg"


def cpu_of(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def console(home: str):
    """A console with an empty home: its process, and the address that it prints."""
    environment = {**os.environ, "XDG_DATA_HOME": home}
    command = [sys.executable, "-m", "batchsearch", "console", "--no-open", "--log-level", "warning"]
    pipe, into = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, stdout=pipe, stderr=into, text=True, env=environment) as process:
        try:
            yield process, re.search(r"http://\S+", process.stdout.readline())[0]
        finally:
            process.terminate()


def first_page() -> dict[str, float]:
    """Seconds from the start to the first page."""
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        with console(home) as (process, address):
            host, _, path = address.removeprefix("http://").partition("/")
            connection = http.client.HTTPConnection(host)
            connection.request("GET", f"/{path}")
            entered = connection.getresponse()
            entered.read()
            cookie = entered.headers["Set-Cookie"].partition(";")[0]
            connection.request("GET", "/search", headers={"Cookie": cookie})
            page = connection.getresponse()
            size = len(page.read())
            wall, cpu = time.monotonic() - began, cpu_of(process.pid)
            connection.close()
    return {"first_page_wall": wall, "first_page_cpu": cpu, "first_page_bytes": size}


def help_page() -> dict[str, float]:
    """Seconds of `batchsearch --help`."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "batchsearch", "--help"], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return {
        "help_cpu": after.children_user
        + after.children_system
        - before.children_user
        - before.children_system
    }


def script_times() -> dict[str, float]:
    """Milliseconds of script of pages with one result, and with the 45 that the demonstration has."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return {}
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as home,
        console(home) as (_, address),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context().new_page()
        page.goto(address)
        page.wait_for_selector('body[data-ready="yes"]', timeout=60_000)
        page.set_input_files("#image", IMAGE)
        page.wait_for_selector("#stage")
        for number in (1, 100):
            page.fill("#num", str(number))
            page.click("#submit")
            page.wait_for_selector(f'[data-announce^="{"1 result" if number == 1 else "45 results"}"]')
            probe = page.context.new_cdp_session(page)
            probe.send("Performance.enable")
            page.reload()
            page.wait_for_selector("#answer-title")
            told = {each["name"]: each["value"] for each in probe.send("Performance.getMetrics")["metrics"]}
            found[f"script_ms_of_{number}"] = 1000 * told["ScriptDuration"]
        browser.close()
    return found


def main() -> None:
    """Measure and print."""
    chosen = command_line(__doc__).parse_args()
    found = {**help_page(), **first_page(), **script_times()}
    found["first_page_by_help"] = found["first_page_cpu"] / found["help_cpu"]
    tell(chosen, found)
    if chosen.json:
        return
    print(f"batchsearch --help  {found['help_cpu']:.2f} s of CPU")
    cpu, wall, size = found["first_page_cpu"], found["first_page_wall"], found["first_page_bytes"]
    ratio = found["first_page_by_help"]
    said = f"{cpu:.2f} s of CPU, {wall:.2f} s by the clock: {ratio:.1f} x --help; {size:,.0f} bytes"
    print(f"first page          {said}")
    if "script_ms_of_1" in found:
        one, many = found["script_ms_of_1"], found["script_ms_of_100"]
        print(f"script of a page    {one:.0f} ms with 1 result, {many:.0f} with 45")


if __name__ == "__main__":
    main()
