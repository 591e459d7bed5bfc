"""What a method of a service may look like, and what is refused while its class is made, with a remedy."""

from __future__ import annotations

import re

import pytest

from class_source import refusal, run

CONTRACT = """
class Contract(Service, Protocol, service="contract"):
    @service.method(raises=[Missing], timeout=5, idempotent=True)
    async def get(self, id: int, *, deep: bool = False) -> Item: ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...
"""


def one_method(method: str, decorator: str = "@service.method") -> str:
    return f"class Made(Service, Protocol):\n    {decorator}\n    {method}\n"


def of_server(method: str, decorator: str = "@service.method") -> str:
    return f"{CONTRACT}class Made(Contract):\n    {decorator}\n    {method}\n"


POSTPONED = pytest.mark.parametrize("postponed", [False, True], ids=["evaluated", "postponed"])


@POSTPONED
@pytest.mark.parametrize(
    ("method", "parameter", "remedy"),
    [
        pytest.param("def get(self) -> int: ...", "", "`async def`", id="sync"),
        pytest.param("async def get(self) -> AsyncIterator[int]: yield 1", "", "one reply", id="async generator"),
        pytest.param("async def get() -> int: ...", "", "takes `self` first", id="no self"),
        pytest.param("async def get(*, id: int) -> int: ...", "", "takes `self` first", id="no self, but a keyword"),
        pytest.param("async def get(self, *ids: int) -> int: ...", "*ids", "take a list", id="*args"),
        pytest.param("async def get(self, **ids: int) -> int: ...", "**ids", "a dict", id="**kwargs"),
        pytest.param("async def get(self, id) -> int: ...", "'id'", "needs an annotation", id="no annotation"),
        pytest.param("async def get(self, id: int): ...", "returns", "`-> None`", id="no annotation of the reply"),
        pytest.param("async def get(self, id: Any) -> int: ...", "'id'", "JsonValue", id="Any"),
        pytest.param("async def get(self, id: object) -> int: ...", "'id'", "JsonValue", id="object"),
        pytest.param("async def get(self, id: Any | None) -> int: ...", "'id'", "name the type", id="Any or None"),
        pytest.param("async def get(self, id: Optional[Any]) -> int: ...", "'id'", "name the type", id="Optional Any"),
        pytest.param("async def get(self, id: Annotated[Any, Field(title='I')]) -> int: ...", "'id'", "name the type", id="Any, annotated"),
        pytest.param("async def get(self) -> Any: ...", "the reply", "name the type", id="a reply of Any"),
        pytest.param("async def get(self) -> object: ...", "the reply", "name the type", id="a reply of object"),
        pytest.param("async def get(self, id: T) -> int: ...", "'id'", "can't be generic", id="generic"),
        pytest.param("async def get(self, id: list[Bound]) -> int: ...", "'id'", "can't be generic", id="generic inside"),
        pytest.param("async def get(self) -> Bound | None: ...", "the reply", "can't be generic", id="generic reply"),
        pytest.param("async def get(self, id: int, ctx: Call) -> int: ...", "'ctx'", "the first", id="Call second"),
        pytest.param("async def get(self, *, ctx: Call) -> int: ...", "'ctx'", "the first", id="Call by keyword"),
        pytest.param("async def get(self, ctx: Call | None = None) -> int: ...", "'ctx'", "current_call()", id="Call or None"),
        pytest.param("async def get(self, ctx: list[Call]) -> int: ...", "'ctx'", "current_call()", id="Calls"),
        pytest.param("async def get(self, ctx: Annotated[Call, 1]) -> int: ...", "'ctx'", "current_call()", id="Call, annotated"),
        pytest.param("async def get(self) -> Call: ...", "the reply", "does not travel", id="a reply of Call"),
        pytest.param("async def get(self, id: Annotated[int, Field(alias='x')]) -> int: ...", "'id'", "rename it", id="alias"),
        pytest.param("async def get(self, id: Annotated[int, Field(validation_alias=AliasChoices('x'))]) -> int: ...", "'id'", "rename it", id="validation alias"),
        pytest.param("async def get(self, id: Annotated[int, Field(serialization_alias='x')]) -> int: ...", "'id'", "rename it", id="serialization alias"),
        pytest.param("async def get(self, id: int = Field(alias='x')) -> int: ...", "'id'", "rename it", id="alias as default"),
        pytest.param("async def get(self, id: int = Field(3)) -> int: ...", "'id'", "Annotated[..., Field(...)]", id="Field() as default"),
        pytest.param("async def get(self, id: Annotated[int, Field(default=3)]) -> int: ...", "'id'", "`= default`", id="default in Field()"),
        pytest.param("async def get(self, id: Annotated[int, Field(exclude=True)]) -> int: ...", "'id'", "exclude=", id="excluded"),
        pytest.param("async def get(self, id: list[int] = []) -> int: ...", "'id'", "use None or a tuple", id="list as default"),
        pytest.param("async def get(self, id: dict[str, int] = {}) -> int: ...", "'id'", "use None or a tuple", id="dict as default"),
        pytest.param("async def get(self, id: set[int] = {1}) -> int: ...", "'id'", "use None or a tuple", id="set as default"),
        pytest.param("async def get(self, id: Socket) -> int: ...", "'id'", "Pydantic cannot handle", id="no Pydantic type"),
        pytest.param("async def get(self, id: 3) -> int: ...", "'id'", "Pydantic cannot handle", id="no type"),
        pytest.param("async def get(self) -> Socket: ...", "the reply", "Pydantic cannot handle", id="no Pydantic type as reply"),
        pytest.param("async def get(self, id: 'Unknown') -> int: ...", "'Unknown'", "outside `if TYPE_CHECKING:`", id="unknown name"),
        pytest.param("async def get(self, id: 'int[') -> int: ...", "int[", "no type", id="no expression"),
        pytest.param("async def get(self, id: 'Socket.Inner') -> int: ...", "Inner", "no type", id="unknown attribute"),
    ],
)  # fmt: skip
def test_a_method_that_cannot_be_called_from_elsewhere_is_refused(
    method: str, parameter: str, remedy: str, postponed: bool
) -> None:
    text = refusal(one_method(method), postponed=postponed)
    assert text.startswith("Made.get: ")
    assert parameter in text
    assert remedy in text


