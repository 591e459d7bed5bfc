"""TLS, SCRAM and ACLs on real listeners: who may do what can do it, who may not is told at once, no password shows."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import re
import shlex
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateAclsRequest
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram512

from test_kafka_script import kafka as script
from typedrpc import (
    Limits,
    PermissionDenied,
    Rpc,
    RpcError,
    Service,
    Status,
    Topics,
    TransportError,
    Unavailable,
    service,
)
from typedrpc.transport.kafka import connection_of

pytestmark = pytest.mark.kafka

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
PASSWORDS = {"shop": "shop-password-4711", "directory": "directory-password-4711"}
SECRET = re.compile("password-4711")
PATIENT = Limits(start_timeout=30)
FAST = 10.0  # seconds: far below the start time-out, far above what it takes

REPLIES_OF_THE_SERVER = Topics(replies="directory.replies")
TOPICS = ["users", "rpc.replies", "rpc.cancels", "rpc.reflection", "directory.replies", "visible", "hidden"]


class UserNotFound(RpcError, code=Status.NOT_FOUND):
    id: int


class Users(Service, Protocol, service="users"):
    @service.method(raises=[UserNotFound])
    async def name(self, id: int) -> str: ...
    @service.method
    async def slow(self) -> None: ...
    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...


class Directory(Users):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    @service.method
    async def name(self, id: int) -> str:
        if id != 1:
            raise UserNotFound("nobody", id=id)
        return "Ada"

    @service.method
    async def slow(self) -> None:
        self.started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    @service.method(oneway=True)
    async def log(self, line: str) -> None:
        self.lines.append(line)


class Visible(Service, Protocol, service="visible"):
    @service.method
    async def ask(self) -> None: ...
    @service.method(oneway=True)
    async def tell(self) -> None: ...


class Hidden(Service, Protocol, service="hidden"):
    @service.method
    async def ask(self) -> None: ...


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    if script.java_problem():
        pytest.skip(script.java_problem())
    with script.Cluster(users=PASSWORDS) as cluster:
        asyncio.run(make_topics_and_acls(cluster.bootstrap))
        yield cluster


async def make_topics_and_acls(address: str) -> None:
    """As the super user, the topics, the ACLs that the page says a client and a server need, and one for the tests."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 3, 1) for topic in TOPICS])
    finally:
        await admin.close()
    commands = re.findall(r"^\$ kafka-acls\.sh (.*)$", PAGE.read_text().replace("\\\n", ""), re.MULTILINE)
    assert len(commands) == 4
    host, _, port = address.partition(":")
    connection = await create_conn(host, int(port))
    own = [
        "--allow-principal User:shop --operation Describe --topic visible",
        "--allow-principal User:directory --operation Write --topic visible",
    ]
    for acl in [*commands, *own]:
        for type_, name, principal, operation in acls_of(acl):
            made = await connection.send(CreateAclsRequest(type_, name, 3, principal, "*", operation, 3))
            assert [code for code, _ in made.creation_responses] == [0]
    connection.close()


def acls_of(command: str) -> Iterator[tuple[int, str, str, int]]:
    """What the arguments of kafka-acls.sh ask for, in numbers of Kafka's protocol (ResourceType, AclOperation)."""
    words = shlex.split(command)
    given = {(option, value) for option, value in itertools.pairwise(words)}
    operations = {"Read": 3, "Write": 4, "Describe": 8}
    for option, type_ in (("--topic", 2), ("--group", 3)):
        for name in (value for o, value in given if o == option):
            for principal in (value for o, value in given if o == "--allow-principal"):
                for operation in (value for o, value in given if o == "--operation"):
                    yield type_, name, principal, operations[operation]


