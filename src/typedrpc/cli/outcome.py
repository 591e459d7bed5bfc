"""How a command ends: one line on what went wrong, and an exit code.

0 is success. 1: it could not be done here, as without a connection. 2: the command was used wrongly. A call that was
answered with an error ends with 64 and the number of its status in gRPC, as grpcurl does: NOT_FOUND is 69. `diff` ends
as diff(1): 1 is what was looked for and found, 2 what could not be done.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import typer

from typedrpc.cli.terminal import say
from typedrpc.errors import RpcError, Status, UsageError
from typedrpc.transport import TransportError

_NUMBERS = {
    status: number
    for number, status in enumerate(
        # https://grpc.github.io/grpc/core/md_doc_statuscodes.html
        (
            Status.OK,
            Status.CANCELLED,
            Status.UNKNOWN,
            Status.INVALID_ARGUMENT,
            Status.DEADLINE_EXCEEDED,
            Status.NOT_FOUND,
            Status.ALREADY_EXISTS,
            Status.PERMISSION_DENIED,
            Status.RESOURCE_EXHAUSTED,
            Status.FAILED_PRECONDITION,
            Status.ABORTED,
            Status.OUT_OF_RANGE,
            Status.UNIMPLEMENTED,
            Status.INTERNAL,
            Status.UNAVAILABLE,
            Status.DATA_LOSS,
            Status.UNAUTHENTICATED,
        )
    )
}


def exit_code(status: Status) -> int:
    """That of a call which ended so."""
    return 0 if status is Status.OK else 64 + _NUMBERS[status]


@contextmanager
def told(code: int = 1) -> Generator[None]:
    """Ends the command with one line, where the user can do something about it: `code` without a connection."""
    try:
        yield
    except UsageError as error:
        say(f"typedrpc: {error}", err=True)
        raise typer.Exit(2) from None
    except TransportError as error:
        say(f"typedrpc: {error}", err=True)
        raise typer.Exit(code) from None
    except RpcError as error:
        say(f"typedrpc: {error}", err=True)
        raise typer.Exit(exit_code(error.code)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
