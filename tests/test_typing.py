"""mypy --strict and pyright strict accept right uses and refuse wrong ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
POSITIVE = ROOT / "tests/typing/positive.py"
NEGATIVE = ROOT / "tests/typing/negative.py"

pytestmark = pytest.mark.timeout(300)


def mypy(file: Path) -> set[int]:
    """The lines with errors."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-pretty", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.findall(rf"^{re.escape(str(file.relative_to(ROOT)))}:(\d+): error", ran.stdout, re.MULTILINE)
    assert ran.returncode == bool(found), ran  # neither a crash nor an error elsewhere
    return {int(n) for n in found}


def pyright(*arguments: str, env: dict[str, str] | None = None) -> dict[str, object]:
    command = [sys.executable, "-m", "pyright", "--outputjson", *arguments]
    out = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False).stdout
    found: dict[str, object] = json.loads(out[out.index("{") :])
    return found


def pyright_lines(file: Path) -> set[int]:
    found = pyright("-p", str(file.with_name("pyrightconfig.json")), "--pythonpath", sys.executable)
    summary: Any = found["summary"]
    assert summary["filesAnalyzed"] == 2, found
    diagnostics: Any = found["generalDiagnostics"]
    errors = [d for d in diagnostics if d["severity"] == "error" and d["file"] == str(file)]
    return {d["range"]["start"]["line"] + 1 for d in errors}


def marked() -> set[int]:
    lines = NEGATIVE.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# error")}


def test_mypy_accepts_every_right_use() -> None:
    assert mypy(POSITIVE) == set()


def test_pyright_accepts_every_right_use() -> None:
    assert pyright_lines(POSITIVE) == set()


def test_mypy_refuses_every_marked_line_and_no_other() -> None:
    assert mypy(NEGATIVE) == marked()


def test_pyright_refuses_every_marked_line_and_no_other() -> None:
    assert pyright_lines(NEGATIVE) == marked()


def test_every_public_name_has_a_complete_type(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src/typedrpc", tmp_path / "typedrpc")  # pyright finds no py.typed of an editable install
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = pyright("--verifytypes", "typedrpc", "--ignoreexternal", "--pythonpath", sys.executable, env=environment)
    completeness: Any = found["typeCompleteness"]
    assert completeness["exportedSymbolCounts"]["withKnownType"] > 100
    assert completeness["completenessScore"] == 1, found
