"""Completion in bash, as it is typed: readline breaks words at `:`, `=` and `@`."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from typedrpc.cli.bash import typed

PATIENCE = 60.0

# A `typedrpc` whose Kafka is in its own process: two services run at one address, and one at the default.
COMMAND = """#!{python}
from contextlib import asynccontextmanager
import typedrpc.cli.completing as completing
from typedrpc.__main__ import main
from typedrpc.document import ContractDocument

class Running:
    def __init__(self, names):
        self.names = names

    async def services(self, _):
        return self.names

    async def contract(self, service, _):
        method = dict(name="twice", topic=service, dialect="typedrpc", parameters=[], oneway=False)
        return ContractDocument.model_construct(service=service, methods=[type("", (), method)])

@asynccontextmanager
async def connected(settings):
    yield Running({{
        "kafka.example:9093": ["Echo", "orders"],
        "localhost:9092": ["default"],
        "hostile:1": ["bad$(touch ran)"],
        "hostile:2": ["bad`touch ran`"],
        "hostile:3": ["bad;touch ran"],
        "hostile:4": ["bad\\\\$(touch ran)"],
        "hostile:5": ["bad\\n$(touch ran)"],
        "hostile:6": ["bad*"],
    }}[settings.kafka])

completing.connected = connected
main()
"""

# `said WORD...` prints its arguments; what is typed is echoed too, but never so.
SAID = r"""said() { printf '<%s>' "$@"; echo .; }"""


class Shell:
    """An interactive bash on a terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def run(self, line: str) -> None:
        os.write(self._terminal, line.encode() + b"\n")

    def completed(self, line: str) -> list[str]:
        """The words of the line after a TAB at its end."""
        to_its_start = "\x01"
        self.run(f"{line}\t{to_its_start}said ")
        shown = self._shown_until(">.")
        return shown[shown.rindex("<typedrpc>") + 1 : -2].split("><")[1:]

    def _shown_until(self, text: str) -> str:
        until, shown = time.monotonic() + PATIENCE, ""
        while text not in shown:
            ready, _, _ = select.select([self._terminal], [], [], max(until - time.monotonic(), 0))
            assert ready, f"no {text!r} in {shown!r}"
            shown += os.read(self._terminal, 65536).decode(errors="replace")
        return shown[: shown.index(text) + len(text)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a user who has run `typedrpc --install-completion` in bash."""
    if shutil.which("bash") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI without bash: its completion would not be tested")
        pytest.skip("needs bash")
    home = tmp_path_factory.mktemp("home")
    command = home / "bin" / "typedrpc"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    others = {name: value for name, value in os.environ.items() if not name.startswith("TYPEDRPC_")}
    path = f"{command.parent}:{os.environ['PATH']}"
    plain = {"PS1": "$ ", "TERM": "dumb", "INPUTRC": os.devnull, "HISTFILE": os.devnull}
    environment = {**others, **plain, "HOME": str(home), "PATH": path}
    install = ["bash", "--norc", "-c", "typedrpc --install-completion; exit $?"]  # it finds out which shell runs it
    subprocess.run(install, env=environment, cwd=home, check=True, capture_output=True, timeout=PATIENCE)
    return environment


@pytest.fixture
def bash(environment: dict[str, str], tmp_path: Path) -> Iterator[Shell]:
    terminal, other_end = os.openpty()
    process = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        env=environment,
        cwd=tmp_path,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    try:
        shell = Shell(terminal)
        shell.run(f"{SAID}; source ~/.bashrc")
        yield shell
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("typedrpc descr", "describe"),
        ("typedrpc describe def", "describe default"),
        ("typedrpc --kafka kafka.example:9093 descr", "--kafka kafka.example:9093 describe"),
        ("typedrpc describe --kafka kafka.example:9093 Ec", "describe --kafka kafka.example:9093 Echo"),
        ("typedrpc describe --kafka=kafka.example:9093 Ec", "describe --kafka=kafka.example:9093 Echo"),
        ("typedrpc describe --kafka 'kafka.example:9093' Ec", "describe --kafka kafka.example:9093 Echo"),
        ("typedrpc call --kafka kafka.example:9093 Echo/t", "call --kafka kafka.example:9093 Echo/twice"),
        ("typedrpc call -H a=b --kafka kafka.example:9093 Ec", "call -H a=b --kafka kafka.example:9093 Echo/twice"),
        ("typedrpc call --kafka localhost:9092 ", "call --kafka localhost:9092 default/twice"),
        ("typedrpc diff default@run", "diff default@running"),
        ("typedrpc diff default@", "diff default@running"),
        ("typedrpc diff def", "diff default@running"),
        ("typedrpc diff a:b 'def", "diff a:b default@running"),
        ("typedrpc generate --from def", "generate --from default@running"),
        ("typedrpc generate --from default@r", "generate --from default@running"),
        ("typedrpc generate --from=def", "generate --from=default@running"),
        ("typedrpc generate --from=default@r", "generate --from=default@running"),
        (
            "typedrpc --kafka kafka.example:9093 diff Echo@running ord",
            "--kafka kafka.example:9093 diff Echo@running orders@running",
        ),
        ("typedrpc diff default@other", "diff default@other"),
    ],
)
def test_what_is_typed_is_completed(bash: Shell, line: str, words: str) -> None:
    assert bash.completed(line) == words.split()


@pytest.mark.parametrize("port", [1, 2, 3, 4, 5, 6])
def test_a_peers_name_runs_no_code(bash: Shell, tmp_path: Path, port: int) -> None:
    line = f"typedrpc --kafka hostile:{port} describe bad"
    assert bash.completed(line) == line.split()[1:]
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [
        ("typedrpc\nlist", 1, ("typedrpc\nlist", 1, "")),
        ("typedrpc\n--kafka\nh\n:\n1\n", 5, ("typedrpc\n--kafka\nh:1\n", 3, "")),
        ("typedrpc\n--kafka\n[\n::\n1]\n:\n9\nlist", 7, ("typedrpc\n--kafka\n[::1]:9\nlist", 3, "")),
        ("typedrpc\n--kafka\nh\n:\n\nlist", 4, ("typedrpc\n--kafka\nh:\n", 3, "")),
        ("typedrpc\ndiff\na\n:\nb", 4, ("typedrpc\ndiff\na:b", 2, "a:")),
        ("typedrpc\ndiff\na\n:", 3, ("typedrpc\ndiff\na:", 2, "a:")),
        ("typedrpc\ndiff\na\n@\nb\nafter", 4, ("typedrpc\ndiff\na@b", 2, "a")),
        ("typedrpc\n--from\n=\na\n@", 4, ("typedrpc\n--from=a@", 1, "a")),
        ("", 0, ("", 0, "")),
        (":", 3, (":", 3, ":")),
    ],
)
def test_words_are_put_together_as_they_were_typed(words: str, at: int, expected: tuple[str, int, str]) -> None:
    assert typed(words, at) == expected
