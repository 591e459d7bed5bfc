"""A document and the page that shows it, served by HTTP to whoever looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from pydantic import JsonValue

from typedrpc.asyncapi import asyncapi_html
from typedrpc.errors import UsageError


def server_of(document: Mapping[str, JsonValue], place: str) -> ThreadingHTTPServer:
    """Listens at `HOST:PORT`, or at a port of this machine alone: `/` is the page, `/asyncapi.json` the document.

    Raises UsageError for a place where it cannot listen.
    """
    files = {
        "/": ("text/html; charset=utf-8", asyncapi_html(document).encode()),
        "/asyncapi.json": ("application/json", json.dumps(document, indent=2).encode()),
    }

    class Handler(BaseHTTPRequestHandler):
        timeout: ClassVar[float | None] = 10.0  # of one that connects and asks nothing

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            found = files.get(self.path.partition("?")[0])
            if found is None:
                self.send_error(404)
                return
            kind, body = found
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody asked who looks at it."""

    host, _, port = place.rpartition(":")
    try:
        return ThreadingHTTPServer((host or "127.0.0.1", int(port)), Handler)
    except (OSError, ValueError, OverflowError) as error:
        raise UsageError(f"--serve {place}: give PORT or HOST:PORT where it can listen: {error}") from None
