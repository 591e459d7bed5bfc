"""The way of text to a terminal, or to a program that reads it: what others wrote cannot steer the one, nor break the
other.
"""

from __future__ import annotations

import codecs
import io
import re
import sys
from contextlib import redirect_stdout
from typing import TextIO

import typer
from pydantic_core import to_json
from rich.text import Text

# Control characters, also those of U+0080 to U+009F, which some terminals obey; line separators; what turns the
# direction of text; halves of a character.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSEEN_IN_LINES = re.compile(_UNSEEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def visible(text: str, *, lines: bool = False) -> str:
    """One line of text, with `\\u001b` for what a terminal would obey, so that JSON stays what it is. `lines`: several
    lines, and tabs, stay so.
    """
    return (_UNSEEN_IN_LINES if lines else _UNSEEN).sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def words(text: str, style: str = "") -> Text:
    """The same for rich, which takes nothing in it for markup."""
    return Text(visible(text), style)


def say(text: str, *, err: bool = False) -> None:
    """Writes lines, to standard output or standard error."""
    typer.echo(visible(text, lines=True), err=err)


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON, also of numbers for which JSON has none: `"NaN"`, `"Infinity"`."""
    return visible(to_json(value, indent=indent, inf_nan_mode="strings").decode(), lines=True)


def prints_aside() -> redirect_stdout[TextIO]:
    """For the import of a module: what it prints is no part of the output, and goes to standard error."""
    return redirect_stdout(sys.stderr)


def write_any_text() -> None:
    """Has standard output and standard error write `\\u2192` for a character that their encoding lacks, instead of
    ending the command.
    """
    codecs.register_error("typedrpc", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="typedrpc")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2)), error.end
