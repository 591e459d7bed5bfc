"""What is said of a change of a type, in a request and in a reply, from old to new and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract_source import changes, changes_at, document, method, users
from typedrpc.changes import contract_changes
from typedrpc.schema_changes import Comparison, Spot

Said = tuple[str, str, str]
"""A rule, with whom it breaks in a request and in a reply."""

EVERYBODY = "WC WS SC SS"
WIDENED: Said = ("TYPE_WIDENED", "WS SS", "WC SC")
NARROWED: Said = ("TYPE_NARROWED", "WC SC", "WS SS")
CHANGED: Said = ("TYPE_CHANGED", EVERYBODY, EVERYBODY)
FORMAT: Said = ("FORMAT_ADDED", "WC SC SS", "WS SC SS")
NO_FORMAT: Said = ("FORMAT_REMOVED", "WS SC SS", "WC SC SS")
OTHER_FORMAT: Said = ("FORMAT_CHANGED", EVERYBODY, EVERYBODY)
VALUE: Said = ("ENUM_VALUE_ADDED", "WS SS", "WC SC")
NO_VALUE: Said = ("ENUM_VALUE_REMOVED", "WC SC SS", "WS SC SS")
TIGHTENED: Said = ("CONSTRAINT_TIGHTENED", "WC", "WS")
LOOSENED: Said = ("CONSTRAINT_LOOSENED", "WS", "WC")
CONSTRAINED: Said = ("CONSTRAINT_CHANGED", "WC WS", "WC WS")
NOTED: Said = ("ANNOTATION_CHANGED", "", "")

ROWS: list[tuple[str, str, Said, Said]] = [  # from, to; what is said of it, and of the reverse
    ("int", "int | None", WIDENED, NARROWED),
    ("int", "float", WIDENED, NARROWED),
    ("int", "FiniteFloat", WIDENED, NARROWED),
    ("Literal[1]", "FiniteFloat", WIDENED, NARROWED),
    ("int | str", "int | str | bool", WIDENED, NARROWED),
    ("int | str", "float | str | None", WIDENED, NARROWED),
    ("Literal['a']", "str", WIDENED, NARROWED),
    ("Literal[1, None]", "int | None", WIDENED, NARROWED),
    ("list[int]", "list[int | None]", WIDENED, NARROWED),
    ("dict[str, int]", "dict[str, float]", WIDENED, NARROWED),
    ("tuple[int, int]", "tuple[int, float]", WIDENED, NARROWED),
    ("int", "str", CHANGED, CHANGED),
    ("int", "bool", CHANGED, CHANGED),
    ("int | None", "str | None", CHANGED, CHANGED),
    ("int | None", "str | bool", CHANGED, CHANGED),
    ("list[int]", "set[int]", CHANGED, CHANGED),
    ("list[int]", "dict[str, int]", CHANGED, CHANGED),
    ("Literal['a']", "int", CHANGED, CHANGED),
    ("Literal[True]", "int", CHANGED, CHANGED),
    ("str", "datetime", FORMAT, NO_FORMAT),
    ("date", "datetime", OTHER_FORMAT, OTHER_FORMAT),
    ("Literal['a']", "Literal['a', 'b']", VALUE, NO_VALUE),
    ("Literal[1, None]", "Literal[1, 2] | None", VALUE, NO_VALUE),
    ("int", "Annotated[int, Field(ge=1)]", TIGHTENED, LOOSENED),
    ("Annotated[int, Field(ge=1)]", "Annotated[int, Field(ge=2)]", TIGHTENED, LOOSENED),
    ("Annotated[int, Field(gt=1)]", "Annotated[int, Field(gt=2)]", TIGHTENED, LOOSENED),
    ("Annotated[int, Field(le=2)]", "Annotated[int, Field(le=1)]", TIGHTENED, LOOSENED),
    ("Annotated[int, Field(lt=2)]", "Annotated[int, Field(lt=1)]", TIGHTENED, LOOSENED),
    ("Annotated[int, Field(multiple_of=2)]", "Annotated[int, Field(multiple_of=6)]", TIGHTENED, LOOSENED),
    ("Annotated[str, Field(min_length=1)]", "Annotated[str, Field(min_length=2)]", TIGHTENED, LOOSENED),
    ("Annotated[str, Field(max_length=2)]", "Annotated[str, Field(max_length=1)]", TIGHTENED, LOOSENED),
    ("str", "Annotated[str, Field(pattern='a')]", TIGHTENED, LOOSENED),
    ("Annotated[list[int], Field(max_length=2)]", "Annotated[list[int], Field(max_length=1)]", TIGHTENED, LOOSENED),
    ("dict[str, int]", "Annotated[dict[str, int], Field(min_length=1)]", TIGHTENED, LOOSENED),
    ("list[str]", "list[Annotated[str, Field(max_length=1)]]", TIGHTENED, LOOSENED),
    ("str | None", "Annotated[str, Field(max_length=1)] | None", TIGHTENED, LOOSENED),
    ("dict[str, int]", "dict[Annotated[str, Field(max_length=1)], int]", TIGHTENED, LOOSENED),
    ("float", "FiniteFloat", TIGHTENED, LOOSENED),
    ("Annotated[Decimal, Field(allow_inf_nan=True)]", "Decimal", TIGHTENED, LOOSENED),
    ("Decimal", "Annotated[Decimal, Field(max_digits=5)]", TIGHTENED, LOOSENED),
    ("Annotated[Decimal, Field(max_digits=5)]", "Annotated[Decimal, Field(max_digits=4)]", TIGHTENED, LOOSENED),
    ("Decimal", "Annotated[Decimal, Field(decimal_places=2)]", TIGHTENED, LOOSENED),
    ("date", "PastDate", TIGHTENED, LOOSENED),
    ("date", "FutureDate", TIGHTENED, LOOSENED),
    ("date", "Annotated[date, Field(ge=date(2024, 1, 1))]", TIGHTENED, LOOSENED),
    ("datetime", "AwareDatetime", TIGHTENED, LOOSENED),
    ("datetime", "NaiveDatetime", TIGHTENED, LOOSENED),
    ("datetime", "PastDatetime", TIGHTENED, LOOSENED),
    ("datetime", "FutureDatetime", TIGHTENED, LOOSENED),
    ("timedelta", "Annotated[timedelta, Field(lt=timedelta(1))]", TIGHTENED, LOOSENED),
    ("str", "complex", FORMAT, NO_FORMAT),
    ("AnyUrl", "AnyHttpUrl", TIGHTENED, LOOSENED),
    ("AnyHttpUrl", "Annotated[AnyUrl, UrlConstraints(allowed_schemes=['http'])]", TIGHTENED, LOOSENED),
    ("AnyUrl", "Annotated[AnyUrl, UrlConstraints(host_required=True)]", TIGHTENED, LOOSENED),
    ("FileUrl", "AnyHttpUrl", CONSTRAINED, CONSTRAINED),
    ("AwareDatetime", "NaiveDatetime", CONSTRAINED, CONSTRAINED),
    ("PastDate", "FutureDate", CONSTRAINED, CONSTRAINED),
    (
        "Annotated[Decimal, Field(decimal_places=1)]",
        "Annotated[Decimal, Field(decimal_places=2)]",
        CONSTRAINED,
        CONSTRAINED,
    ),
    ("Annotated[str, Field(pattern='a')]", "Annotated[str, Field(pattern='b')]", CONSTRAINED, CONSTRAINED),
    ("Annotated[int, Field(multiple_of=2)]", "Annotated[int, Field(multiple_of=3)]", CONSTRAINED, CONSTRAINED),
    ("int", "Annotated[int, Field(json_schema_extra={'contains': {'type': 'string'}})]", CONSTRAINED, CONSTRAINED),
    ("dict[str, int]", "dict[Annotated[str, Field(pattern='^a')], int]", CONSTRAINED, CONSTRAINED),
    ("int", "Annotated[int, Field(json_schema_extra={'readOnly': True})]", NOTED, NOTED),
]

MODELS: list[tuple[str, str, Said, Said]] = [  # the same of the model M
    (
        *("x: int", "x: int; y: int"),
        ("FIELD_ADDED_REQUIRED", "WC WS SC", "WS SS"),
        ("FIELD_REMOVED_REQUIRED", "WC WS SC SS", "WC SC SS"),
    ),
    (
        *("x: int", "x: int; y: int = 1"),
        ("FIELD_ADDED_OPTIONAL", "WS", ""),
        ("FIELD_REMOVED_OPTIONAL", "WC SC SS", "WC SC SS"),
    ),
    ("x: int = 1", "x: int", ("FIELD_NOW_REQUIRED", "WC SC", "WS SS"), ("FIELD_NOW_OPTIONAL", "WS", "WC")),
    ("x: int = 1", "x: int = 2", ("FIELD_DEFAULT_CHANGED", "", ""), ("FIELD_DEFAULT_CHANGED", "", "")),
    (
        *("x: int", "model_config = ConfigDict(extra='forbid'); x: int"),
        *(("EXTRA_FIELDS_FORBIDDEN", "WC", "WS"), ("EXTRA_FIELDS_ALLOWED", "WS", "WC")),
    ),
    (
        *("x: int", "model_config = ConfigDict(extra='allow'); x: int"),
        *(("EXTRA_FIELDS_KEPT", "WS", ""), ("EXTRA_FIELDS_DROPPED", "WC", "")),
    ),
    ("x: int", "x: str", CHANGED, CHANGED),
    ("x: int", "x: int | None", WIDENED, NARROWED),
    ("x: 'list[M]' = []", "x: 'list[M | None]' = []", WIDENED, NARROWED),
    ("x: int", "x: Annotated[int, Field(deprecated=True)]", NOTED, NOTED),
    ("x: float", "model_config = ConfigDict(allow_inf_nan=False); x: float", TIGHTENED, LOOSENED),
]


def request(kind: str, before: str = "") -> str:
    return users(method(f"it: {kind}"), before=before)


def reply(kind: str, before: str = "") -> str:
    return users(method(reply=kind), before=before)


@pytest.mark.parametrize(("old", "new", "there", "back"), ROWS)
def test_a_change_of_a_type_breaks_whom_it_must_by_the_way_its_values_go(
    old: str, new: str, there: Said, back: Said
) -> None:
    assert changes(request(old), request(new)) == {there[:2]}
    assert changes(reply(old), reply(new)) == {there[::2]}
    assert changes(request(new), request(old)) == {back[:2]}
    assert changes(reply(new), reply(old)) == {back[::2]}


@pytest.mark.parametrize("kind", ["M", "list[M]"])
@pytest.mark.parametrize(("old", "new", "there", "back"), MODELS)
def test_a_change_of_a_model_breaks_whom_it_must_by_the_way_its_values_go(
    kind: str, old: str, new: str, there: Said, back: Said
) -> None:
    one, other = (f"class M(BaseModel):\n    {fields}\n" for fields in (old, new))
    assert changes(request(kind, one), request(kind, other)) == {there[:2]}
    assert changes(reply(kind, one), reply(kind, other)) == {there[::2]}
    assert changes(request(kind, other), request(kind, one)) == {back[:2]}
    assert changes(reply(kind, other), reply(kind, one)) == {back[::2]}
    (where,) = changes_at(reply(kind, one), reply(kind, other)).values()
    assert where.startswith("model M")


STRICT = "class M(BaseModel, extra='forbid'):\n    "


def test_readers_that_refuse_what_they_do_not_know_are_broken_by_a_field() -> None:
    one, other = (users(method("m: M"), before=STRICT + fields) for fields in ("x: int", "x: int; y: int = 1"))
    assert changes(one, other) == {("FIELD_ADDED_OPTIONAL", "WS"), ("ADDED_FIELD_REFUSED", "WS")}
    assert changes(other, one) == {("FIELD_REMOVED_OPTIONAL", "WC SC SS"), ("REMOVED_FIELD_REFUSED", "WC")}
    one, other = (users(method(reply="M"), before=STRICT + fields) for fields in ("x: int", "x: int; y: int = 1"))
    assert changes(one, other) == {("FIELD_ADDED_OPTIONAL", ""), ("ADDED_FIELD_REFUSED", "WC")}
    assert changes(other, one) == {("FIELD_REMOVED_OPTIONAL", "WC SC SS"), ("REMOVED_FIELD_REFUSED", "WS")}


def test_a_model_that_goes_both_ways_is_reported_once_with_all_whom_it_breaks() -> None:
    methods = [method("m: M", "M", name=name) for name in ("a", "b", "c")]
    one, other = (users(*methods, before=f"class M(BaseModel):\n    {x}\n") for x in ("x: int", "x: int | None"))
    assert [str(each) for each in contract_changes(document(one), document(other))] == [
        "TYPE_WIDENED model M.x: int → int | None"
    ]
    assert changes(one, other) == {("TYPE_WIDENED", "WC WS SC SS")}


def test_a_place_is_named_however_deep_it_is() -> None:
    one, other = (request(f"dict[str, list[tuple[int, {kind}]]] | None") for kind in ("int", "str"))
    assert changes_at(one, other) == {"TYPE_CHANGED": "users/get parameter it{}[][1]"}
    one, other = (reply(f"dict[Literal['a', 'b'], {kind}]") for kind in ("int", "str"))
    assert changes_at(one, other) == {"TYPE_CHANGED": "users/get reply{}"}


@pytest.mark.parametrize("way", [request, reply])
def test_a_model_of_another_name_breaks_source_only(way: Callable[[str, str], str]) -> None:
    fields = "(BaseModel):\n    x: int\n    child: '{0} | None' = None\n"
    one, other = (way(f"list[{name}]", f"class {name}{fields.format(name)}") for name in ("Old", "New"))
    assert changes(one, other) == changes(other, one) == {("MODEL_RENAMED", "SC SS")}
    assert changes_at(one, other) == {"MODEL_RENAMED": "model Old"}


def test_a_renamed_model_that_changed_too_is_said_to_be_both() -> None:
    one, other = (
        users(method(f"m: {name}"), before=f"class {name}(BaseModel):\n    x: int\n    y: {kind}\n")
        for name, kind in (("Old", "int"), ("New", "str"))
    )
    assert changes_at(one, other) == {"MODEL_RENAMED": "model Old", "TYPE_CHANGED": "model New.y"}


TWO = "class A(BaseModel):\n    x: int\nclass B(BaseModel):\n    x: int\nclass C(BaseModel):\n    x: str\n"
BOTH = method("a: A, b: B, c: C", name="all")


def test_another_model_in_its_place_is_a_replaced_type() -> None:
    one, same, other = (users(method(f"it: {name}"), BOTH, before=TWO) for name in ("A", "B", "C"))
    assert changes(one, same) == {("TYPE_REPLACED", "SC SS")}
    assert changes(one, other) == {("TYPE_REPLACED", "SC SS"), ("TYPE_CHANGED", "WC WS SC SS")}


def test_an_enum_and_a_literal_of_the_same_values_are_the_same_on_the_wire() -> None:
    enum = "class E(enum.Enum):\n    A = 'a'\n"
    one, other, text = (reply(f"list[{kind}]", enum) for kind in ("E", "Literal['a']", "str"))
    assert changes(one, other) == {("TYPE_REPLACED", "SC SS")}
    assert changes(one, text) == {("TYPE_REPLACED", "SC SS"), ("TYPE_WIDENED", "WC SC")}


@pytest.mark.parametrize(("way", "added"), [(request, "WS SS"), (reply, "WC SC")])
def test_a_member_of_another_name_breaks_source_only(way: Callable[[str, str], str], added: str) -> None:
    one, other, more = (
        way("list[E]", f"class E(enum.Enum):\n    {members}\n")
        for members in ("A = 'a'; B = 'b'", "B = 'b'; FIRST = 'a'", "A = 'a'; B = 'b'; C = 'c'")
    )
    assert changes(one, other) == changes(other, one) == {("ENUM_MEMBER_RENAMED", "SC SS")}
    assert changes(one, more) == {("ENUM_VALUE_ADDED", added)}


def test_the_name_of_a_second_model_of_one_name_renames_nothing() -> None:
    two = "def one():\n    class User(BaseModel):\n        {0}: int\n    return User\n"
    old = users(method("a: list[A]"), before=two.format("x") + "A = one()\n")
    other = "class User(BaseModel):\n    y: int\n"
    new = users(
        method("a: list[A]"), method("b: list[User]", name="put"), before=two.format("x") + "A = one()\n" + other
    )
    assert changes(old, new) == {("METHOD_ADDED", "WS SS")}


def test_a_model_that_is_from_another_module_is_renamed() -> None:
    """Its module is in its name where there is another model of that name."""
    user: dict[str, Any] = {"title": "User", "type": "object", "properties": {"x": {"type": "integer"}}}
    comparison = Comparison({"one__User": user}, {"two__User": user})
    old, new = ({"$ref": f"#/definitions/{name}__User"} for name in ("one", "two"))
    comparison.types({**old}, {**new}, Spot("here", "request"))
    assert [rule for rule, _, _ in comparison.found] == ["MODEL_RENAMED"]


CATS = "class Cat(BaseModel):\n    kind: Literal['cat']\nclass Dog(BaseModel):\n    kind: Literal['dog']\n"
BIRD = "class Bird(BaseModel):\n    kind: Literal['bird']\n"
BY_KIND = "Field(discriminator='kind')"


def test_members_of_unions_are_paired_by_name() -> None:
    one, other = (reply(f"Annotated[Cat | Dog{more}, {BY_KIND}]", CATS + BIRD) for more in ("", " | Bird"))
    assert changes(one, other) == {("TYPE_WIDENED", "WC SC")}
    assert changes(other, one) == {("TYPE_NARROWED", "WS SS")}
    changed = one.replace("'dog'", "'hound'")
    assert changes_at(one, changed) == {"ENUM_VALUE_ADDED": "model Dog.kind", "ENUM_VALUE_REMOVED": "model Dog.kind"}


def test_a_union_that_is_told_apart_by_a_field_takes_less() -> None:
    one, other = request("Cat | Dog", CATS), request(f"Annotated[Cat | Dog, {BY_KIND}]", CATS)
    assert changes(one, other) == {("CONSTRAINT_TIGHTENED", "WC")}
    assert changes(other, one) == {("CONSTRAINT_LOOSENED", "WS")}


def test_a_named_union_is_the_union() -> None:
    alias = CATS + "Pet = TypeAliasType('Pet', Cat | Dog)\n"
    one, other = (request(kind, alias) for kind in ("list[Cat | Dog]", "list[Pet]"))
    assert changes(one, other) == {("TYPE_REPLACED", "SC SS")}
    more = CATS + BIRD + "Pet = TypeAliasType('Pet', Cat | Dog | Bird)\n"
    assert changes(request("list[Pet]", alias), request("list[Pet]", more)) == {("TYPE_WIDENED", "WS SS")}
    assert changes(request("list[Pet | None]", alias), request("list[Pet | None]", more)) == {("TYPE_WIDENED", "WS SS")}


@pytest.mark.parametrize("kind", ["A", "A | None", "list[A]"])
def test_types_that_contain_themselves_are_compared(kind: str) -> None:
    def tree(name: str, leaf: str) -> str:
        return f"{name} = TypeAliasType('{name}', 'None | {leaf} | list[{name} | bool] | dict[str, {name}]')\n"

    same, other, renamed = tree("A", "int"), tree("A", "str"), tree("B", "str")
    assert changes(request(kind, same), request(kind, same)) == set()
    assert ("TYPE_CHANGED", "WC WS SC SS") in changes(request(kind, same), request(kind, other))
    assert changes(request(kind, same), request(kind.replace("A", "B"), renamed))


def test_models_that_contain_themselves_may_take_each_others_place() -> None:
    trees = "".join(f"class {n}(BaseModel):\n    x: int\n    kids: 'list[{n}]'\n" for n in "AB")
    both = method("a: A, b: B", name="both")
    one, other = (users(method(f"it: {n}"), both, before=trees) for n in "AB")
    assert changes(one, other) == {("TYPE_REPLACED", "SC SS")}


def test_a_web_of_models_may_take_the_place_of_another() -> None:
    """Each of them leads to all below it by two ways: to go all ways would take years."""

    def web(name: str) -> str:
        return f"class {name}0(BaseModel):\n    x: int\n" + "".join(
            f"class {name}{n}(BaseModel):\n    a: {name}{n - 1}\n    b: list[{name}{n - 1}]\n" for n in range(1, 40)
        )

    both = method("a: A39, b: B39", name="both")
    one, other = (users(method(f"it: {n}39"), both, before=web("A") + web("B")) for n in "AB")
    assert changes(one, other) == {("TYPE_REPLACED", "SC SS")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Annotated[int, Field(description='a')]", "Annotated[int, Field(description='b', title='c', examples=[1])]"),
        ("Literal['a', 'b']", "Literal['b', 'a']"),
        ("int | str", "str | int"),
    ],
)
def test_words_for_people_and_orders_are_no_changes(old: str, new: str) -> None:
    assert changes(request(old), request(new)) == set()
    one, other = (f"class M(BaseModel):\n    x: {kind}\n" for kind in (old, new))
    assert changes(request("M", one), request("M", other)) == set()


KEYWORDS = [
    *("$ref", "type", "enum", "const", "anyOf", "oneOf", "items", "prefixItems", "properties", "required", "format"),
    *("additionalProperties", "patternProperties", "propertyNames", "discriminator", "uniqueItems", "title", "default"),
    *("minimum", "maxLength", "multipleOf", "pattern", "deprecated", "not"),
]
WORDS = ["A", "B", "#/definitions/A", "#/definitions/B", "string", "integer", "number", "object", "array", "null"]
SCHEMAS = st.recursive(
    st.dictionaries(st.sampled_from(KEYWORDS), st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(WORDS)),
    lambda inner: st.dictionaries(
        st.sampled_from([*KEYWORDS, "A"]), inner | st.lists(inner | st.sampled_from(WORDS), max_size=3), max_size=4
    ),
    max_leaves=12,
)


@given(st.lists(SCHEMAS, min_size=6, max_size=6))
def test_no_schema_however_odd_is_too_odd_to_compare(schemas: list[dict[str, Any]]) -> None:
    old, new, *others = schemas
    comparison = Comparison({"A": others[0], "B": others[1]}, {"A": others[2], "B": others[3]})
    comparison.types(old, new, Spot("here", "request"))
    same = Comparison({"A": others[0], "B": others[1]}, {"A": others[0], "B": others[1]})
    same.types(old, old, Spot("here", "reply"))
    assert same.found == {}


def test_a_value_that_json_tells_apart_is_another_value() -> None:
    assert changes(request("Literal[1, 2]"), request("Literal[True, 2]"))


def test_definitions_that_hold_each_other_many_times_over_are_compared_each_once() -> None:
    def chain(last: str) -> dict[str, Any]:
        twice = {f"A{n}": {"allOf": [{"$ref": f"#/definitions/A{n + 1}"}] * 2} for n in range(100)}
        return {**twice, "A100": {"type": last}}

    def differ(old: dict[str, Any], new: dict[str, Any]) -> bool:
        comparison = Comparison(old, new)
        comparison.types(
            {"not": {"$ref": "#/definitions/A0"}}, {"not": {"$ref": "#/definitions/A0"}}, Spot("here", "request")
        )
        return bool(comparison.found)

    assert differ(chain("string"), chain("integer"))
    assert not differ(chain("string"), chain("string"))
