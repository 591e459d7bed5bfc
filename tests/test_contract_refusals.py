"""What a class is refused for as a service while it is made; what of a method, test_signature.py says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, SecretStr, field_serializer

from class_source import refusal, run


class Login(BaseModel):
    user: str
    password: SecretStr


class Session(BaseModel):
    logins: dict[str, Login]


class Open(BaseModel):
    password: SecretStr

    @field_serializer("password")
    def write(self, password: SecretStr) -> str:
        return password.get_secret_value()


class Tree(BaseModel):
    below: list[Tree]


ADMIN = """
class Admin(Service, Protocol, service="admin"):
    @service.method
    async def stop(self) -> str: ...
"""


def made(options: str, *methods: tuple[str, str], base: str = "Service, Protocol") -> str:
    """The source of a class whose methods are of (options, name)."""
    body = "".join(f"    @service.method({o})\n    async def {name}(self) -> int: ...\n" for o, name in methods)
    return f"class Made({base}{options and ', ' + options}):\n    pass\n{body}"


@pytest.mark.parametrize(
    "method", ["async def get(self) -> int: ...", "def get(self) -> int: ...", "def get(self): ..."]
)
def test_a_public_method_of_a_contract_is_decorated(method: str) -> None:
    text = refusal(f"class Made(Service, Protocol):\n    {method}")
    assert text == "Made.get: decorate it with @service.method, or start its name with _ where it is no RPC method"


@pytest.mark.parametrize(
    "source",
    [
        "class Made(Service, Protocol):\n    def _get(self) -> int: ...",
        "class Made(Service):\n    def get(self) -> int: ...",
        "@service\nclass Made:\n    def get(self) -> int: ...",
        ADMIN + "class Made(Admin):\n    def more(self) -> int: ...",
    ],
)
def test_private_methods_and_a_servers_own_ones_need_no_decorator(source: str) -> None:
    run(source, postponed=True)


@pytest.mark.parametrize(
    "override",
    ["async def stop(self) -> str: ...", "def stop(self) -> str: ...", "stop = None", "stop = staticmethod(print)"],
)
@pytest.mark.parametrize("bases", ["Admin", "Admin, Protocol"])
def test_an_override_is_decorated(override: str, bases: str) -> None:
    text = refusal(f"{ADMIN}class Made({bases}):\n    {override}")
    assert text == "Made.stop: decorate it with @service.method, as the method that it overrides"


@pytest.mark.parametrize("decorator", ["", "    @service.method\n"])
def test_a_method_does_not_come_from_a_class_that_is_no_service(decorator: str) -> None:
    mixin = f"class Mixin:\n{decorator}    async def stop(self) -> str: ...\n"
    text = refusal(f"{ADMIN}{mixin}class Made(Mixin, Admin): ...")
    assert text == (
        "Made.stop: Mixin, which it comes from, is no service: derive that from the contract, "
        "and decorate the method with @service.method"
    )


def test_a_method_fits_every_contract_that_declares_it() -> None:
    other = "class Other(Service, Protocol):\n    @service.method\n    async def stop(self, hard: bool) -> str: ...\n"
    server = "class Stops(Service):\n    @service.method\n    async def stop(self) -> str: ...\n"
    run(f"{ADMIN}{server}class Made(Stops, Admin): ...", postponed=True)
    text = refusal(f"{other}{server}class Made(Stops, Other): ...")
    assert re.match(r"Made\.stop\(\) -> str differs from its contract, Other\.stop\(hard: bool\) -> str: give it", text)
    text = refusal(f"{ADMIN}{other}class Made(Admin, Other, Protocol): ...")
    assert re.match(r"Made\.stop\(\) -> str differs from its contract, Other\.stop\(hard: bool\) -> str: give it", text)


def test_contracts_of_one_server_agree_on_names_on_the_wire() -> None:
    other = "class Other(Service, Protocol):\n    @service.method(name='halt')\n    async def stop(self) -> str: ...\n"
    text = refusal(f"{ADMIN}{other}class Made(Admin, Other): ...")
    assert text == "Made.stop: name='stop' contradicts Other.stop's 'halt': rename one of the two methods"


def test_a_server_has_no_rpc_methods_beside_its_contract() -> None:
    text = refusal(ADMIN + made("", ("", "more"), base="Admin"))
    assert text == "Made.more is not in the contract: declare it there, or leave @service.method out"


@pytest.mark.parametrize(
    "option", ["service='other'", "topic='other'", "dialect='faststream'", "delivery='at_most_once'"]
)
def test_a_servers_class_leaves_its_contracts_options_alone(option: str) -> None:
    text = refusal(ADMIN + made(option, base="Admin"))
    assert text == f"Made: {option} is its contract's to say: leave it out"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "größe", "x" * 201, "a\n"])
@pytest.mark.parametrize("style", ["class Made(Service, service={}): ...", "@service(service={})\nclass Made: ..."])
def test_an_illegal_service_name_is_refused(name: str, style: str) -> None:
    text = refusal(style.format(repr(name)))
    assert text == f"Made: service={name!r}: up to 200 letters, digits, '.', '_' and '-'"


def test_a_class_name_that_cannot_be_a_services_is_refused() -> None:
    text = refusal("class Größe(Service): ...")
    assert text == "Größe: service='Größe': up to 200 letters, digits, '.', '_' and '-'"


@pytest.mark.parametrize("topic", ["", ".", "..", "__internal", "a b", "ä", "t" * 250])
def test_an_illegal_topic_name_is_refused(topic: str) -> None:
    assert refusal(made(f"topic={topic!r}")) == f"Made: topic={topic!r}: Kafka allows no such topic name here"


def test_a_service_name_that_is_no_topic_needs_one() -> None:
    text = refusal(made("service='__internal'", ("", "get")))
    assert text == "Made.get: topic='__internal': Kafka allows no such topic name here"
    run(made("service='__internal', topic='fine'", ("", "get")), postponed=True)


def test_options_of_a_class_have_known_words() -> None:
    text = refusal(made("delivery='never'"))
    assert text == "Made: delivery='never': write one of 'at_least_once', 'at_most_once'"
    text = refusal(made("dialect='soap'"))
    assert text == "Made: dialect='soap': write one of 'typedrpc', 'faststream', 'spring', 'nestjs', 'smallrye'"


def test_methods_of_one_service_differ_in_name() -> None:
    text = refusal(made("", ("name='x'", "one"), ("name='x', topic='other'", "two")))
    assert text == "Made.two and Made.one have one name on the wire, 'x': give one a name="


def test_plain_methods_do_not_share_a_topic() -> None:
    text = refusal(made("topic='t', dialect='faststream'", ("", "one"), ("", "two")))
    assert text.startswith("Made.two and Made.one are faststream methods on one topic, 't'")
    assert text.endswith("give each a topic=")
    run(made("dialect='faststream'", ("topic='a'", "one"), ("topic='b'", "two")), postponed=True)


def test_methods_on_one_topic_are_delivered_alike() -> None:
    text = refusal(made("", ("", "one"), ("delivery='at_most_once'", "two")))
    assert text == "Made.two and Made.one share topic 'Made' with different delivery=: split them"
    run(made("", ("", "one"), ("delivery='at_most_once', topic='other'", "two")), postponed=True)


def test_what_must_not_run_twice_is_not_retried() -> None:
    text = refusal(made("delivery='at_most_once'", ("idempotent=True", "one")))
    assert text.startswith("Made.one: idempotent=True asks for retries, and delivery='at_most_once'")
    run(made("", ("delivery='at_most_once', topic='other'", "one"), ("idempotent=True", "two")), postponed=True)


def test_a_name_imported_for_type_checkers_only_is_refused_with_the_remedy() -> None:
    guarded = "if TYPE_CHECKING:\n    from decimal import Decimal\n"
    text = refusal(
        f"{guarded}class Made(Service, Protocol):\n    @service.method\n    async def get(self) -> Decimal: ..."
    )
    assert text == (
        "Made.get: 'Decimal' is not known when the service is made: define it first, and import it outside "
        "`if TYPE_CHECKING:` (ruff's lint.flake8-type-checking.runtime-evaluated-decorators keeps it there)"
    )


def refused_types(before: str, annotation: str, *, postponed: bool = True) -> Iterator[tuple[str, str]]:
    """With what a parameter of this type, and a reply, are refused."""
    for name, signature in (("'word'", f"word: {annotation}) -> None"), ("the reply", f") -> {annotation}")):
        method = f"    @service.method\n    async def get(self, {signature}: ..."
        yield name, refusal(f"{before}class Made(Service, Protocol):\n{method}", postponed=postponed)


SECRETS = """
from pydantic import PlainSerializer, Secret, SecretBytes, SecretStr
from test_contract_refusals import Login, Open, Session, Tree
"""


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        ("SecretStr", "SecretStr"),
        ("SecretBytes", "SecretBytes"),
        ("Secret[int]", "Secret"),
        ("list[SecretStr] | None", "SecretStr"),
        ("Annotated[SecretStr, 'short']", "SecretStr"),
        ("Login", "Login.password"),
        ("list[Session]", "Session.logins"),
    ],
)
def test_a_secret_that_would_arrive_as_asterisks_is_refused(annotation: str, what: str) -> None:
    for name, text in refused_types(SECRETS, annotation):
        assert text == (
            f"Made.get: {name}: Pydantic writes asterisks for {what}, which is what would arrive: take a plain type, "
            "or say that it is to travel: Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value)]"
        )


@pytest.mark.parametrize(
    "annotation", ["Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value)]", "Open", "list[Tree]"]
)
async def test_a_secret_with_a_serializer_of_its_own_is_taken(annotation: str) -> None:
    method = f"    @service.method\n    async def get(self, word: {annotation}) -> None: ..."
    run(f"{SECRETS}class Made(Service, Protocol):\n{method}", postponed=True)


PARSED = """
from pydantic import Json, PlainSerializer
class Settings(BaseModel):
    values: Json[list[int]]