def trusting(ca: Path | None = None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


def tls(cluster: Any) -> KafkaBroker:
    security = BaseSecurity(use_ssl=True, ssl_context=trusting(cluster.ca))
    return KafkaBroker(cluster.tls, security=security, logger=None)


def scram(cluster: Any, user: str) -> KafkaBroker:
    security = SASLScram512(username=user, password=PASSWORDS[user], use_ssl=True, ssl_context=trusting(cluster.ca))
    return KafkaBroker(cluster.scram, security=security, logger=None)


def shop(cluster: Any) -> Rpc:
    """A process that may only do what the page gives a client."""
    return Rpc(scram(cluster, "shop"), create_topics=False)


def directory(cluster: Any, server: Directory) -> Rpc:
    """A process that may only do what the page gives a server."""
    rpc = Rpc(scram(cluster, "directory"), create_topics=False, topics=REPLIES_OF_THE_SERVER)
    rpc.serve(server)
    return rpc


async def test_calls_go_over_tls(cluster: Any) -> None:
    class Ping(Service, service="over-tls"):
        @service.method
        async def ping(self) -> str:
            return "pong"

    rpc = Rpc(tls(cluster))
    rpc.serve(Ping())
    async with rpc:
        assert await rpc.client(Ping).ping() == "pong"


async def test_the_acls_of_the_page_suffice_for_a_client_and_a_server(cluster: Any) -> None:
    server = Directory()
    async with directory(cluster, server), shop(cluster) as rpc:
        users = rpc.client(Users)
        assert await users.name(1) == "Ada"
        with pytest.raises(UserNotFound) as caught:
            await users.name(2)
        assert caught.value.id == 2
        await users.log("seen")
        call = asyncio.create_task(users.slow())
        await asyncio.wait_for(server.started.wait(), 20)
        call.cancel()
        await asyncio.wait_for(server.cancelled.wait(), 20)
        async with asyncio.timeout(20):
            while server.lines != ["seen"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_a_client_without_the_right_to_write_a_topic_is_told_at_once_and_its_other_calls_go_on(
    cluster: Any,
) -> None:
    async with directory(cluster, Directory()), shop(cluster) as rpc:
        users, visible = rpc.client(Users), rpc.client(Visible)
        for _ in range(2):
            calls = [users.name(1) for _ in range(20)]
            async with asyncio.timeout(FAST):
                with pytest.raises(PermissionDenied, match="visible/ask: the request was not written"):
                    await visible.ask()
                with pytest.raises(PermissionDenied, match="visible/tell"):
                    await visible.tell()
                await users.log("line")
                assert await asyncio.gather(*calls) == ["Ada"] * 20


async def test_a_topic_that_a_client_may_not_even_see_is_said_to_be_missing_or_hidden(cluster: Any) -> None:
    async with shop(cluster) as rpc:
        async with asyncio.timeout(FAST):
            with pytest.raises(RpcError, match=r"hidden; make them.* or allow this user to see them"):
                await rpc.client(Hidden).ask()
    rpc = Rpc(scram(cluster, "shop"), create_topics=True)
    async with rpc, asyncio.timeout(FAST):
        with pytest.raises(PermissionDenied, match="'hidden' cannot be made: Authorization failed"):
            await rpc.client(Hidden).ask()


async def test_a_user_who_may_only_call_cannot_serve(cluster: Any) -> None:
    rpc = Rpc(scram(cluster, "shop"), create_topics=False, limits=PATIENT)
    rpc.serve(Directory())
    async with asyncio.timeout(FAST):
        with pytest.raises(TransportError, match="AuthorizationFailed"):
            await rpc.start()


async def test_a_user_who_may_only_serve_cannot_call(cluster: Any) -> None:
    async with directory(cluster, Directory()) as rpc, asyncio.timeout(FAST):
        with pytest.raises(PermissionDenied):
            await rpc.client(Users).name(1)


async def test_a_server_cannot_read_the_replies_of_others_and_serves_all_the_same(
    cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    eavesdropper = Rpc(scram(cluster, "directory"), create_topics=False)  # with its callers' topic of replies
    eavesdropper.serve(Directory())
    async with eavesdropper, shop(cluster) as rpc:
        assert await rpc.client(Users).name(1) == "Ada"
        await asyncio.sleep(2)
        assert eavesdropper._calls is not None  # pyright: ignore[reportPrivateUsage]
        assert eavesdropper._calls.dispatcher.foreign == 0  # pyright: ignore[reportPrivateUsage]
    assert [r.getMessage() for r in caplog.records if r.name == "typedrpc" and "cannot be read" in r.getMessage()] == [
        "rpc.replies cannot be read: replies on 'rpc.replies' at "
        f"{cluster.scram}: [Error 29] TopicAuthorizationFailedError: rpc.replies"
    ]


async def test_a_client_that_may_not_read_its_replies_is_told_long_before_the_deadline(cluster: Any) -> None:
    rpc = Rpc(scram(cluster, "directory"), create_topics=False)  # it may write to its callers' topic of replies only
    async with rpc, asyncio.timeout(FAST):
        with pytest.raises(Unavailable, match="the connection for replies broke"):
            await rpc.client(Visible).ask.with_options(timeout=60)()


def refused(case: str, cluster: Any, other_ca: Path) -> tuple[str, Any, str]:
    """Address, security and the words that say what is wrong."""

    def password(user: str, word: str, ca: Path | None) -> SASLScram512:
        return SASLScram512(username=user, password=word, use_ssl=True, ssl_context=trusting(ca))

    own = BaseSecurity(use_ssl=True, ssl_context=trusting(cluster.ca))
    match case:
        case "the system's CAs":
            return cluster.tls, BaseSecurity(use_ssl=True, ssl_context=trusting()), "certificate is not trusted"
        case "another CA":
            return cluster.scram, password("shop", PASSWORDS["shop"], other_ca), "certificate is not trusted"
        case "another name":
            return cluster.tls.replace("127.0.0.1", "localhost"), own, "certificate is not trusted: Hostname mismatch"
        case "a wrong password":
            return cluster.scram, password("shop", "wrong-password-4711", cluster.ca), "invalid credentials"
        case "a wrong password in the clear":
            return cluster.sasl, SASLPlaintext(username="alice", password="wrong-password-4711"), "Invalid username"
        case "another mechanism":
            plain = SASLPlaintext(
                username="shop", password=PASSWORDS["shop"], use_ssl=True, ssl_context=trusting(cluster.ca)
            )
            return cluster.scram, plain, "does not support the requested SASL mechanism"
        case "no TLS":
            return cluster.tls, None, "it speaks TLS and this client does not"
        case "no TLS, with a password":
            clear = SASLScram512(username="shop", password=PASSWORDS["shop"])
            return cluster.scram, clear, "it speaks TLS and this client does not"
        case "TLS where there is none":
            return cluster.bootstrap, own, "it does not speak TLS and this client does"
        case _:
            return cluster.scram, own, "it wants a user and a password"


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ca = tmp_path_factory.mktemp("other") / "ca.pem"
    script.make_certificate(ca)
    return ca


# asyncio leaves the transport of a TLS handshake that fails to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "case",
    [
        "the system's CAs",
        "another CA",
        "another name",
        "a wrong password",
        "a wrong password in the clear",
        "another mechanism",
        "no TLS",
        "no TLS, with a password",
        "TLS where there is none",
        "no password",
    ],
)
async def test_who_is_not_let_in_is_told_why_long_before_the_start_time_out(
    cluster: Any, other_ca: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address, security, words = refused(case, cluster, other_ca)
    if type(security) is SASLPlaintext:
        caplog.set_level(logging.INFO, "aiokafka.conn")  # at DEBUG it writes what PLAIN sends; the page says so
    rpc = Rpc(KafkaBroker(address, security=security, logger=None), limits=PATIENT)
    async with asyncio.timeout(FAST):
        with pytest.raises(TransportError, match=words) as caught:
            await rpc.start()
    error: BaseException | None = caught.value
    assert address in str(error)
    while error is not None:
        assert not SECRET.search(f"{error!r} {error}")
        error = error.__cause__
    assert not SECRET.search(caplog.text)
    del error, caught
    gc.collect()


async def test_no_password_is_in_any_log_or_repr_of_a_process_that_works(
    cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "aiokafka")
    broker = scram(cluster, "shop")
    async with directory(cluster, Directory()), Rpc(broker, create_topics=False) as rpc:
        assert await rpc.client(Users).name(1) == "Ada"
        reprs = [repr(rpc), repr(rpc.client(Users)), repr(connection_of(broker)), *map(repr, vars(rpc).values())]
    assert "shop-password" not in " ".join(reprs)
    assert not SECRET.search(caplog.text)
    assert "Authenticated as shop" in caplog.text  # the levels are low enough to see everything


async def test_a_broker_that_is_not_up_yet_is_waited_for_by_tls_too(cluster: Any) -> None:
    (node,) = cluster.nodes
    node.terminate()
    rpc = Rpc(tls(cluster), limits=PATIENT)
    starting = asyncio.create_task(rpc.start())
    try:
        await asyncio.sleep(1)
        assert not starting.done()
    finally:
        await asyncio.to_thread(node.start)
    await asyncio.wait_for(starting, 40)
    await rpc.stop()
