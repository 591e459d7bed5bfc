"""`generate`, then `diff`: a package that was just made differs in nothing from the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from contract_source import changes, document, method, users
from generated_source import assert_clean, contract_of_package
from typedrpc import contract_schema
from typedrpc.changes import contract_changes
from typedrpc.cli.generate.package import sources, write_package
from typedrpc.errors import UsageError

TYPES = """
from typing_extensions import deprecated

T = TypeVar("T")

class Cat(BaseModel):
    kind: Literal["cat"] = "cat"

class Dog(BaseModel):
    kind: Literal["dog"]

class red_bird(BaseModel):
    kind: Literal["bird"]
    colour: Literal["red"]

class _BlueBird(BaseModel):
    kind: Literal["bird"]
    colour: Literal["blue", "navy"]

class Page(BaseModel, Generic[T]):
    items: list[T]

class Sort(enum.Enum):
    CIRCLE = "c"
    SQUARE = "s"

class Circle(BaseModel):
    sort: Literal[Sort.CIRCLE] = Field(alias="$sort")

class Square(BaseModel):
    sort: Literal[Sort.SQUARE] = Field(Sort.SQUARE, alias="$sort")

class empty(BaseModel):
    "Nothing in it."

class _Hidden(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 1

class lower(enum.Enum):
    A = "a"

class My_Mixed(enum.IntEnum):
    ONE = 1

class titled(BaseModel):
    model_config = ConfigDict(title="What people read")
    by: dict[lower, "titled"] = {}

@dataclass
class point:
    x: int

class either(TypedDict):
    left: int

@deprecated("use Cat")
class Old(BaseModel):
    a: int

tree = TypeAliasType("tree", "list[tree] | int")
Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
Bird = Annotated[red_bird | _BlueBird, Field(discriminator="colour")]
Animal = Annotated[Cat | Bird, Field(discriminator="kind")]
Shape = Annotated[Circle | Square, Field(discriminator="sort")]

class Owner(BaseModel):
    pet: Pet
    pets: list[Pet]
    maybe: Pet | None = None
    by_name: dict[str, Pet] = {}
    usual: Pet = Field(default=Cat(), description="the first")
    Field: Shape | int = 1

class Marked(BaseModel):
    a: int = Field(deprecated=True)
    b: int | None = Field(None, deprecated="use a", description="b")
    c: lower = Field(lower.A, deprecated=True)
    d: Pet = Field(deprecated=True)
    e: int = Field(json_schema_extra={"readOnly": True})

class Keys(BaseModel):
    a: dict[UUID, str]
    b: dict[int, str] = {}
    c: dict[Literal["x", "y"], date]
    d: dict[date, dict[UUID, int]] | None = None
    e: dict[date, int] = {date(2020, 1, 1): 1}

class Bounded(BaseModel):
    money: Annotated[Decimal, Field(max_digits=10, decimal_places=2, ge=0)] = Decimal(1)
    odds: Annotated[float, Field(ge=0, lt=1.5, allow_inf_nan=False)] | None = None
    since: Annotated[date, Field(ge=date(2020, 1, 1), description="since when")] = date(2021, 1, 1)
    until: Annotated[datetime, Field(lt=datetime(2030, 1, 1, tzinfo=timezone.utc))] | None = None
    at: Annotated[AwareDatetime, Field(gt=datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2))))]
    opens: Annotated[time, Field(ge=time(8, 30))]
    every: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=2, microseconds=5))]
    site: HttpUrl = HttpUrl("https://example.com/")
    sites: dict[str, AnyHttpUrl | None]

class _Lost(RpcError, code=Status.NOT_FOUND):
    pet: Pet
    pages: list[Page[Pet]]
    by: dict[UUID, lower]
    old: Annotated[int, Field(json_schema_extra={"deprecated": True})]
"""
SAID = 'Annotated[int, Field(gt=0, json_schema_extra={"deprecated": True})]'
SHAPES = [
    *("Pet", "Animal", "Shape", "Owner", "Pet | None", "list[Pet]", "dict[str, Animal]"),
    *(
        "dict[UUID, str]",
        "dict[int, str]",
        'dict[Literal["a", "b"], str]',
        "dict[date, str]",
        "dict[lower, int]",
        "Keys",
    ),
    *(
        "dict[Decimal, str]",
        "dict[timedelta, str]",
        "dict[datetime, str]",
        "dict[Annotated[str, Field(min_length=2)], int]",
    ),
    *(
        "Page[Cat]",
        "Page[Page[int]]",
        "Page[Cat] | Page[Dog]",
        "Page[Pet]",
        "red_bird",
        "_Hidden",
        "red_bird | _Hidden",
    ),
    *("lower", "My_Mixed", "titled", "point", "either", "tree", "empty", "lower | titled | None"),
    *("dict[str, tuple[Pet, int]]", "dict[UUID, list[tuple[bytes, str] | None]]"),
    *("Bounded", "HttpUrl", "list[WebsocketUrl] | None", "FtpUrl | FileUrl", "FiniteFloat", "dict[AwareDatetime, str]"),
    *("Annotated[Decimal, Field(max_digits=4)] | None", "list[Annotated[date, Field(le=date(2020, 1, 1))]]"),
    *("Marked", "Old", SAID, f"list[{SAID}]", f"{SAID} | None"),
]


def differences(source: str) -> list[str]:
    """What `diff` says of the package that `generate` makes of the source's class `Users`."""
    made = document(source)
    return [str(each) for each in contract_changes(made, contract_schema(contract_of_package(made)))]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_type_is_the_same_in_the_package(shape: str) -> None:
    assert differences(users(method(f"one: {shape}", shape), before=TYPES)) == []


