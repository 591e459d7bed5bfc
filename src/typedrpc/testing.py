"""For users' tests: an app's `Rpc` in memory, typed mocks of services, and contracts that are kept in files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar, cast
from unittest.mock import AsyncMock

from pydantic import ValidationError

from typedrpc.changes import contract_changes, listing
from typedrpc.codec import summary
from typedrpc.contract import contract_of
from typedrpc.document import ContractDocument, contract_schema
from typedrpc.errors import UsageError
from typedrpc.method import MethodSpec
from typedrpc.options import Key, Metadata, Reply, Retry
from typedrpc.rpc import Rpc

__all__ = ["TestRpc", "assert_contract", "mock"]

S = TypeVar("S")


class TestRpc:
    """Runs an app's `Rpc` in memory: `async with TestRpc(rpc):` starts its services, its clients and, as
    TestKafkaBroker does, the broker's plain subscribers, and stops them at the end. No Kafka is needed.

    It shows what handlers do, never how Kafka delivers: no rebalance, no restart, no loss.
    """

    __test__ = False  # no test class, though pytest might think so

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Rpc:
        """The started Rpc."""
        async with AsyncExitStack() as stack:
            if self._rpc.broker is not None:
                from faststream.kafka import TestKafkaBroker  # pytest's fixtures of a test module only

                await stack.enter_async_context(TestKafkaBroker(self._rpc.broker, connect_only=False))
            await stack.enter_async_context(self._rpc)
            self._stack = stack.pop_all()
        return self._rpc

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()


class _MockMethod(AsyncMock):
    """An AsyncMock that takes its method's arguments only, and has what a bound method has."""

    def __init__(self, spec: MethodSpec | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.__dict__["method_spec"] = spec

    def _get_child_mock(self, **settings: Any) -> AsyncMock:
        return AsyncMock(**settings)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Raises TypeError for arguments that the method does not take."""
        spec: MethodSpec = self.__dict__["method_spec"]
        spec.signature.bind(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        key: Key | None = None,
        metadata: Metadata | None = None,
        retry: Retry | None = None,
    ) -> Self:
        """The same mock."""
        return self

    async def with_reply(self, /, *args: Any, **kwargs: Any) -> Reply[Any]:
        """What the mock returns, as a reply without metadata."""
        return Reply(value=await self(*args, **kwargs), metadata={})


def mock(contract: Callable[..., S], **outcomes: object) -> S:
    """A mock typed as the contract: `mock(Echo, echo=Message(text="hi"), get=NotFound("nobody", id=3))`.

    Each outcome is what the method returns, an exception that it raises, or a function of its arguments; a method
    without one returns None. Methods are AsyncMocks: `assert_awaited_once_with` and the like work. Raises UsageError
    for what is no service or none of its methods.
    """
    cls, service = contract_of(contract)
    methods = service.methods
    unknown = outcomes.keys() - methods.keys()
    if unknown:
        raise UsageError(f"mock({contract!r}): it has no method {', '.join(sorted(unknown))}")
    made: Any = object.__new__(type(f"{cls.__name__}Mock", (), {}))
    for name, spec in methods.items():
        outcome = outcomes.get(name)
        acts = isinstance(outcome, BaseException) or callable(outcome)
        settings: dict[str, Any] = {"side_effect": outcome} if acts else {"return_value": outcome}
        made.__dict__[name] = _MockMethod(spec, name=name, **settings)
    return cast("S", made)


_UPDATE = "TYPEDRPC_UPDATE_CONTRACTS"


def assert_contract(contract: Callable[..., object], file: str | Path) -> None:
    """Holds a contract to its document in a file, as `typedrpc describe --json` writes it.

    Raises AssertionError that lists every change against the file, and whom it breaks. Where the environment has
    TYPEDRPC_UPDATE_CONTRACTS=1, writes the file instead, with its folder. A relative path is one of the current folder.
    Raises UsageError for what is no service.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    document, path = contract_schema(contract), Path(file)
    if os.environ.get(_UPDATE) == "1":
        _write(document, path)
        return
    try:
        kept = ContractDocument.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise AssertionError(f"{path} is not there yet: run with {_UPDATE}=1, which writes it, and commit it") from None
    except ValidationError as error:
        raise AssertionError(f"{path} is no contract document: {summary(error)}; {_UPDATE}=1 writes it") from None
    if changes := contract_changes(kept, document):
        raise AssertionError(
            f"{document.service} is not as in {path}:\n{listing(changes)}\n"
            f"if that is meant, run with {_UPDATE}=1, which writes the file, and commit it"
        )


def _write(document: ContractDocument, path: Path) -> None:
    """Leaves a file alone that differs by the version of typedrpc only."""
    try:
        kept = ContractDocument.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        kept = None
    if kept is None or kept.model_copy(update={"typedrpc": document.typedrpc}) != document:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.model_dump_json(indent=2) + "\n", encoding="utf-8")
