"""What a call costs in Python, in bytecode instructions: the same on every machine, unlike its time.

The bounds are half as much again as was counted on Python 3.11, for versions count a little differently.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from pydantic import BaseModel

from typedrpc import Rpc, Service, Topics, service
from typedrpc.codec import MethodCodec
from typedrpc.dispatcher import Dispatcher
from typedrpc.errors import Status
from typedrpc.in_flight import InFlight
from typedrpc.offsets import Offsets
from typedrpc.repeats import Repeats, request_key
from typedrpc.request_parser import RequestParser
from typedrpc.wire import WireHeaders, correlation_of, method_headers, reply_headers, response_headers, status_of


class Message(BaseModel):
    name: str
    n: int


MESSAGE = Message(name="abc", n=5)
COMMON = (*reply_headers("rpc.replies", 7), *method_headers("echo", "echo"))
REQUEST: WireHeaders = (("correlation_id", b"0123456789abcdef-1"), *COMMON, ("rpc-timeout", b"10000"))
REPLY = response_headers(b"0123456789abcdef-1", Status.OK, 1, 0)


def codec() -> MethodCodec:
    parameter = inspect.Parameter("msg", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Message)
    return MethodCodec("echo", inspect.Signature([parameter], return_annotation=Message))


@contextmanager
def counted(where: str = "") -> Generator[Callable[[], int]]:
    """Counts the instructions of every function, of files `where`, that is entered in the block."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if where not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # its callbacks, such as Hypothesis', would be counted
    sys.settrace(trace)
    try:
        yield lambda: count
    finally:
        sys.settrace(before)
        gc.enable()


def instructions(run: Callable[[], object]) -> int:
    """Of everything that `run` does in Python."""
    with counted() as count:
        run()
    return count()


def parsed() -> Callable[[], object]:
    parser = RequestParser()
    parser.parse(REQUEST)
    return lambda: parser.parse(REQUEST)


def remembered() -> Callable[[], object]:
    repeats: Repeats[str] = Repeats()
    request = RequestParser().parse(REQUEST)

    def run() -> None:
        key = request_key(request, "echo", 0, 1)
        repeats.find(key)
        repeats.finish(key, REPLY, b"{}")

    return run


def finished() -> Callable[[], object]:
    offsets = Offsets(5)

    def run() -> None:
        offsets.see(5)
        offsets.finish(5)

    return run


def dumped_and_loaded() -> Callable[[], object]:
    echo = codec()

    def run() -> None:
        body = echo.dump_arguments((MESSAGE,), {})
        echo.load_arguments(body)
        echo.load_reply(echo.dump_reply(MESSAGE))

    return run


def let_in() -> Callable[[], object]:
    in_flight = InFlight(1000, 1_000_000)

    def run() -> None:
        in_flight.has_room(100)
        in_flight.enter(100)
        in_flight.leave(100)

    return run


def answered() -> Callable[[], object]:
    return lambda: response_headers(b"0123456789abcdef-1", Status.OK, 1, 0)


def told() -> Callable[[], object]:
    return lambda: (correlation_of(REPLY), status_of(REPLY))


@pytest.mark.parametrize(
    ("prepare", "most"),
    [
        (parsed, 215),
        (remembered, 195),
        (finished, 75),
        (dumped_and_loaded, 295),
        (answered, 56),
        (told, 110),
        (let_in, 143),
    ],
)
def test_a_call_costs_no_more_instructions_than_it_did(prepare: Callable[[], Callable[[], object]], most: int) -> None:
    assert instructions(prepare()) < most


async def test_a_pending_call_costs_no_more_instructions_than_it_did() -> None:
    dispatcher: Dispatcher[str] = Dispatcher()
    soon = asyncio.get_running_loop().time() + 10
    dispatcher.open(soon)

    def run() -> None:
        pending = dispatcher.open(soon)
        dispatcher.resolve(pending.correlation_id, "reply")
        dispatcher.close(pending)

    assert instructions(run) < 190
    dispatcher.stop()


async def test_a_whole_call_in_memory_costs_no_more_instructions_than_it_did() -> None:
    class Echo(Service):
        @service.method
        async def echo(self, msg: Message) -> Message:
            return msg

    rpc = Rpc.in_memory(topics=Topics(request_partitions=1))
    rpc.serve(Echo())
    async with rpc:
        await rpc.ready()
        echo = rpc.client(Echo).echo
        await asyncio.gather(*(echo(MESSAGE) for _ in range(10)))
        with counted("/typedrpc/") as count:
            await asyncio.gather(*(echo(MESSAGE) for _ in range(100)))
    assert count() / 100 < 2_700  # a quarter more than was counted: what many functions do averages out
