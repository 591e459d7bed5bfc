"""docs/first-call.md as somebody does it who has nothing but pip, that page and a Kafka where a service runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_runs import patiently
from test_docs import ROOT, Block, blocks_of

PAGE = ROOT / "docs" / "first-call.md"
FIVE_MINUTES = 300.0


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """What the project builds."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path / "dist"),
        str(ROOT),
    ]
    subprocess.run(command, check=True, timeout=120)
    (built,) = (tmp_path / "dist").iterdir()
    return built


@pytest.fixture
def service(kafka: str, tmp_path: Path) -> Iterator[None]:
    """Runs elsewhere, in a process of its own."""
    log = tmp_path / "service.log"
    command = [sys.executable, "-m", "typedrpc", "run", "orders_service:rpc"]
    with (
        log.open("w") as out,
        subprocess.Popen(
            command, cwd=ROOT / "tests", env={**os.environ, "TYPEDRPC_KAFKA": kafka}, stderr=out
        ) as process,
    ):
        try:
            until = time.monotonic() + 60
            while "serving orders" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()


class User:
    """Types what the page says, in an environment of their own."""

    def __init__(self, folder: Path, kafka: str, wheel: Path) -> None:
        self.bin = folder / "venv" / "bin"
        self.folder = folder / "work"
        self.folder.mkdir()
        self._kafka = kafka
        self._wheel = wheel
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**kept, "PATH": path, "TYPEDRPC_KAFKA": kafka, "NO_COLOR": "1", "COLUMNS": "200"}
        venv.create(folder / "venv", with_pip=True)

    def save(self, block: Block) -> None:
        """A file of the page, for the Kafka of the tests."""
        assert block.file is not None
        (self.folder / block.file).write_text(block.text.replace("localhost:9092", self._kafka))

    def run(self, prompt: str) -> str:
        """What the command prints."""
        words = shlex.split(prompt.removeprefix("$ ").replace("typedrpc[", f"{self._wheel}["))
        words[0] = str(self.bin / words[0])
        done = subprocess.run(
            words, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=FIVE_MINUTES
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_user_has_the_reply_of_a_service_they_never_saw_within_five_minutes(
    kafka: str, service: None, wheel: Path, tmp_path: Path
) -> None:
    started = time.monotonic()
    user = User(tmp_path, kafka, wheel)
    for block in blocks_of(PAGE):
        if block.file:
            user.save(block)
        elif block.directive == "new-user":
            prompt, _, shown = block.text.partition("\n")
            if prompt == "$ typedrpc list":  # beside the services of other tests
                printed = patiently(lambda: user.run("$ typedrpc list"), lambda printed: "orders" in printed)
                assert columns_of(printed)["SERVICE"].get("orders") is not None, printed
                assert list(columns_of(printed)) == list(columns_of(shown))
                continue
            printed = user.run(prompt)
            if shown:
                assert printed == shown, prompt
    assert time.monotonic() - started < FIVE_MINUTES
    ten_lines = [line for line in (user.folder / "buy_tea.py").read_text().splitlines() if line.startswith("        ")]
    assert len(ten_lines) <= 10
    strictly_typed(user)


def columns_of(table: str) -> dict[str, dict[str, str]]:
    """By title: the cells, by their rows' first."""
    titles, *rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    return {title: {row[0]: row[number] for row in rows} for number, title in enumerate(titles)}


def strictly_typed(user: User) -> None:
    """By the checkers of the project, which look at the user's environment."""
    python = str(user.bin / "python")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "buy_tea.py"]
    (user.folder / "pyrightconfig.json").write_text('{"strict": ["."]}')
    for command in (mypy, [sys.executable, "-m", "pyright", "--pythonpath", python]):
        done = subprocess.run(command, cwd=user.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    wrong = (user.folder / "buy_tea.py").read_text().replace("count=3", 'count="3"')
    (user.folder / "buy_tea.py").write_text(wrong)
    done = subprocess.run(mypy, cwd=user.folder, capture_output=True, text=True, timeout=120)
    assert 'incompatible type "str"; expected "int"' in done.stdout
