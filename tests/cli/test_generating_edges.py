"""`generate`: contracts with odd names, types and defaults."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from generated_source import assert_clean
from typedrpc import Status, contract_schema
from typedrpc.cli.generate.package import write_package

ODD = """
import enum
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from ipaddress import IPv6Network
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Protocol
from uuid import UUID
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model
from typing_extensions import TypeAliasType, TypedDict
from typedrpc import NotFound, RpcError, Service, Status, service

BINARY = b"\\xff\\x00\\xfe~"
define = service.method
day = date(2020, 1, 1)
Json = TypeAliasType("Json", "dict[str, Json] | list[Json] | str | int | None")
FieldModel = create_model("Field", at=(date, day), gap=(Annotated[int, Field(gt=0)], 1))
AdapterModel = create_model("TypeAdapter", at=(date, day))
Base64Model = create_model("Base64UrlBytes", a=(int, 1))

class Kind(enum.Enum):
    NOTHING = None
    SMALL = "s"

class Sort(enum.Enum):
    TITLE = "t"
    title = "title"

@dataclass
class Blob:
    data: bytes = BINARY

class Parcel(TypedDict):
    data: bytes

class Pair(NamedTuple):
    data: bytes
    more: tuple[bytes, ...] = ()

class Own(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes = BINARY

class Text(BaseModel):
    data: bytes = b"text"

class Name(RootModel[bytes]): ...

class Dates(BaseModel):
    by_key: dict[Literal["a", "b"], date] = {"a": day}
    at: datetime = datetime(2020, 1, 1)

Shadow = create_model("Shadow", Field=(int, 1), date=(date, day), when=(date, day))

class Lost(NotFound, code=Status.NOT_FOUND):
    data: bytes
    seen: list[bytes] = field(default_factory=list[bytes])
    by_name: dict[str, int] = field(default_factory=dict[str, int])

class _Private(RpcError, code=Status.ABORTED):
    why: str

def named(name):
    return type(name, (RpcError,), {"__annotations__": {"why": str}, "__module__": __name__}, code=Status.ABORTED)

LostToo, LostOwn, LostTyping = named("Lost"), named("Own"), named("typing")

class Store(Service, Protocol, service="text"):
    @define(raises=[Lost, LostTyping])
    async def blob(self, blob: Blob = Blob(), parcel: Parcel | None = None) -> Blob: ...
    @define(raises=[LostToo, LostOwn, _Private])
    async def own(self, own: Own = Own(), text: Text = Text()) -> Own: ...
    @define
    async def pair(self, pair: Pair, name: Name = Name(b"n"), many: tuple[bytes, ...] = (BINARY,)) -> list[bytes]: ...
    @define
    async def json(self, json: Json, kind: Kind = Kind.NOTHING, sort: Sort = Sort.title) -> Json: ...
    @define
    async def defaults(
        self,
        either: datetime | str = "x",
        network: IPv6Network = IPv6Network("::/64"),
        least: float = float("-inf"),
        nested: tuple[tuple[int, tuple[str, ...]], ...] = ((1, ("a",)),),
        id: UUID | None = UUID(int=1),
        big: int = 10**40,
        path: Path | str = Path("x"),
        model: Text | Dates = Dates(at=datetime(2021, 1, 1)),
        exact: Decimal | None = Decimal("1.10"),
        line: str = "\\r\\n\\x1b[31m{{ x }}",
    ) -> list[str]:
        "Ends with a quote\\""
    @define
    async def names(self, one: FieldModel, two: AdapterModel, three: Base64Model, four: Shadow, raw: bytes = BINARY) -> None: ...
    @define
    async def list(_self, self: "list[int]", date: "date" = day) -> "list[date]": ...
    @define
    async def date(self, day: "date | None" = None) -> "date | None": ...
    @define(name="rpc")
    async def typedrpc(self) -> int: ...
    @define
    async def Text(self, text: "Text") -> "Text": ...
    @define
    async def TypeAdapter(self, amount: Decimal = Decimal(1)) -> Decimal: ...
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The contract's module, and the package made of it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "odd.py").write_text(ODD)
    original = importlib.import_module("odd")
    write_package(contract_schema(original.Store), tmp_path / "odd_api")
    yield original, importlib.import_module("odd_api")
    for name in [name for name in sys.modules if name.split(".")[0] in ("odd", "odd_api")]:
        del sys.modules[name]


def test_odd_names_and_defaults_are_the_same_in_the_generated_contract(modules: tuple[Any, Any]) -> None:
    original, api = modules
    old, new = contract_schema(original.Store), contract_schema(api.TextService)
    for before, after in zip(old.methods, new.methods, strict=True):
        assert after.model_dump(exclude={"parameters", "reply"}) == before.model_dump(exclude={"parameters", "reply"})
        for p, q in zip(before.parameters, after.parameters, strict=True):
            assert (q.name, q.kind, q.required) == (p.name, p.kind, p.required)
            assert q.json_schema.get("default") == p.json_schema.get("default"), (before.name, p.name)
    assert sorted((e.type, e.code, e.base) for e in new.errors.values()) == sorted(
        (e.type, e.code, e.base) for e in old.errors.values()
    )
    assert new.methods[5].doc == old.methods[5].doc


def test_what_a_generated_package_writes_the_original_reads(modules: tuple[Any, Any]) -> None:
    original, api = modules
    binary = original.BINARY

    def sent(method: str, *arguments: Any) -> list[Any]:
        body = getattr(api.TextService, method).spec.codec.dump_arguments(arguments, {})
        return list(getattr(original.Store, method).spec.codec.load_arguments(body)[1].values())

    assert sent("blob", api.Blob(data=binary), api.Parcel(data=binary)) == [original.Blob(binary), {"data": binary}]
    assert sent("blob") == [original.Blob(binary), None]
    assert sent("own") == [original.Own(data=binary), original.Text(data=b"text")]
    assert sent("own", api.Own(data=b"\0\xfe"), api.Text(data=b"t"))[0] == original.Own(data=b"\0\xfe")
    assert sent("pair", (binary, [binary]))[0] == original.Pair(binary, (binary,))
    assert sent("pair", (binary,))[1:] == [original.Name(b"n"), (binary,)]
    assert sent("json", api.Json({"a": [1, None]})) == [{"a": [1, None]}, original.Kind.NOTHING, original.Sort.title]
    assert sent("list", [1]) == [[1], original.day]
    assert sent("defaults")[7] == original.Dates(at=original.datetime(2021, 1, 1))
    names = sent("names", api.Field2(), api.TypeAdapter2(), api.Base64UrlBytes2(), api.Shadow())
    assert names == [original.FieldModel(), original.AdapterModel(), original.Base64Model(), original.Shadow(), binary]


def test_errors_of_one_name_arrive_as_themselves(modules: tuple[Any, Any]) -> None:
    original, api = modules
    thrown = original.Lost("gone", data=original.BINARY, seen=[original.BINARY], by_name={"a": 1})
    status, body = original.Store.blob.spec.errors.dump(thrown)
    caught = api.TextService.blob.spec.errors.load(status, body)
    assert (type(caught), caught.data, caught.seen, caught.by_name) == (api.Lost, thrown.data, thrown.seen, {"a": 1})
    for cls, name in ((original.LostToo, "Lost_2"), (original.LostOwn, "Own2"), (original._Private, "Private")):
        status, body = original.Store.own.spec.errors.dump(cls("no", why="so"))
        error = api.TextService.own.spec.errors.load(status, body)
        assert (type(error), error.why, error.code) == (getattr(api, name), "so", Status.ABORTED)


def test_odd_names_and_defaults_are_clean_to_checkers(modules: object, tmp_path: Path) -> None:
    assert_clean(tmp_path / "odd_api")
