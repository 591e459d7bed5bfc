"""README and docs/: every snippet is run, or at least compiled; commands and their output are tried on a real Kafka.

The snippets of a page share one namespace, in order, and may `await`. What a page says to this harness stands in a
comment above the block:

- a first line `# name.py`: the block is that file, which later blocks import
- `<!-- test: kafka -->`: runs only on a real Kafka
- `<!-- test: compile -->`: only compiled
- `<!-- test: output -->`: what the snippet before it prints
- `<!-- test: background "text" -->`: a command that is started, is up once it logged the text, and is stopped at the end
- `<!-- test: run -->`: a command, and what it prints
- `<!-- test: install -->`: not run
- `<!-- test: new-user -->`: run by test_new_user.py
"""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import importlib.util
import inspect
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

import typedrpc

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- test: (?P<directive>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
FILE = re.compile(r"# (?P<name>\w+\.py)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    language: str
    directive: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The name of the file that this block is."""
        found = FILE.match(self.text) if self.language == "python" else None
        return found["name"] if found else None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            language=found["language"],
            directive=found["directive"] or "",
            text=found["text"],
            line=text.count("\n", 0, found.start("text")) + 1,
        )
        for found in BLOCK.finditer(text)
    ]


def having(*directives: str) -> list[Path]:
    return [page for page in PAGES if any(b.directive.startswith(directives) for b in blocks_of(page))]


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT)).removeprefix("docs/")


class Notebook:
    """Runs the blocks of one page in a folder of its own."""

    def __init__(self, page: Path, folder: Path, *, address: str = "") -> None:
        self.folder = folder
        self._page = page
        self._blocks = blocks_of(page)
        self._address = address
        self._suffix = f"-{uuid4().hex[:8]}" if address else ""
        named = re.compile(r'(?:service|topic)="([\w.-]+)"|subscriber\("([\w.-]+)"')
        self._names = {a or b for block in self._blocks for a, b in named.findall(block.text)}
        self._module = ModuleType("docs_page")

    @property
    def modules(self) -> list[str]:
        """What the page's files are imported as."""
        return [self._module.__name__, *(b.file.removesuffix(".py") for b in self._blocks if b.file)]

    def write_files(self) -> None:
        sys.modules[self._module.__name__] = self._module
        for block in self._blocks:
            if block.file:
                (self.folder / block.file).write_text(self._placed(block.text))

    async def run(self, *, kafka: bool) -> None:
        """Runs every snippet, and compares what it prints with the output shown after it."""
        printed: str | None = None
        for block in self._blocks:
            if block.language == "python":
                code = self._compiled(block)
                skipped = block.directive == "compile" or (block.directive == "kafka" and not kafka)
                if skipped or "\nasyncio.run(" in block.text or "    asyncio.run(" in block.text:
                    printed = None
                elif block.file:
                    importlib.import_module(block.file.removesuffix(".py"))
                else:
                    printed = await self._execute(code)
            elif block.directive == "output" and printed is not None:
                assert printed == block.text, f"{self._page.name}:{block.line}"

    def run_commands(self) -> None:
        """Runs the commands of the page; those in the background are up before the next, and end cleanly at last."""
        with contextlib.ExitStack() as stack:
            for block in self._blocks:
                kind, _, argument = block.directive.partition(" ")
                if block.language == "console" and kind in ("run", "background"):
                    prompt, _, expected = block.text.partition("\n")
                    command = self._command(self._placed_command(prompt))
                    if kind == "background":
                        stack.enter_context(self._background(command, argument.strip('"')))
                        continue
                    result = subprocess.run(
                        command, cwd=self.folder, env=self._environment(), capture_output=True, text=True, timeout=60
                    )
                    assert result.returncode == 0, result.stderr
                    assert result.stdout.replace(self._suffix, "") == expected, f"{self._page.name}:{block.line}"

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "TYPEDRPC_KAFKA": self._address, "NO_COLOR": "1"}

    def _placed(self, text: str) -> str:
        """The text for the Kafka of the tests, with names that no other run uses."""
        if not self._address:
            return text
        for name in self._names:
            text = re.sub(rf"""(?<=["']){re.escape(name)}(?=["'/])""", name + self._suffix, text)
        return text.replace("localhost:9092", self._address)

    def _compiled(self, block: Block) -> object:
        source = "\n" * (block.line - 1) + self._placed(block.text)  # an error shows the line of the page
        return compile(source, str(self._page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def _execute(self, code: object) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            running: object = eval(code, vars(self._module))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            if inspect.isawaitable(running):
                await running
        return out.getvalue().replace(self._suffix, "") if self._suffix else out.getvalue()

    def _placed_command(self, prompt: str) -> str:
        """The command, for the services of this run: `typedrpc describe users`, `typedrpc call users/get`."""
        pattern = rf"(?<= )({'|'.join(map(re.escape, self._names)) or '$.'})(?=[ /@]|$)"
        return re.sub(pattern, rf"\1{self._suffix}", prompt) if prompt.startswith("$ typedrpc ") else prompt

    def _command(self, prompt: str) -> list[str]:
        name, *arguments = shlex.split(prompt.removeprefix("$ "))
        own = {"python": sys.executable, "typedrpc": str(Path(sys.executable).with_name("typedrpc"))}
        return [own[name], *arguments]

    @contextlib.contextmanager
    def _background(self, command: list[str], sign: str) -> Generator[None]:
        path = self.folder / "background.log"
        with path.open("w") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            until = time.monotonic() + 30
            while sign not in path.read_text():
                assert process.poll() is None, path.read_text()
                assert time.monotonic() < until, path.read_text()
                time.sleep(0.05)
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, path.read_text()
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def importable(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    for name in notebook.modules:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(notebook.folder), *sys.path])
    importlib.invalidate_caches()
    notebook.write_files()
    try:
        yield
    finally:
        for name in notebook.modules:
            sys.modules.pop(name, None)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
async def test_every_snippet_of_a_page_runs_without_kafka(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook(page, tmp_path)
    with importable(notebook, monkeypatch):
        await notebook.run(kafka=False)


@pytest.mark.kafka
@pytest.mark.parametrize("page", having("kafka"), ids=page_id)
async def test_every_snippet_of_a_page_runs_on_kafka(
    page: Path, kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any("TYPEDRPC_KAFKA_SASL" in b.text for b in blocks_of(page)) and "TYPEDRPC_KAFKA_SASL" not in os.environ:
        pytest.skip("needs a Kafka with SASL (TYPEDRPC_KAFKA_SASL)")
    notebook = Notebook(page, tmp_path, address=kafka)
    with importable(notebook, monkeypatch):
        await notebook.run(kafka=True)


@pytest.mark.kafka
@pytest.mark.parametrize("page", having("run", "background"), ids=page_id)
def test_the_commands_of_a_page_print_what_it_shows(page: Path, kafka: str, tmp_path: Path) -> None:
    notebook = Notebook(page, tmp_path, address=kafka)
    notebook.write_files()
    notebook.run_commands()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_block_is_understood(page: Path) -> None:
    known = {"", "kafka", "compile", "output", "background", "run", "install", "new-user"}
    assert {b.directive.partition(" ")[0] for b in blocks_of(page)} <= known
    assert page.read_text().count("<!-- test:") == sum(1 for b in blocks_of(page) if b.directive)
    assert page.read_text().count("\n```") == 2 * len(blocks_of(page))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_points_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text()))
    paths = [link.partition("#")[0] for link in links if "://" not in link]
    assert [path for path in paths if path and not (page.parent / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_extra_that_a_page_installs_exists(page: Path) -> None:
    extras = importlib.metadata.metadata("typedrpc").get_all("Provides-Extra") or []
    assert set(re.findall(r"typedrpc\[(\w+)\]", page.read_text())) <= set(extras)


def test_the_reference_names_everything_public() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    assert [name for name in typedrpc.__all__ if f"::: typedrpc.{name}\n" not in reference] == []


def test_the_architecture_names_every_module() -> None:
    architecture = (ROOT / "docs" / "architecture.md").read_text()
    modules = [path.stem for path in (ROOT / "src" / "typedrpc").iterdir() if not path.name.startswith("__")]
    assert [name for name in modules if name != "py" and f"`{name}`" not in architecture] == []


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the dependency group docs")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    assert 'id="typedrpc.Rpc"' in (tmp_path / "site" / "reference" / "index.html").read_text()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()):
        assert (ROOT / path).is_file(), path
        assert not name or re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_the_table_of_other_frameworks_names_the_versions_that_the_peers_are_built_with() -> None:
    peers, page = ROOT / "tests/interop/peers", (ROOT / "docs/interop.md").read_text()
    poms = {each: (peers / each / "pom.xml").read_text() for each in ("spring", "smallrye")}
    modules: dict[str, str] = json.loads((peers / "nestjs/package.json").read_text())["dependencies"]
    spring = re.findall(r"<spring-kafka.version>(.+?)<", poms["spring"])
    smallrye = re.findall(r"<smallrye.version>(.+?)<", poms["smallrye"])
    nestjs, kafkajs = modules["@nestjs/microservices"], modules["kafkajs"]
    assert f"| Spring Kafka {spring[0]} | NestJS {nestjs}, kafkajs {kafkajs} | SmallRye {smallrye[0]} |" in page
