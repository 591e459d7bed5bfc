"""Completion in bash: readline breaks words at `:`, `=` and `@`, so HOST:PORT comes in three.

It takes of a completion what stands behind the last break alone. Typer's script hands the parts on as they are; here
they are put together before Typer reads them, and cut off what it says. No other program's completion is touched, as
it would be by another COMP_WORDBREAKS, and Typer's script stays what it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import NamedTuple


class Typed(NamedTuple):
    """The command line up to the word that is completed, a word a line, and what readline keeps of that word."""

    words: str
    at: int
    kept: str


def typed(words: str, at: int) -> Typed:
    """What was typed, of COMP_WORDS as Typer's script writes it, and COMP_CWORD. Pure."""
    parts = words.split("\n")[: at + 1]
    whole: list[str] = []
    for before, part in zip(["", *parts], parts, strict=False):
        if whole and part and (_is_break(before) or _is_break(part)):
            whole[-1] += part
        else:  # also an empty one: it stands behind a blank
            whole.append(part)
    return Typed("\n".join(whole), at - (len(parts) - len(whole)), _kept(whole[-1], parts[-1]))


def _kept(word: str, part: str) -> str:
    kept = word if _is_break(part) else word.removesuffix(part)
    if kept.startswith("-"):  # an option: of `--from=` and its value the value alone is completed
        kept = kept.partition("=")[2]
    return kept.removesuffix("@")  # of readline's rl_special_prefixes: it breaks words, and begins one


def _is_break(part: str) -> bool:
    return bool(part) and not part.strip(":=@")


@contextmanager
def whole_words() -> Generator[None]:
    """For the command: translates, where it is bash that asks it what may stand here."""
    at = os.environ.get("COMP_CWORD", "")
    if os.environ.get("_TYPEDRPC_COMPLETE") != "complete_bash" or not at.isdecimal():
        yield
        return
    words, cword, kept = typed(os.environ.get("COMP_WORDS", ""), int(at))
    os.environ.update(COMP_WORDS=words, COMP_CWORD=str(cword))
    said = StringIO()
    try:
        with redirect_stdout(said):
            yield
    finally:
        sys.stdout.writelines(line.removeprefix(kept) for line in said.getvalue().splitlines(keepends=True))
