"""`check` on a Kafka with ACLs: what it says is missing is missing, and its commands grant it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateAclsRequest

from cli_runs import Command
from real_kafka import kafka_script
from test_security import acls_of

pytestmark = pytest.mark.kafka

script = kafka_script()

MODULE = """
import os, ssl
from faststream.kafka import KafkaBroker
from faststream.security import SASLScram512
from typedrpc import Rpc, Service, service

class Users(Service, service="users"):
    @service.method
    async def get(self) -> str:
        return "Ada"

security = SASLScram512("newcomer", "newcomer-password", use_ssl=True,
                        ssl_context=ssl.create_default_context(cafile=os.environ["CA"]))
rpc = Rpc(KafkaBroker(os.environ["ADDRESS"], security=security, logger=None), create_topics=False)
rpc.serve(Users())
"""


@pytest.fixture(scope="module")
def secure() -> Iterator[Any]:
    """A cluster of which the user `newcomer` may do nothing at all."""
    if script.java_problem():
        pytest.skip(script.java_problem())
    with script.Cluster(users={"newcomer": "newcomer-password"}) as cluster:
        asyncio.run(make_topics(cluster.bootstrap))
        yield cluster


async def make_topics(address: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        topics = {"users": 12, "rpc.replies": 48, "rpc.cancels": 1, "rpc.reflection": 1}
        log_append = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics(
            [NewTopic(name, count, 1, topic_configs=log_append) for name, count in topics.items()]
        )
    finally:
        await admin.close()


async def grant(address: str, commands: list[str]) -> None:
    """As the super user, what the commands of kafka-acls.sh would."""
    host, _, port = address.partition(":")
    connection = await create_conn(host, int(port))
    try:
        for command in commands:
            for type_, name, principal, operation in acls_of(command):
                made = await connection.send(CreateAclsRequest(type_, name, 3, principal, "*", operation, 3))
                assert [code for code, _ in made.creation_responses] == [0]
    finally:
        connection.close()


def test_the_commands_that_it_names_grant_what_a_server_and_a_client_lack(
    secure: Any, run: Command, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere" / "directory.py").write_text(MODULE)
    environment = {
        "CA": str(secure.ca),
        "ADDRESS": secure.scram,
        "TYPEDRPC_KAFKA": secure.scram,
        "TYPEDRPC_TLS": "1",
        "TYPEDRPC_TLS_CA": str(secure.ca),
        "TYPEDRPC_SASL_MECHANISM": "SCRAM-SHA-512",
        "TYPEDRPC_SASL_USERNAME": "newcomer",
        "TYPEDRPC_SASL_PASSWORD": "newcomer-password",
    }

    def rights(*target: str) -> tuple[int, list[dict[str, str]]]:
        done = run("check", *target, "--json", "--timeout", "30", **environment)
        assert done.err == ""
        return done.code, [each for each in json.loads(done.out) if each["check"] == "acls"]

    lacking = {
        "directory:rpc": [
            "failed newcomer may not read topic users",
            "failed newcomer may not read group users",
            "failed newcomer may not read topic rpc.cancels",
            "warning newcomer may not read topic rpc.replies",
            "warning newcomer may not read topic rpc.reflection",
            "failed newcomer may not write topic rpc.replies",
            "warning newcomer may not write topic rpc.cancels",
        ],
        "": ["warning newcomer may not write topic rpc.reflection"],
    }
    for target, lines in lacking.items():
        code, found = rights(*filter(None, [target]))
        assert [f"{each['sign']} {each['title'].partition(':')[0]}" for each in found] == lines
        assert code == any(line.startswith("failed") for line in lines)
        asyncio.run(grant(secure.bootstrap, [each["remedy"].removeprefix("kafka-acls.sh ") for each in found]))
        code, (found_then,) = rights(*filter(None, [target]))
        assert (code, found_then["sign"]) == (0, "ok")
    readable = run("check", **environment).out
    assert "newcomer-password" not in readable
    assert "ok       clock: " in readable
    assert "skipped  topics: this user may not ask for the settings of rpc.replies" in readable