@POSTPONED
@pytest.mark.parametrize(
    ("options", "named", "remedy"),
    [
        pytest.param("oneway=True", "oneway", "return None", id="oneway with a reply"),
        pytest.param("raises=[ValueError]", "ValueError", "derive its class from RpcError", id="no RpcError"),
        pytest.param("raises=[Missing('no', id=1)]", "Missing", "derive its class", id="an error instead of its class"),
        pytest.param("raises=Missing", "raises=Missing", "`raises=[...]`", id="one class instead of a list"),
        pytest.param("raises=[another('Gone'), Gone]", "'Gone'", "rename one", id="two errors named alike"),
        pytest.param("retry=Retry()", "retry=", "idempotent=True", id="retry without idempotent"),
        pytest.param("timeout=0", "timeout=0", "positive", id="no time"),
        pytest.param("timeout=float('inf')", "timeout=inf", "every call has a deadline", id="endless"),
        pytest.param("timeout='2'", "timeout='2'", "positive number of seconds", id="time as text"),
        pytest.param("name='a/b'", "name='a/b'", "letters, digits", id="a name with a slash"),
        pytest.param("name=''", "name=''", "letters, digits", id="an empty name"),
        pytest.param("topic='__consumer_offsets'", "'__consumer_offsets'", "Kafka allows no", id="an internal topic"),
        pytest.param("topic=''", "topic=''", "Kafka allows no", id="an empty topic"),
        pytest.param("topic='a b'", "'a b'", "Kafka allows no", id="a topic with a space"),
        pytest.param("topic='t' * 250", "ttt", "Kafka allows no", id="a topic that is too long"),
        pytest.param("dialect='grpc'", "'grpc'", "'typedrpc', 'faststream'", id="no dialect"),
        pytest.param("delivery='exactly_once'", "'exactly_once'", "'at_least_once', 'at_most_once'", id="no delivery"),
        pytest.param("delivery='at_most_once', dialect='faststream'", "one parameter", "faststream body", id="two parameters in one plain body"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(options: str, named: str, remedy: str, postponed: bool) -> None:
    source = one_method("async def get(self, id: int, deep: bool) -> int: ...", f"@service.method({options})")
    text = refusal(source, postponed=postponed)
    assert text.startswith("Made.get: ")
    assert named in text
    assert remedy in text


@pytest.mark.parametrize("option", ["raises=[Gone]", "idempotent=True", "idempotent=True, retry=Retry()"])
def test_options_about_a_reply_are_refused_for_a_oneway_method(option: str) -> None:
    source = one_method("async def log(self, line: str) -> None: ...", f"@service.method(oneway=True, {option})")
    text = refusal(source, postponed=False)
    assert text == "Made.log: a oneway method has no reply: leave raises=, idempotent= and retry= out"


@pytest.mark.parametrize("other", ["staticmethod", "classmethod"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_static_or_class_method_is_refused(other: str, inside: bool) -> None:
    decorators = ["@service.method", f"@{other}"] if inside else [f"@{other}", "@service.method"]
    text = refusal(one_method("async def get(id: int) -> int: ...", "\n    ".join(decorators)), postponed=False)
    assert text.startswith("Made.get: ")
    assert "`async def`" in text


@POSTPONED
@pytest.mark.parametrize(
    "method",
    [
        pytest.param("async def get(self, number: int, *, deep: bool = False) -> Item: ...", id="renames"),
        pytest.param("async def get(self, *, deep: bool = False) -> Item: ...", id="drops"),
        pytest.param("async def get(self, id: int, *, deep: bool = False, more: int = 1) -> Item: ...", id="adds"),
        pytest.param("async def get(self, id: int, *, deep: bool = True) -> Item: ...", id="changes a default"),
        pytest.param("async def get(self, id: int, *, deep: bool) -> Item: ...", id="drops a default"),
        pytest.param("async def get(self, id: int, deep: bool = False) -> Item: ...", id="changes a kind"),
        pytest.param("async def get(self, *, deep: bool = False, id: int) -> Item: ...", id="reorders"),
    ],
)
def test_a_server_that_changes_its_contracts_parameters_is_refused(method: str, postponed: bool) -> None:
    text = refusal(of_server(method), postponed=postponed)
    assert text.startswith("Made.get(")
    assert "its contract, Contract.get(id: int, *, deep: bool = False) ->" in text
    assert text.endswith("give it the same parameters in the same order, with the same defaults")


@pytest.mark.parametrize(
    ("option", "promised"),
    [
        ("oneway=True", "False"),
        ("name='fetch'", "'get'"),
        ("timeout=4", "5"),
        ("topic='other'", "None"),
        ("dialect='faststream'", "None"),
        ("delivery='at_most_once'", "None"),
        ("idempotent=False", "True"),
        ("retry=Retry()", "None"),
        ("raises=[Missing, Gone]", "Missing"),
        ("raises=[Gone]", "Missing"),
    ],
)
def test_a_server_that_contradicts_its_contracts_options_is_refused(option: str, promised: str) -> None:
    source = of_server("async def get(self, id: int, *, deep: bool = False) -> Item: ...", f"@service.method({option})")
    text = refusal(source, postponed=False)
    assert text.startswith(f"Made.get: {option.partition('=')[0]}=")
    assert re.search(f"contradicts its contract's .*{promised}.*: leave it out$", text)


@pytest.mark.parametrize(
    "options", ["raises=[Missing]", "raises=[]", "timeout=5", "name='get'", "idempotent=True", "oneway=False"]
)
def test_a_server_may_repeat_its_contracts_options(options: str) -> None:
    made = run(
        of_server("async def get(self, id: int, *, deep: bool = False) -> Item: ...", f"@service.method({options})"),
        postponed=False,
    )
    spec = made["Made"].get.spec
    assert (spec.raises, spec.timeout, spec.idempotent) == ((made["Missing"],), 5, True)


def test_a_server_may_not_reply_to_a_oneway_method() -> None:
    text = refusal(of_server("async def log(self, line: str) -> int: ..."), postponed=False)
    assert text == "Made.log: a oneway method has no reply: let it return None"


@POSTPONED
@pytest.mark.parametrize(
    "method",
    [
        "async def get(self) -> None: ...",
        "async def get(self, ctx: Call) -> int: ...",
        "async def get(self, context: 'Call', id: int) -> int: ...",
        "async def get(this, self: int) -> int: ...",
        "async def get(self, timeout: float, json: str, _id: int, model_config: str, args: int, kwargs: int) -> int: ...",
        "async def get(self, cls: int, name: str, field: int, __private: int, print: str, type: str) -> int: ...",
        "async def get(self, a: int, /, b: int = 2, *, c: int = 3) -> int: ...",
        "async def get(self, item: Item = Item(), items: tuple[int, ...] = ()) -> list[Item]: ...",
        "async def get(self, id: Annotated[int, Field(gt=0, description='which')] = 1) -> int: ...",
        "async def get(self, id: Annotated[Any, BeforeValidator(int)]) -> int: ...",
        "async def get(self, data: JsonValue, more: dict[str, Any]) -> JsonValue: ...",
        "async def get(self, id: 'list[Item]') -> 'Item | None': ...",
    ],
)
def test_a_method_may_have(method: str, postponed: bool) -> None:
    assert run(one_method(method), postponed=postponed)["Made"].get.spec.codec is not None


def test_a_server_may_take_the_call_where_its_contract_does_not() -> None:
    made = run(of_server("async def get(self, ctx: Call, id: int, *, deep: bool = False) -> Item: ..."), postponed=True)
    assert made["Made"].get.spec.wants_call
    assert not made["Contract"].get.spec.wants_call


@POSTPONED
def test_a_generic_contract_needs_bounds(postponed: bool) -> None:
    def crud(variable: str) -> str:
        body = f"    @service.method\n    async def save(self, item: {variable}) -> {variable}: ...\n"
        return f"class Crud(Service, Protocol[{variable}], service='crud'):\n{body}"

    text = refusal(crud("T"), postponed=postponed)
    assert text.startswith("Crud.save: 'item': give ~T a bound")
    run(crud("Bound"), postponed=postponed)


def test_an_errors_field_of_an_unknown_type_is_refused() -> None:
    text = refusal(
        "class Odd(RpcError):\n    what: Socket\n"
        + one_method("async def get(self) -> int: ...", "@service.method(raises=[Odd])"),
        postponed=True,
    )
    assert text.startswith("Made.get: Pydantic cannot handle a field of an error")
    text = refusal(
        "class Odd(RpcError):\n    what: Unknown\n"
        + one_method("async def get(self) -> int: ...", "@service.method(raises=[Odd])"),
        postponed=True,
    )
    assert text == "Made.get: 'Unknown', a type of a field of an error, is not known here"
