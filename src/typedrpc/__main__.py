"""The `typedrpc` command."""

from __future__ import annotations

import importlib.util
import sys


def main() -> None:
    """Its entry point; ends with the exit code of `typedrpc.cli.outcome`."""
    for needed in ("typer", "pydantic_settings"):
        if importlib.util.find_spec(needed) is None:
            sys.exit("the typedrpc command needs its extra: pip install 'typedrpc[cli]'")
    try:
        from typedrpc.cli import app, bash, terminal  # needs the extra

        terminal.write_any_text()
        with bash.whole_words():
            app(prog_name="typedrpc")
    except KeyboardInterrupt:  # while it is loaded
        sys.exit(130)


if __name__ == "__main__":
    main()
