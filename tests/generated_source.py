"""Imports what `generate` wrote, in this process, and without a trace afterwards."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from typedrpc import ContractDocument
from typedrpc.cli.generate.package import sources


def imported(files: dict[str, str], name: str) -> Any:
    """The module or package of these files, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            path = Path(folder) / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(folder)
            for each in [each for each in sys.modules if each.split(".")[0] == name]:
                del sys.modules[each]


def contract_of_package(document: ContractDocument) -> Any:
    """The contract in the package that is generated of the document."""
    api = imported({f"made_api/{name}": text for name, text in sources(document).items()}, "made_api")
    return getattr(api, next(name for name in api.__all__ if f"{name}Client" in api.__all__))


def assert_clean(package: Path) -> None:
    """Formatters and strict checkers say nothing of it."""
    settings = {"include": [package.name], "strict": [package.name], "pythonVersion": "3.11"}
    (package.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    for command in (
        ["ruff", "format", "--check", package.name],
        ["ruff", "check", "--select", "E4,E7,E9,F,I", package.name],
        ["mypy", "--strict", package.name],
        ["pyright", "--pythonpath", sys.executable],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=package.parent, capture_output=True, text=True, timeout=110
        )
        assert done.returncode == 0, done.stdout + done.stderr
