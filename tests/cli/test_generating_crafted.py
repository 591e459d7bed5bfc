"""`generate`, of documents that no contract has: each is refused in one line, or gives a package that can be imported."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cli_runs import Command
from contract_source import document, method, users
from generated_source import contract_of_package
from typedrpc import ContractDocument, UsageError, contract_schema
from typedrpc.cli.generate.package import sources

BEFORE = """
class Kind(enum.Enum):
    A = "a"
    B = "b"

class Item(BaseModel):
    kind: Kind = Kind.A
    size: Annotated[int, Field(gt=0, le=9)] = 1
    word: Annotated[str, Field(min_length=1, pattern="^a")] = "a"
    more: list["Item"] = []

class Busy(RpcError, code=Status.ABORTED):
    why: str
"""
GET = method(
    "item: Item = Item(), kind: Kind = Kind.B, *, limit: Annotated[float, Field(multiple_of=0.5)] = 1.0",
    "dict[UUID, Item]",
    decorator="raises=[Busy], idempotent=True, retry=Retry(backoff=0.5), timeout=3",
)
WHOLE: Any = document(users(GET, method(name="two"), before=BEFORE)).model_dump(mode="json")


def changed(*path: str | int, value: Any) -> ContractDocument:
    """The document with another value in one place; a place after the last of a list is a new one."""
    made = json.loads(json.dumps(WHOLE))
    there: Any = made
    for key in path[:-1]:
        there = there[key]
    if path[-1] == len(there):
        there.append(value)
    else:
        there[path[-1]] = value
    return ContractDocument.model_validate(made)


FIRST, SECOND = WHOLE["methods"]
ITEM, KIND, LIMIT = FIRST["parameters"]
FIELD = ("definitions", "Item", "properties")


REFUSED: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("methods", 0, "parameters", 3), LIMIT, "two parameters of the method 'get' named 'limit'"),
    (("methods", 0, "parameters", 0), {**ITEM, "kind": "keyword_only"}, "method 'get': wrong parameter order"),
    (("methods", 2), {**FIRST, "name": "other"}, "two methods 'get'"),
    (("methods", 1, "name"), "get", r"Users.two and Users.get have one name on the wire, 'get'"),
    (("methods",), [], "no methods: there is nothing to call"),
    (("methods", 0, "retry", "attempts"), 0, "method 'get': Retry.* attempts is at least one"),
    (("methods", 0, "retry", "backoff"), float("inf"), "method 'get': a backoff of its retries is no number"),
    (("methods", 0, "timeout"), 0, "Users.get: timeout=0.0: give a positive number"),
    (("methods", 0, "idempotent"), False, "Users.get: retry= needs idempotent=True"),
    (("methods", 0, "oneway"), True, "Users.get: a oneway method has no reply"),
    (("methods", 0, "dialect"), "nestjs", "Users.get: a nestjs body is one value"),
    (("methods", 0, "topic"), "a b", "Users.get: topic='a b': Kafka allows no such topic name"),
    (("methods", 0, "name"), "a/b", "Users.get: name='a/b'"),
    (("errors", "Busy", "fields", 1), WHOLE["errors"]["Busy"]["fields"][0], "the error 'Busy' named 'why'"),
    (("errors", "Busy", "fields", 0, "name"), "args", "Busy.args: every error has an attribute of this name"),
    ((*FIELD, "size", "multipleOf"), 0.0, "the model Item .* 'multiple_of' must be .* greater than 0"),
    (("methods", 0, "parameters", 2, "json_schema", "multipleOf"), 0.0, "the method get .* 'multiple_of' must"),
    ((*FIELD, "word", "minLength"), -1, "the model Item .* negative"),
    ((*FIELD, "word", "pattern"), "(", "the model Item .* unclosed group"),
    (("errors", "Busy", "fields", 0, "json_schema", "pattern"), "(", "the error Busy .* unclosed group"),
    (("methods", 0, "parameters", 0, "json_schema", "default"), {"size": 0}, "a default that is no Item"),
    (
        ("methods", 0, "parameters", 0, "json_schema", "default"),
        {"more": [{"kind": "c"}]},
        "a default that is no Item",
    ),
    (("methods", 0, "parameters", 2, "json_schema", "default"), [10**5000], "what Python cannot write"),
    (
        ("definitions", "Odd"),
        {"allOf": [{"$ref": "#/definitions/Kind"}, {"type": "object", "properties": {"b": {}}}]},
        "the model Odd .* cannot extend",
    ),
]


@pytest.mark.parametrize(("path", "value", "says"), REFUSED)
def test_what_no_contract_says_is_refused_with_its_place(path: tuple[str | int, ...], value: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        sources(changed(*path, value=value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*FIELD, "model_dump"), {"type": "integer"}),
        ((*FIELD, "model_validate_it"), {"type": "integer"}),
        ((*FIELD, "model_config"), {"type": "integer"}),
        (("methods", 0, "parameters", 0, "json_schema"), {"not": {}}),
        (("methods", 0, "reply"), {"enum": []}),
        (
            (*FIELD, "either"),
            {"oneOf": [{"$ref": "#/definitions/Item"}] * 2, "discriminator": {"propertyName": "kind"}},
        ),
        ((*FIELD, "either"), {"oneOf": [{"type": "integer"}, {}], "discriminator": {"propertyName": "kind"}}),
        ((*FIELD, "word", "deprecated"), "yes"),
        (("definitions", "Kind", "x-enum-varnames"), ["mro", "mro"]),
        (("definitions", "Kind", "title"), "class"),
        (("definitions", "Item", "title"), '"""\nimport os'),
    ],
)
def test_what_is_odd_can_be_imported_without_a_warning(path: tuple[str | int, ...], value: Any) -> None:
    made = changed(*path, value=value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        contract_schema(contract_of_package(made))


def test_the_command_tells_what_is_wrong_in_one_line(run: Command, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "bad.json").write_text(changed("methods", value=[]).model_dump_json())
    done = run("generate", "--from", "bad.json", "-o", "api")
    said = "typedrpc: the contract document has no methods: there is nothing to call\n"
    assert (done.code, done.out, done.err) == (2, "", said)
    assert not (tmp_path / "elsewhere" / "api").exists()


SCALARS = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "a", "get", "Item", "kind", "(", "object", "array", "string", 10**400]
)
KEYS = ("type", "enum", "items", "$ref", "properties", "minLength", "multipleOf", "default", "anyOf", "const", "format")
VALUES = st.recursive(
    SCALARS | st.sampled_from(["Item", "Kind", "Nope"]).map(lambda name: {"$ref": f"#/definitions/{name}"}),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """All in the document."""
    inner: Any = getattr(value, "items", lambda: enumerate(value if value.__class__ is list else ()))()
    return [path, *(each for key, part in inner for each in places(part, (*path, key)))]


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(places(WHOLE)[1:]), VALUES)
def test_a_document_with_anything_in_any_place_is_refused_or_can_be_imported(
    path: tuple[str | int, ...], value: Any
) -> None:
    try:
        made = changed(*path, value=value)
        sources(made)
    except (UsageError, ValidationError):
        return
    contract_schema(contract_of_package(made))
