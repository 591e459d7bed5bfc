"""What Kafka tells of itself without being changed: brokers, topics, and what this user may do with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.admin import DescribeConfigsRequest, DescribeGroupsResponse_v3
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from typedrpc.transport.kafka.connection import Connection, translated
from typedrpc.transport.kafka.refusal import connection_settings

Operation = Literal["Read", "Write", "Create", "Describe"]

# https://kafka.apache.org/protocol#protocol_error_codes
_UNKNOWN_TOPIC = 3
_NOT_YET = (14, 15, 16)  # the group's coordinator: the first group of a cluster waits until its topic is made
_DENIED = (29, 30)

# AclOperation of Kafka's Java client; a set of them is a bit field
_OPERATIONS: dict[Operation, int] = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8}
_NOT_TOLD = -(2**31)
_TOPIC_RESOURCE = 2
_PAUSE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTopic:
    """A topic as one user sees it: `hidden` is one that may be there or not. `replicas` and `in_sync` are those of the
    partition that has the fewest. `rights` and `config` are None where Kafka does not tell them.
    """

    state: Literal["there", "missing", "hidden"]
    rights: frozenset[Operation] | None = None
    partitions: int = 0
    leaderless: tuple[int, ...] = ()
    replicas: int = 0
    in_sync: int = 0
    config: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCluster:
    """`brokers` are the addresses that they advertise, by id; `groups` the rights on each that was asked for."""

    brokers: Mapping[int, tuple[str, int]]
    rights: frozenset[Operation] | None
    topics: Mapping[str, SeenTopic]
    groups: Mapping[str, frozenset[Operation] | None]


async def look(
    connection: Connection, at: tuple[str, int], topics: Sequence[str], groups: Iterable[str], seconds: float
) -> SeenCluster:
    """Asks the broker at that address; makes and writes nothing. Raises TransportError, also of a Kafka before 2.3."""
    where = f"{at[0]}:{at[1]}"
    async with translated(where), asyncio.timeout(seconds), _connected(connection, *at) as broker:
        answer = (await broker.send(_Fixed(_MetadataRequest(list(topics), False, True, True)))).to_object()
        visible = [topic["topic"] for topic in answer["topics"] if topic["error_code"] == 0]
        configs = await _configs(broker, visible) if visible else {}
        return SeenCluster(
            brokers={each["node_id"]: (each["host"], each["port"]) for each in answer["brokers"]},
            rights=_rights(answer["authorized_operations"]),
            topics={topic["topic"]: _seen(topic, configs.get(topic["topic"])) for topic in answer["topics"]},
            groups={group: await _group_rights(connection, broker, group) for group in groups},
        )


def _seen(topic: Mapping[str, Any], config: Mapping[str, str] | None) -> SeenTopic:
    rights, partitions = _rights(topic["authorized_operations"]), topic["partitions"]
    if topic["error_code"] in _DENIED:
        return SeenTopic(state="hidden", rights=frozenset())  # to read and to write include to see
    if topic["error_code"] == _UNKNOWN_TOPIC:
        return SeenTopic(state="missing", rights=rights)
    return SeenTopic(
        state="there",
        rights=rights,
        partitions=len(partitions),
        leaderless=tuple(sorted(each["partition"] for each in partitions if each["leader"] < 0)),
        replicas=min((len(each["replicas"]) for each in partitions), default=0),
        in_sync=min((len(each["isr"]) for each in partitions), default=0),
        config=config,
    )


async def _configs(broker: AIOKafkaConnection, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """The settings of those that this user may ask for."""
    answer = await broker.send(DescribeConfigsRequest([(_TOPIC_RESOURCE, topic, None) for topic in topics]))
    return {
        name: {entry[0]: entry[1] for entry in entries} for code, _, _, name, entries in answer.resources if code == 0
    }


async def _group_rights(connection: Connection, broker: AIOKafkaConnection, group: str) -> frozenset[Operation] | None:
    """Only the group's coordinator tells. Who may not see the group may do nothing with it."""
    while True:  # `look` ends it
        found = await broker.send(FindCoordinatorRequest(group, 0))
        code, rights = found.error_code, _NOT_TOLD
        if not code:
            async with _connected(connection, found.host, found.port) as coordinator:
                answer = (await coordinator.send(_Fixed(_DescribeGroupsRequest([group], True)))).to_object()
            (described,) = answer["groups"]
            code, rights = described["error_code"], described["authorized_operations"]
        if code not in _NOT_YET:
            return frozenset() if code in _DENIED else _rights(rights)
        await asyncio.sleep(_PAUSE)


def _rights(bits: int) -> frozenset[Operation] | None:
    if bits == _NOT_TOLD:
        return None
    return frozenset(name for name, number in _OPERATIONS.items() if bits & 1 << number)


@asynccontextmanager
async def _connected(connection: Connection, host: str, port: int) -> AsyncGenerator[AIOKafkaConnection]:
    conn = await create_conn(host, port, **connection_settings(connection.shared))
    try:
        yield conn
    finally:
        conn.close()


class _Fixed:
    """A request of just this version: aiokafka's own Metadata ends before rights are told, at 5 (KIP-430), and its
    DescribeGroups 3 reads an answer of version 2.
    """

    def __init__(self, request: RequestStruct) -> None:
        self._request = request

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """Called by aiokafka's connection, with what its broker speaks."""
        lowest, highest = versions.get(self._request.API_KEY, (0, -1))
        if not lowest <= self._request.API_VERSION <= highest:
            raise IncompatibleBrokerVersion("it does not tell what a user may do: Kafka does since 2.3")
        return self._request


class _MetadataResponse(Response):
    API_KEY: ClassVar[int] = 3
    API_VERSION: ClassVar[int] = 8
    SCHEMA: ClassVar[Schema] = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _MetadataRequest(RequestStruct):
    API_KEY: ClassVar[int] = 3
    API_VERSION: ClassVar[int] = 8
    RESPONSE_TYPE: ClassVar[type[Response]] = _MetadataResponse
    SCHEMA: ClassVar[Schema] = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _DescribeGroupsRequest(RequestStruct):
    API_KEY: ClassVar[int] = 15
    API_VERSION: ClassVar[int] = 3
    RESPONSE_TYPE: ClassVar[type[Response]] = DescribeGroupsResponse_v3
    SCHEMA: ClassVar[Schema] = Schema(("groups", Array(String())), ("include_authorized_operations", Boolean))
