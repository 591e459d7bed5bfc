"""`list`, `describe` and `call`, on a real Kafka, of a server whose code is not there."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import pytest

from cli_runs import Command, patiently
from typedrpc import ContractDocument
from typedrpc.cli.completing import complete_method, complete_service, complete_source
from typedrpc.cli.connection import Settings, connected
from typedrpc.transport import TransportError
from typedrpc.transport.kafka import KafkaTransport, Refused
from typedrpc.transport.kafka.refusal import Refusal

pytestmark = pytest.mark.kafka


def test_list_names_a_service_with_who_serves_it(server: Path, run: Command, name: str) -> None:
    done = patiently(lambda: run("list", "--json"), lambda done: name in done.out)
    assert done.code == 0, done.err
    (found,) = [each for each in json.loads(done.out) if each["service"] == name]
    (instance,) = found["instances"]
    assert (found["lag"], found["in_flight"], len(instance["contract_hash"])) == (0, 0, 64)
    assert instance["uptime"] > 0
    table = patiently(lambda: run("list"), lambda done: name in done.out).out
    (line,) = [line for line in table.splitlines() if name in line]
    assert instance["contract_hash"][:12] in line


def test_lag_is_what_nobody_has_read_yet(server: Path, run: Command, name: str) -> None:
    """A oneway that was handled is no lag once it is committed."""
    assert run("call", f"{name}/log", '{"line": "x"}').code == 0

    def lag() -> int | None:
        found = json.loads(run("list", "--json").out)
        return next((each["lag"] for each in found if each["service"] == name), None)

    assert patiently(lag, lambda lag: lag == 0) == 0


def test_describe_shows_methods_models_and_errors(server: Path, run: Command, name: str) -> None:
    done = run("describe", name)
    assert done.code == 0, done.err
    for text in (
        f"service {name}",
        "Says it [bold]again[/].",  # somebody's text is no markup
        "echo(msg: Message, *, mode: Literal['plain', 'shout'] = 'plain') -> Message",
        "Answer with the message.",
        "time-out 5 s; raises TooLoud",
        "log(line: str) -> None",
        "oneway",
        "loud: bool = False",
        "TooLoud (FAILED_PRECONDITION)",
        "Not in here.",
        "decibels: int",
    ):
        assert text in done.out, done.out


def test_describe_as_json_is_the_contract_document(server: Path, run: Command, name: str) -> None:
    assert ContractDocument.model_validate_json(run("describe", name, "--json").out).service == name


def test_call_prints_the_reply(server: Path, run: Command, name: str) -> None:
    done = run("call", f"{name}/echo", '{"msg": {"text": "hi"}}')
    assert (done.code, json.loads(done.out), done.err) == (0, {"text": "hi", "loud": False}, "")
    one_line = run("call", f"{name}/echo", '{"msg": {"text": "hi"}}', "--json")
    assert one_line.out == '{"status":"OK","reply":{"text":"hi","loud":false}}\n'


def test_a_reply_of_any_length_is_json(server: Path, run: Command, name: str) -> None:
    text = "word " * 100
    done = run("call", f"{name}/echo", json.dumps({"msg": {"text": text}}), COLUMNS="80")
    assert json.loads(done.out)["text"] == text


def test_call_takes_metadata_and_standard_input(server: Path, run: Command, name: str) -> None:
    assert json.loads(run("call", f"{name}/who", "-H", "tenant=a", "-H", "user=b=c").out) == {
        "tenant": "a",
        "user": "b=c",
    }
    assert run("call", f"{name}/log", "-", stdin='{"line": "from outside"}').code == 0
    until = time.monotonic() + 20
    while "logged from outside" not in server.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_call_speaks_another_frameworks_dialect_where_the_contract_does(server: Path, run: Command, name: str) -> None:
    assert json.loads(run("call", f"{name}/plain", '{"line": "up"}', "--json").out)["reply"] == "UP"


def test_a_declared_error_is_shown_with_its_fields_and_is_the_exit_code(server: Path, run: Command, name: str) -> None:
    done = run("call", f"{name}/echo", '{"msg": {"text": "hi"}, "mode": "shout"}')
    assert (done.code, done.out) == (64 + 9, "")
    assert done.err == 'typedrpc: FAILED_PRECONDITION: too loud\ntype: "TooLoud"\ndata: {"decibels":120}\n'


@pytest.mark.parametrize(
    ("method", "body", "code", "says"),
    [
        ("echo", '{"msg": {"txt": "hi"}}', 64 + 3, "msg.text"),
        ("echo", "{", 2, "no JSON"),
        ("echo", "[1]", 2, "the parameters are given by name, as a JSON object; it takes echo(msg: Message"),
        (
            "echo",
            '{"msg": {"text": "hi"}, "mod": "shout"}',
            2,
            "no parameter 'mod', did you mean 'mode'? it takes echo(",
        ),
        ("plain", '{"lin": "up"}', 2, "no parameter 'lin', did you mean 'line'? it takes plain(line: str) -> str"),
        ("nothing", "{}", 64 + 12, "it has echo, log, plain, who"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    server: Path, run: Command, name: str, method: str, body: str, code: int, says: str
) -> None:
    done = run("call", f"{name}/{method}", body)
    assert (done.code, done.out) == (code, "")
    assert says in done.err


def test_a_service_that_nobody_serves_is_said_to_be_so(kafka: str, run: Command, name: str) -> None:
    done = run("call", f"{name}/echo", "--timeout", "1")
    assert done.code == 64 + 4
    assert f"no server at {kafka} answered for service {name!r} within 1 s" in done.err


def test_an_error_of_a_call_that_nobody_answered_is_json_too(kafka: str, run: Command, name: str) -> None:
    done = run("call", f"{name}/echo", "--timeout", "1", "--json")
    assert (done.code, done.err) == (64 + 4, "")
    told = json.loads(done.out)
    assert told["status"] == "DEADLINE_EXCEEDED"
    assert "no server" in told["error"]["message"]


def test_a_misspelt_service_is_answered_with_the_one_that_was_meant(server: Path, run: Command, name: str) -> None:
    done = patiently(lambda: run("describe", f"{name}x", "--timeout", "1"), lambda done: "did you mean" in done.err)
    assert done.code == 64 + 4
    assert f"did you mean {name!r}? or was it started with Rpc(reflection=False)?" in done.err
    for no_name in (f"{name}/echo", f"{name}@running", "x" * 201):
        done = run("describe", no_name)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "is no name of a service" in done.err


def test_a_dialect_that_cannot_tell_errors_is_said_to_be_so(server: Path, run: Command, name: str) -> None:
    done = run("call", f"{name}/plain", '{"line": 7}', "--timeout", "2")
    assert done.code == 64 + 4
    assert "; or it failed, which its dialect cannot tell" in done.err


def test_a_table_that_a_program_reads_has_whole_names(server: Path, run: Command, name: str) -> None:
    assert name in patiently(lambda: run("list", COLUMNS="30"), lambda done: name in done.out).out


def test_names_are_completed_from_the_servers_that_run(server: Path, run: Command, name: str) -> None:
    def completed(words: str) -> list[str]:
        asked = {"_TYPEDRPC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
        return patiently(lambda: run(**asked), lambda done: done.out).out.split()

    assert completed(f"typedrpc describe {name[:-2]}") == [name]
    assert completed(f"typedrpc call {name[:-2]}") == [f"{name}/{each}" for each in ("echo", "log", "plain", "who")]
    assert completed(f"typedrpc diff {name[:-2]}") == [f"{name}@running"]
    assert completed(f"typedrpc tail {name[:-2]}") == [name]
    assert completed(f"typedrpc call {name}/e") == [f"{name}/echo"]
    assert (
        run(
            _TYPEDRPC_COMPLETE="complete_bash",
            COMP_WORDS="typedrpc describe e",
            COMP_CWORD="2",
            TYPEDRPC_KAFKA="127.0.0.1:1",
        ).out.split()
        == []
    )


def test_sasl_is_taken_from_flags_and_the_environment(sasl: str, run: Command) -> None:
    flags = ["--kafka", sasl, "--sasl-mechanism", "PLAIN", "--sasl-username", "alice"]
    done = run(*flags, "list", "--wait", "0.2", TYPEDRPC_SASL_PASSWORD="alice-secret")
    assert done.code == 0, done.err
    wrong = run(*flags, "list", TYPEDRPC_SASL_PASSWORD="guessed-secret")
    assert wrong.code == 1
    assert "guessed-secret" not in wrong.out + wrong.err


@pytest.mark.parametrize(
    "words",
    [
        ["--sasl-mechanism", "GUESS", "list"],
        ["list", "--sasl-mechanism", "GUESS", "--wait", "0.2"],
        ["list", "--wait", "0.2", "--sasl-mechanism=GUESS"],
        ["describe", "--no-tls", "echo", "--sasl-mechanism", "GUESS"],
        ["generate", "-o", "client", "--sasl-mechanism", "GUESS", "--from", "echo@running"],
    ],
    ids=" ".join,
)
def test_the_connections_flags_may_stand_anywhere(run: Command, words: list[str]) -> None:
    done = run(*words, TYPEDRPC_SASL_MECHANISM="PLAIN")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "sasl_mechanism: Input should be" in done.err


def test_a_flag_without_its_value_is_named(run: Command) -> None:
    done = run("list", "--kafka")
    assert done.code == 2
    assert "'--kafka' requires an argument" in done.err


def test_what_stands_behind_two_dashes_is_no_flag(run: Command) -> None:
    done = run("describe", "--", "--kafka", "127.0.0.1:1")
    assert done.code == 2


@pytest.mark.parametrize("words", [["run", "mine:rpc"], ["topics", "plan", "mine:rpc"], ["check", "mine:rpc"]])
def test_commands_that_connect_as_an_rpc_does_refuse_flags(run: Command, words: list[str]) -> None:
    done = run(*words, "--kafka", "127.0.0.1:1", "--tls")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--kafka, --tls: the connection is that of the Rpc" in done.err


@pytest.mark.parametrize("words", [["run", "mine:rpc"], ["topics", "plan", "mine:rpc"], ["check", "mine:rpc"]])
def test_commands_that_connect_as_an_rpc_does_read_no_variables(run: Command, words: list[str]) -> None:
    done = run(*words, TYPEDRPC_TLS="perhaps", TYPEDRPC_SASL_MECHANISM="GUESS")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "there is no module 'mine'" in done.err


def test_an_address_where_nothing_is_is_one_line(run: Command) -> None:
    began = time.monotonic()
    done = run("list", "--kafka", "127.0.0.1:1")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert time.monotonic() - began < 8  # it is asked once: to try again takes `Limits.start_timeout`, ten seconds
    assert "127.0.0.1:1" in done.err
    assert "TYPEDRPC_KAFKA" not in done.err


async def test_an_address_that_nobody_gave_is_said_to_be_a_default(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")  # which it sets for its process: the next test has its own again

    async def refused(_: KafkaTransport) -> None:
        raise TransportError("nothing listens there")

    monkeypatch.delenv("TYPEDRPC_KAFKA", raising=False)
    monkeypatch.setattr(KafkaTransport, "connect", refused)
    with pytest.raises(TransportError, match="nothing listens there; --kafka or TYPEDRPC_KAFKA says where it is"):
        async with connected(Settings.given()):
            pytest.fail("nobody is there")


async def test_a_listener_that_has_tls_is_answered_with_the_flag_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")

    async def refused(_: KafkaTransport) -> None:
        refusal = Refusal("wants TLS", "it speaks TLS", "give the broker's security use_ssl=True")
        raise Refused("no connection to kafka:9093", refusal, transient=False)

    monkeypatch.setattr(KafkaTransport, "connect", refused)
    with pytest.raises(TransportError, match="no connection to kafka:9093: it speaks TLS; connect by TLS: --tls "):
        async with connected(Settings.given()):
            pytest.fail("nobody is there")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"TYPEDRPC_SASL_MECHANISM": "GUESS"}, "sasl_mechanism"),
        ({"TYPEDRPC_SASL_USERNAME": "alice"}, "--sasl-mechanism"),
        ({"TYPEDRPC_SASL_MECHANISM": "PLAIN"}, "TYPEDRPC_SASL_PASSWORD"),
        ({"TYPEDRPC_TLS_CA": "/not/there"}, "without --tls"),
        (
            {"TYPEDRPC_KAFKA": "localhost:abc"},
            "TYPEDRPC_KAFKA): ['localhost:abc']: write each bootstrap server as HOST:PORT",
        ),
        ({"TYPEDRPC_KAFKA": "localhost:9092,localhost:0"}, "as HOST:PORT"),
        ({"TYPEDRPC_KAFKA": ""}, "TYPEDRPC_KAFKA"),
        ({"TYPEDRPC_TLS": "1", "TYPEDRPC_TLS_CA": "/not/there"}, "TYPEDRPC_TLS_CA"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(run: Command, variables: dict[str, str], says: str) -> None:
    done = run("list", **variables)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (["list"], "localhost:abc"),
        (["list"], "localhost:99999"),
        (["list"], ":9092"),
        (["list"], ""),
        (["call", "users/get"], "localhost:abc"),
        (["tail", "users"], "localhost:abc"),
        (["diff", "users@running", "x.json"], "localhost:abc"),
    ],
)
def test_what_is_no_address_is_wrong_usage(run: Command, words: list[str], address: str) -> None:
    done = run(*words, "--kafka", address)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--kafka" in done.err
    assert "as HOST:PORT" in done.err


def test_no_name_that_means_something_to_a_shell_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def answering(_: Settings) -> AsyncGenerator[Any]:
        class Answers:
            async def services(self, _: float) -> list[str]:
                return ["users", "users;touch x", "users$(x)", "users`x`", "users x", "users\n", "users\\$x"]

            async def contract(self, service: str, _: float) -> Any:
                names = ("get-all", "get.one", "get$(x)", "get/x", "get x", "")
                return SimpleNamespace(service=service, methods=[SimpleNamespace(name=name) for name in names])

        yield Answers()

    class Context:
        params: ClassVar[dict[str, Any]] = {}

        def find_root(self) -> Self:
            return self

    monkeypatch.setattr("typedrpc.cli.completing.connected", answering)
    context: Any = Context()
    assert complete_service(context, "us") == ["users"]
    assert complete_source(context, "us") == ["users@running"]
    assert complete_method(context, "users/g") == ["users/get-all", "users/get.one"]