class Nested(BaseModel):
    all: list[Settings]
class Written(BaseModel):
    values: Annotated[Json[int], PlainSerializer(str)]
"""


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        ("Json", "Json"),
        ("Json[int]", "Json"),
        ("dict[str, Json[int] | None]", "Json"),
        ("Annotated[Json[int], 'short']", "Json"),
        ("Settings", "Settings.values"),
        ("Nested", "Nested.all"),
    ],
)
def test_json_that_is_read_from_a_text_and_not_written_as_one_is_refused(annotation: str, what: str) -> None:
    for name, text in refused_types(PARSED, annotation, postponed=False):
        assert text == (
            f"Made.get: {name}: Pydantic reads {what} from a text and writes what was in it, which is refused where it "
            "arrives: take the type inside, as int for Json[int], or a str"
        )


@pytest.mark.parametrize("annotation", ["Annotated[Json[int], PlainSerializer(str)]", "Written", "JsonValue"])
def test_json_that_is_written_as_it_is_read_is_taken(annotation: str) -> None:
    method = f"    @service.method\n    async def get(self, word: {annotation}) -> None: ..."
    names = run(f"{PARSED}class Made(Service, Protocol):\n{method}", postponed=False)
    codec = names["Made"].get.spec.codec
    sent = codec.dump_arguments((names["Written"](values="3") if annotation == "Written" else 3,), {})
    codec.load_arguments(sent)
