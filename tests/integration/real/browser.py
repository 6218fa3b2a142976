# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Chromium without a window, told what to do by the DevTools protocol over a pipe: no driver, no port."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Optional

import pytest

__all__ = ["Browser", "Page", "available", "browser", "missing"]

PROGRAM = "chromium"
# It must not ask for updates, lists or time by itself: what is requested is the page's doing.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def missing() -> str:
    """Why there is no browser; empty where there is one."""
    return "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed (Debian's package of this name)"


class Browser:
    """A running one. Every reply and event comes over one pipe, in order."""

    def __init__(self, commands: int, replies: int) -> None:
        self._commands, self._replies = commands, replies
        self._read = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: Optional[str] = None, **parameters: Any) -> dict[str, Any]:
        """Have it do something, and return the result; what happens meanwhile is in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        while True:
            reply = self._next()
            if reply.get("id") != self._number:
                self.events.append(reply)
            elif "error" in reply:
                raise AssertionError(f"{method}: {reply['error']}")
            else:
                return dict(reply["result"])

    def until(self, event: str, session: str) -> None:
        """Wait for an event that has not been waited for."""
        while not any(one.get("method") == event and one.get("sessionId") == session for one in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._replies, 1 << 16)
            assert more, f"{PROGRAM} ended"
            self._read += more
        one, self._read = self._read.split(b"\0", 1)
        return dict(json.loads(one))

    def open(self, path: Path, *, width: int = 1200, dark: bool = False, media: str = "screen") -> Page:
        """Open a file in a page of its own, and wait until it has been drawn."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable", session)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            session,
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", session, media=media, features=[scheme])
        page = Page(self, session, target)
        self.events.clear()
        self.call("Page.navigate", session, url=path.as_uri())
        self.until("Page.loadEventFired", session)
        # Two frames on, what had to be fetched for drawing has been asked for.
        page.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        return page


class Page:
    """An open page."""

    def __init__(self, owner: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = owner, session, target

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to; the page's own policy does not hold for it."""
        result = self._browser.call(
            "Runtime.evaluate", self._session, expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def _events(self, *methods: str) -> Iterator[dict[str, Any]]:
        for event in self._browser.events:
            if event.get("sessionId") == self._session and event.get("method") in methods:
                yield event

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for, the page's own included."""
        return [str(event["params"]["request"]["url"]) for event in self._events("Network.requestWillBeSent")]

    @property
    def complaints(self) -> list[str]:
        """Everything on the console, and every exception."""
        names = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(event["params"]) for event in self._events(*names)]

    def screenshot(self, path: Path) -> None:
        """Keep the whole page as a picture."""
        size = self._browser.call("Page.getLayoutMetrics", self._session)["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        result = self._browser.call("Page.captureScreenshot", self._session, captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(result["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        result = self._browser.call("Page.printToPDF", self._session, printBackground=True)
        return base64.b64decode(result["data"])

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)


@contextmanager
def browser() -> Iterator[Browser]:
    """Run one, with a profile of its own."""
    # It reads from descriptor 3 and writes to 4, so ours must be others.
    theirs_in, ours_out = (_high(each) for each in os.pipe())
    ours_in, theirs_out = (_high(each) for each in os.pipe())
    with tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash"),
                *(PROGRAM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        running = Browser(ours_out, ours_in)
        try:
            yield running
            with suppress(AssertionError, OSError):
                running.call("Browser.close")
        finally:
            os.close(ours_out)
            os.close(ours_in)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _high(descriptor: int) -> int:
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


@contextmanager
def available() -> Iterator[Browser]:
    """Run one, or skip the test where there is none; in CI it has to be there."""
    why = missing()
    if why and os.environ.get("CI") == "true":
        pytest.fail(f"a browser is needed in CI: {why}")
    if why:
        pytest.skip(f"NO BROWSER, so the page was not looked at: {why}")
    with browser() as running:
        yield running
