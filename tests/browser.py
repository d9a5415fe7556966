"""Chromium without a window, by its own protocol (https://chromedevtools.github.io)."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-default-apps", "--disable-sync", "--disable-extensions"),
)


class Browser:
    """One tab; use it in a with block. The process ends with the block."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile

    def __enter__(self) -> "Browser":
        commands, to_chromium = os.pipe()
        from_chromium, answers = os.pipe()
        options = [*OPTIONS, f"--user-data-dir={self._profile}", "--remote-debugging-pipe"]
        # Chromium reads its commands from descriptor 3 and writes to descriptor 4.
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "bash", CHROMIUM, *options],
            pass_fds=(commands, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._commands = os.fdopen(to_chromium, "wb", buffering=0)
        self._answers = os.fdopen(from_chromium, "rb", buffering=0)
        self._received = b""
        self._number, self._session = 0, {}
        tab = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self.send("Page.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._commands.close()  # which ends Chromium
        self._answers.close()
        self._process.wait(timeout=30)

    def _receive(self) -> dict:
        while b"\0" not in self._received:
            part = self._answers.read(1 << 16)
            assert part, "Chromium has ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def send(self, method: str, **parameters: object) -> dict:
        """Send a command and return its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._commands.write(json.dumps(command).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, page: Path, width: int = 1280, height: int = 800) -> None:
        """Open a page in a window of this size, and wait until it is loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Page.navigate", url=page.absolute().as_uri())
        while self.evaluate("document.readyState") != "complete":
            pass

    def evaluate(self, expression: str) -> object:
        """Return the value of an expression in the page; a click in it counts as the user's."""
        asked = {"expression": expression, "userGesture": True, "returnByValue": True}
        result = self.send("Runtime.evaluate", awaitPromise=True, **asked)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def print(self, file: Path) -> None:
        """Print the page to a PDF file, with the sizes and margins of its style sheet."""
        printed = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        file.write_bytes(base64.b64decode(printed["data"]))

    def photograph(self, file: Path, *, whole: bool = False) -> None:
        """Write a PNG file of the window, or of the whole page."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))