def test_an_error_is_the_same_in_the_package() -> None:
    assert differences(users(method(decorator="raises=[_Lost]"), before=TYPES)) == []


def test_types_of_all_these_kinds_are_clean_to_checkers(tmp_path: Path) -> None:
    given = ", ".join(f"p{n}: {shape}" for n, shape in enumerate(SHAPES))
    write_package(document(users(method(given, decorator="raises=[_Lost]"), before=TYPES)), tmp_path / "types_api")
    assert_clean(tmp_path / "types_api")


def test_two_classes_of_one_name_are_the_same_in_the_package() -> None:
    before = "def made():\n    class Twin(BaseModel):\n        a: {}\n    return Twin\nOne = made()\n"
    source = users(method("one: One, other: Other"), before=before.format("int") + OTHER)
    assert differences(source) == []


def test_a_default_of_a_constrained_type_is_the_same_in_the_package(tmp_path: Path) -> None:
    given = """
        site: HttpUrl = HttpUrl("https://example.com/"),
        since: Annotated[date, Field(ge=date(2020, 1, 1))] = date(2021, 1, 1),
        odds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5,
        money: Annotated[Decimal, Field(max_digits=4)] | None = Decimal("1.5"),
    """
    source = users(method(given))
    assert differences(source) == []
    write_package(document(source), tmp_path / "bounded_api")
    assert_clean(tmp_path / "bounded_api")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "string", "format": "date", "x-ge": "soon"}, "x-ge: 'soon', which is no bound of its type"),
        ({"type": "string", "x-ge": "2020-01-01"}, "x-ge"),
        ({"type": "number", "x-max-digits": "4"}, "x-max-digits"),
        ({"type": "string", "format": "date", "x-lt": ["2020-01-01"]}, "x-lt"),
    ],
)
def test_a_bound_that_is_none_of_its_type_is_refused(schema: dict[str, JsonValue], says: str) -> None:
    made = document(users(method("one: int")))
    made.methods[0].parameters[0].json_schema.clear()
    made.methods[0].parameters[0].json_schema.update(schema)
    with pytest.raises(UsageError, match=says):
        sources(made)


def test_a_named_union_is_told_apart_by_the_same_field_in_the_package() -> None:
    source = users(method("one: list[Named]"), before=f"{TYPES}\nNamed = TypeAliasType('Named', Pet)\n")
    assert differences(source) == ["TYPE_REPLACED users/get parameter one[]: Named → Cat | Dog"]


def test_a_class_that_was_renamed_to_what_generate_would_call_it_is_renamed() -> None:
    old, new = (users(method(f"one: {name}"), before=f"class {name}(BaseModel):\n    a: int\n") for name in NAMES)
    assert changes(old, new) == {("MODEL_RENAMED", "SC SS")}


NAMES = ("page", "Page")
OTHER = """
class Outer:
    class Twin(BaseModel):
        b: str
Other = Outer.Twin
"""


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(lambda each: f"list[{each}]"),
        inner.map(lambda each: f"dict[UUID, {each}]"),
        inner.map(lambda each: f"Page[{each}]"),
        inner.map(lambda each: f"{each} | None"),
        st.tuples(inner, inner).map(lambda two: f"tuple[{two[0]}, {two[1]}]"),
    )


shapes = st.recursive(st.sampled_from(SHAPES), nested, max_leaves=4)


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(shapes, min_size=2, max_size=5))
def test_types_together_are_the_same_in_the_package(types: list[str]) -> None:
    *parameters, reply = types
    fields = "".join(f"    f{n}: {kind}\n" for n, kind in enumerate(types))
    given = ", ".join([*(f"p{n}: {kind}" for n, kind in enumerate(parameters)), "all: All"])
    assert differences(users(method(given, reply), before=f"{TYPES}\nclass All(BaseModel):\n{fields}")) == []
