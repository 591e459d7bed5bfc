"""The connection settings that a FastStream broker was given, and aiokafka's errors as ours."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

from typedrpc.errors import UsageError
from typedrpc.transport import TransportError

if TYPE_CHECKING:
    from faststream.kafka import KafkaBroker

_SHARED = (
    "bootstrap_servers",
    "client_id",
    "security_protocol",
    "ssl_context",
    "sasl_mechanism",
    "sasl_plain_username",
    "sasl_plain_password",
    "sasl_kerberos_service_name",
    "sasl_kerberos_domain_name",
    "sasl_oauth_token_provider",
    "connections_max_idle_ms",
)
T = TypeVar("T")

_PAUSE = 0.25  # seconds between two attempts to reach Kafka
_UNCUT = 2.0
_CONNECT_TIMEOUT = 2.0
_PRODUCER = ("compression_type", "enable_idempotence")
_DENIED = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)


@dataclass(frozen=True)
class Connection:
    """Settings for aiokafka's clients."""

    shared: dict[str, Any] = field(repr=False)  # there is a password among them
    producer: dict[str, Any]
    acks: int | str

    @property
    def address(self) -> str:
        """The bootstrap servers, for messages."""
        servers = self.shared["bootstrap_servers"]
        return servers if isinstance(servers, str) else ", ".join(servers)

    @property
    def idempotent(self) -> bool:
        """Whether the broker's producers are to write nothing twice."""
        return bool(self.producer.get("enable_idempotence", False))

    def client_settings(self, *, request_timeout_ms: int = 3000) -> dict[str, Any]:
        """For every client; aiokafka's 40 s would let one frozen broker hold calls up for minutes.

        Where Kafka is merely slow a record is written twice, which servers and clients find out.
        """
        return {
            **self.shared,
            "request_timeout_ms": request_timeout_ms,
            "retry_backoff_ms": 20,  # paid once on the way to ready: 103 ms with aiokafka's 100, 23 with 20
            "metadata_max_age_ms": 30_000,
        }

    def producer_settings(self, *, durable: bool) -> dict[str, Any]:
        """`durable`: idempotent, so that no retry writes a record twice, and acknowledged by all in-sync replicas.

        `max_batch_size` bounds our own batches; aiokafka's 16 KiB made 5,000 calls at once 25 times slower.
        """
        once = durable or self.idempotent
        settings = {**self.client_settings(), **self.producer, "enable_idempotence": once}
        return {**settings, "acks": "all" if once else self.acks, "linger_ms": 0, "max_batch_size": 262_144}


def connection_of(broker: KafkaBroker) -> Connection | None:
    """The broker's settings, without connecting it; None where it is under TestKafkaBroker.

    Raises UsageError for an object that is no KafkaBroker of a FastStream that this version knows.
    """
    try:
        settings: dict[str, Any] = broker._connection_kwargs  # pyright: ignore
    except AttributeError as error:
        raise UsageError(f"Rpc needs a faststream.kafka.KafkaBroker, not {broker!r} ({error})") from None
    if not inspect.ismethod(broker.start):  # TestKafkaBroker replaces it for as long as it lasts
        return None
    acks = settings.get("acks")
    return Connection(
        shared={name: settings[name] for name in _SHARED if name in settings},
        producer={name: settings[name] for name in _PRODUCER if settings.get(name)},
        acks=acks if acks in (-1, "all") else 1,  # 0 would leave every lost request to its deadline
    )


async def uncut(start: Coroutine[Any, Any, None]) -> None:
    """Awaits a client's `start()`; cancelled meanwhile, it lets that end first, waiting at most two seconds.

    aiokafka leaks the connection of a bootstrap that is cut off.
    """
    starting = asyncio.ensure_future(start)
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=_UNCUT)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        raise


def hasten(owner: Any) -> None:
    """Has one of aiokafka's producers, consumers or admins try for two seconds at most to connect to a broker.

    By itself its client takes the request time-out, lets the connections to all other brokers wait meanwhile, and tries
    a frozen broker three times before it learns from another one who leads now: 13 s instead of 8. No setting does it.
    """
    client = owner.client if hasattr(owner, "client") else owner._client
    connect = client._get_conn

    async def connect_soon(*args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                return await connect(*args, **options)
        except TimeoutError:
            client.force_metadata_update()  # as it does after an attempt of its own that failed
            return None

    client._get_conn = connect_soon


async def stop_within(seconds: float, client: Any) -> bool:
    """Stops one of aiokafka's producers or consumers; answers whether it ended by itself within the time.

    Its own `stop()` waits for a Kafka that is away, or raises CancelledError while a fetch is tried again; either
    would leave its tasks and connections behind.
    """
    stopping: asyncio.Future[None] = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait([stopping], timeout=seconds)
    finally:
        stopping.cancel()
    (outcome,) = await asyncio.gather(stopping, return_exceptions=True)
    if outcome is None:
        return True
    if isinstance(client, AIOKafkaProducer):
        await _abandon_producer(client)
    else:
        await _abandon_consumer(client)
    return False


async def _abandon_producer(producer: Any) -> None:
    producer._message_accumulator.fail_all(KafkaError("this process stopped"))
    await producer.client.close()  # ends the requests under way
    await _end(producer._sender.sender_task)
    await producer.client.close()  # what was tried again meanwhile


async def _abandon_consumer(consumer: Any) -> None:
    await consumer._client.close()
    await _end(consumer._fetcher._fetch_task, *consumer._fetcher._pending_tasks)
    await consumer._client.close()


async def _end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancels the tasks until they have ended: aiokafka's sender awaits its own ones, each of which takes one."""
    pending = {task for task in tasks if task is not None and not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


async def patiently(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The attempt's result; while Kafka is away it is tried again, for so many seconds. Raises TransportError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            return await attempt()
        except TransportError as error:
            if not error.transient or loop.time() + _PAUSE >= deadline:
                raise
        await asyncio.sleep(_PAUSE)


@asynccontextmanager
async def translated(where: str) -> AsyncGenerator[None]:
    """Raises TransportError for what aiokafka and the operating system raise."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise TransportError(f"{where}: a task of aiokafka was cancelled") from error
    except TimeoutError as error:
        raise TransportError(f"{where}: no answer in time; is Kafka up, and the address right?") from error
    except KafkaError as error:
        denied = isinstance(error, _DENIED)
        transient = error.retriable or isinstance(error, KafkaTimeoutError)  # it gave up what it had tried again
        raise TransportError(f"{where}: {error}", transient=transient, denied=denied) from error
    except (OSError, AssertionError, ValueError) as error:  # aiokafka asserts what a user can get wrong
        raise TransportError(f"{where}: {type(error).__name__}: {error}") from error
