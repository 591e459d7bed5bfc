"""Pictures of the command line for the docs: docs/images/terminal-*.svg, each of commands that it runs.

    make recordings

The service is tests/orders_service.py. Addresses are as in the docs; times, hosts and ids are what they were: a new
recording differs in them.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shlex
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

ROOT: Final = Path(__file__).resolve().parent.parent
IMAGES: Final = ROOT / "docs" / "images"
WIDTH: Final = 108
PATIENCE: Final = 60.0

ORDER: Final = """typedrpc call orders/place '{"item": "assam", "count": 2}'"""
TOO_MANY: Final = """typedrpc call orders/place '{"item": "assam", "count": 1000}'"""
RECORDINGS: Final[dict[str, Sequence[str]]] = {
    "list": ["typedrpc list", "typedrpc describe orders"],
    "call": [ORDER, TOO_MANY],
    "bench": ["""typedrpc bench orders/get '{"id": 1}' -c 100 --duration 3"""],
    "check": ["typedrpc check orders_service:rpc"],
    "diff": ["typedrpc diff orders_before.json orders@running"],
}

FRAME: Final = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="#292929" />
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""Rich's own loads a font from elsewhere."""


async def main() -> None:
    """Records all of them."""
    async with serving():
        (ROOT / "tests" / "orders_before.json").write_text(before(await output_of("typedrpc describe orders --json")))
        try:
            for name, commands in RECORDINGS.items():
                save(name, [(command, await output_of(command)) for command in commands])
            save("tail", [("typedrpc tail orders", await tailed())])
        finally:
            (ROOT / "tests" / "orders_before.json").unlink()


def before(document: str) -> str:
    """The contract as it might have been a version ago."""
    old: Any = json.loads(document)
    old["hash"] = ""
    old["definitions"]["Order"]["properties"]["state"]["enum"].append("sent")
    (place,) = (method for method in old["methods"] if method["name"] == "place")
    place["timeout"] = 2.0
    place["parameters"] = place["parameters"][:1]
    return json.dumps(old)


@asynccontextmanager
async def serving() -> AsyncGenerator[None]:
    """The service runs."""
    process = await start("typedrpc run orders_service:rpc")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            async for line in process.stdout:
                if b"serving orders" in line:
                    break
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)


async def tailed() -> str:
    """What `tail` shows of three calls."""
    process = await start("typedrpc tail orders -n 3")
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    for command in (ORDER, """typedrpc call orders/get '{"id": 1}'""", TOO_MANY):
        await output_of(command)
    rest, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return (first + rest).decode()


async def output_of(command: str) -> str:
    """Both streams, as a terminal would show them."""
    process = await start(command)
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return out.decode()


async def start(command: str) -> asyncio.subprocess.Process:
    """Beside the service's code."""
    _, *arguments = shlex.split(command)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "typedrpc", *arguments),
        cwd=ROOT / "tests",
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def save(name: str, shown: Sequence[tuple[str, str]]) -> None:
    """Draws commands and their output."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    for command, output in shown:
        console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
        console.print(Text.from_ansi(output.replace(os.environ["TYPEDRPC_KAFKA"], "localhost:9092").rstrip()))
    picture = console.export_svg(title="", code_format=FRAME, unique_id=f"typedrpc-{name}")
    lines = [line.rstrip() for line in picture.splitlines()]
    (IMAGES / f"terminal-{name}.svg").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
