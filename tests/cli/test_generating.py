"""`generate`: what it writes is the same contract, in Python that checkers and formatters accept."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from faststream.kafka import KafkaBroker
from pydantic import AnyUrl

import rich_contract
from cli_runs import Command
from generated_source import assert_clean
from real_kafka import FEW
from rich_contract import Users
from typedrpc import ContractDocument, InvalidArgument, Rpc, UsageError, contract_schema
from typedrpc.changes import contract_changes
from typedrpc.cli.generate.package import sources, write_package
from typedrpc.cli.generate.safety import checked
from typedrpc.schemas import JsonSchema

Import = Callable[[str], ModuleType]


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Imports a package of the test's own folder."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """That of the rich contract."""
    write_package(contract_schema(Users), tmp_path / "users_api")
    return tmp_path / "users_api"


SIMPLE = """
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal, Protocol
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, PastDate
from typedrpc import NotFound, Retry, RpcError, Service, Status, service

class Kind(Enum):
    SMALL = "s"
    LARGE = 2

class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: Annotated[int, Field(ge=0, lt=10)]
    kind: Kind = Kind.SMALL
    tags: list[str] = []
    made: Annotated[PastDate, Field(description="in the factory")]
    sold: list[AwareDatetime] = []
    weight: FiniteFloat = 1.0
    parent: "Item | None" = None

class NoItem(NotFound, code=Status.NOT_FOUND):
    id: int
    others: tuple[int, ...] = (1, 2)

class Busy(RpcError, code=Status.ABORTED): ...

class Items(Service, Protocol, service="shop.items-v2"):
    @service.method(raises=[NoItem, Busy], timeout=2.5, idempotent=True, retry=Retry(backoff=0.5))
    async def get(self, id: int, /, *, mode: Literal["a", "b"] = "a", data: bytes = b"x") -> Item | None: ...
    @service.method(name="list-all", topic="other")
    async def list(self, kinds: frozenset[Kind] = frozenset({Kind.LARGE})) -> list[Item]: ...
    @service.method(oneway=True)
    async def seen(self, item: Item, at: AwareDatetime | None = None) -> None: ...
"""


def test_a_generated_contract_is_the_contract(tmp_path: Path, importing: Import) -> None:
    (tmp_path / "simple.py").write_text(SIMPLE)
    original = contract_schema(importing("simple").Items)
    write_package(original, tmp_path / "items_api")
    again = contract_schema(importing("items_api").ShopItemsV2)
    assert again.model_dump() == original.model_dump()


def test_types_of_every_kind_have_the_same_json_in_the_generated_contract(package: Path, importing: Import) -> None:
    original, again = contract_schema(Users), contract_schema(importing("users_api").Users)
    assert [m.python_name for m in again.methods] == [m.python_name for m in original.methods]
    for new, old in zip(again.methods, original.methods, strict=True):
        assert new.model_dump(exclude={"parameters", "reply"}) == old.model_dump(exclude={"parameters", "reply"})
        assert [(p.name, p.kind, p.required) for p in new.parameters] == [
            (p.name, p.kind, p.required) for p in old.parameters
        ]
        assert [p.json_schema.get("default") for p in new.parameters] == [
            p.json_schema.get("default") for p in old.parameters
        ]
    assert again.errors == original.errors
    for name in ("Address", "Colour", "Level", "User", "Point", "Filter"):
        assert again.definitions[name] == original.definitions[name], name


def test_nothing_that_diff_finds_in_a_generated_contract_breaks_the_wire(package: Path, importing: Import) -> None:
    """But for a NamedTuple with a default: to JSON Schema its lengths are one array, in Python they are several tuples."""
    changes = contract_changes(contract_schema(Users), contract_schema(importing("users_api").Users))
    broken = {each.where for each in changes if each.breaks & {"wire-callers", "wire-servers"}}
    assert broken == {"users/find-all parameter span"}


def test_docstrings_are_kept(package: Path, importing: Import) -> None:
    api = importing("users_api")
    for name in ("Users", "User", "Colour", "Address", "UserNotFound"):
        assert docs_of(getattr(api, name)) == docs_of(getattr(rich_contract, name)), name
    assert docs_of(api.Users.get) == "Find a user.\n\nBy id."
    assert api.Address.model_fields["street"].description == "with the number"


def docs_of(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").strip()


def test_what_is_written_is_clean_to_checkers_and_formatters(package: Path) -> None:
    assert_clean(package)


def test_what_is_written_is_the_same_each_time(package: Path) -> None:
    before = {file.name: file.read_text() for file in package.iterdir() if file.is_file()}
    write_package(ContractDocument.model_validate_json(contract_schema(Users).model_dump_json()), package)
    assert {file.name: file.read_text() for file in package.iterdir() if file.is_file()} == before
    assert sorted(before) == ["__init__.py", "client.py", "contract.py", "errors.py", "models.py", "py.typed"]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def rpc(request: pytest.FixtureRequest) -> Rpc:
    if request.param == "memory":
        return Rpc.in_memory(topics=FEW)
    return Rpc(KafkaBroker(request.getfixturevalue("kafka"), logger=None), topics=FEW)


async def test_a_generated_client_calls_the_original_server(
    rpc: Rpc, unique: Callable[[str], str], tmp_path: Path, importing: Import
) -> None:
    text = inspect.getsource(rich_contract)
    (tmp_path / "original.py").write_text(text.replace('"users', f'"{unique("users")}'))
    original: Any = importing("original")
    write_package(contract_schema(original.Users), tmp_path / "users_api")
    api: Any = importing("users_api")
    client_name = next(name for name in api.__all__ if name.endswith("Client"))
    users, server = getattr(api, client_name), original.UsersServer()
    user = api.User(
        id=1, name="Ada", seen=datetime(2020, 1, 1), ref=UUID(int=7), from_="there", pet=api.Dog(name="Rex")
    )
    rpc.serve(server)
    async with rpc:
        assert await users.save(user) == "DARK_GREEN 1,2 a/b HIGH []"
        given = {"colour": api.Colour.RED, "point": api.Point(x=5), "tags": ("c",), "marks": frozenset({3})}
        assert await users.save(user, level=api.Level.LOW, **given) == "RED 5,0 c LOW [3]"
        assert server.saved[0].model_dump(mode="json") == user.model_dump(mode="json")
        assert (server.saved[0].from_, server.saved[0].pet) == ("there", original.Dog(name="Rex"))
        assert await users.get(1, deep=True) == user
        with pytest.raises(api.UserNotFound) as caught:
            await users.get(2)
        assert (caught.value.id, caught.value.near, caught.value.code) == (
            2,
            api.Address(street="Elsewhere 1"),
            "NOT_FOUND",
        )
        with pytest.raises(InvalidArgument):
            await users.get(-1)
        assert await users.values() == [10, "a", "1.5", "ff", "2020-01-01", 1.0, "x"]
        exact = await users.values(
            3, mode="b", exact=Decimal("0.10"), data=b"\x00", day=date(2021, 2, 3), ratio=None, text=2.5
        )
        assert exact == [3, "b", "0.10", "00", "2021-02-03", None, 2.5]
        page = await users.find_all(api.Filter(name="A"), (1, 2), [1], {"any": [1]})
        assert (page.items, page.next) == ([user, user], "{'name': 'A'} 1-2 {'any': [1]}")
        assert (await users.find_all(api.Filter(), (1,), [])).next == "{} 1-10 None"
        assert await users.pairs(api.Address(street="x")) == [(1, "Address")]
        assert await users.blob(b"\xff", Path("a/b"), AnyUrl("http://example.org/")) == b"\xffa/b http://example.org/"
        assert await users.nothing() is None
        assert await users.plain("up") == "UP"
        await users.log("seen")
        async with asyncio.timeout(20):
            await server.logged.wait()
        assert server.lines == ["seen"]


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("methods", 0, "python_name"), "a b", "a method 'a b', which is no name in Python"),
        (("methods", 0, "python_name"), "import", "a method 'import'"),
        (("methods", 0, "parameters", 0, "name"), "x=print('run')", "a parameter"),
        (("methods", 0, "python_name"), "__init__", "a method '__init__'"),
        (("methods", 0, "raises"), ["print('run')"], "does not describe"),
        (
            ("methods", 0, "parameters", 2, "json_schema"),
            {"type": "integer", "default": {}},
            "an object without a model",
        ),
        (("methods", 0, "parameters", 2, "json_schema"), {"format": "date", "default": "x"}, "no date: 'x'"),
        (("service",), '"""\nprint("run")\n"""', "a service .* which is no name for one"),
        (("service",), "x" * 201, "a service .* which is no name for one"),  # as where it would be defined
        (("errors", "Locked", "type"), "A: pass", "an error 'A: pass'"),
        (("definitions", "User"), {"$ref": "http://127.0.0.1:1/x.json"}, "does not define"),
        (("definitions", "User", "properties", "name"), {"$ref": "#/definitions/Nope"}, "does not define"),
    ],
)
def test_a_document_that_python_cannot_say_is_refused(place: Sequence[Any], value: Any, says: str) -> None:
    document: Any = contract_schema(Users).model_dump(mode="json")
    there: Any = document
    for key in place[:-1]:
        there = there[key]
    there[place[-1]] = value
    with pytest.raises(UsageError, match=says):
        sources(ContractDocument.model_validate(document))


@pytest.mark.parametrize(
    "schema",
    [
        {"x-python-import": {"module": "os", "name": "system"}},
        {"type": "string", "x-python-type": "os.system"},
        {"type": "object", "properties": {}, "customBasePath": "os.PathLike"},
        {"type": "string", "customTypePath": "os.PathLike"},
        {"type": "string", "default": '"""\nimport os\n"""', "description": '"""\nimport os\n"""'},
        {"type": "object", "title": "A(os)", "properties": {"x\nimport os": {"type": "integer"}}},
        {"type": "string", "enum": ["\nimport os"], "x-enum-varnames": ["import os"], "title": "E"},
    ],
)
def test_no_code_gets_from_a_document_into_a_package(schema: JsonSchema) -> None:
    """Whoever may write to Kafka may answer for a server."""
    document = contract_schema(Users).model_dump(mode="json")
    document["definitions"]["Address"] = schema
    document["doc"] = document["methods"][0]["doc"] = 'a """\nimport os\n""" b \\'
    document["errors"]["Locked"]["doc"] = '"""; import os'
    try:
        made = sources(ContractDocument.model_validate(document))
    except UsageError:
        return
    for name, text in made.items():
        compile(text, name, "exec")
        imports = [line for line in text.splitlines() if line.lstrip().startswith(("import os", "from os"))]
        assert not [each for each in imports if runs(text, each)], text


@pytest.mark.parametrize(
    "text",
    [
        "open('x')",
        "typing.sys.exit()",
        "import os",
        "from os import system",
        "class A(print('run')): pass",
        "x: list['print(1)'] = []",
        "x: 'print(1)' = 1",
        "Field.__globals__",
        "class A: x: int = [i for i in (1,)]",
        "(lambda: 1)()",
    ],
)
def test_a_module_that_does_more_than_declare_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="more than declare"):
        checked(f"from pydantic import Field\n{text}")


def test_types_that_hold_each_other_without_end_are_refused() -> None:
    document = contract_schema(Users).model_dump(mode="json")
    for n in range(30):
        pair: list[JsonSchema] = [{"$ref": f"#/definitions/Pair{n + 1}"}] * 2
        document["definitions"][f"Pair{n}"] = {"type": "array", "prefixItems": pair, "minItems": 2, "maxItems": 2}
    document["definitions"]["Pair30"] = {"type": "integer"}
    with pytest.raises(UsageError, match="can't be written out"):
        sources(ContractDocument.model_validate(document))


def runs(text: str, line: str) -> bool:
    """Whether the line is a statement, and not inside of a text."""
    statements = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Import | ast.ImportFrom)]
    return any(ast.unparse(each) == line.strip() for each in statements)


@pytest.fixture
def folder(tmp_path: Path, run: Command) -> Path:
    """Where commands run; it has a module with one contract."""
    here = tmp_path / "elsewhere"
    (here / "simple.py").write_text(SIMPLE)
    return here


def test_the_command_writes_a_package_and_names_its_files(folder: Path, run: Command) -> None:
    done = run("generate", "--from", "simple", "-o", "items_api")
    assert done.code == 0, done.err
    files = [f"items_api/{name}.py" for name in ("models", "errors", "contract", "client", "__init__")]
    assert done.out.splitlines() == files
    assert run("generate", "--from", "simple:Items", "-o", "items_api").code == 0  # again over what it wrote itself


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["simple", "-o", "items-api"], "'items-api' is no name for a Python package"),
        (["simple", "-o", "class"], "'class' is no name for a Python package"),
        (["simple", "-o", "simple"], "a package simple would hide the module simple.py: choose another name"),
        (["simple", "-o", "mine"], "mine holds something that was not generated"),
        (["simple", "-o", "binary"], "binary holds something that was not generated"),
        (["simple", "-o", "loop"], "loop: File exists"),
        (["simple", "-o", "strict/api"], "unknown field"),
        (["simple", "-o", "simple.py/api"], "Not a directory"),
        (["two", "-o", "api"], "several services, one, two: name one contract"),
        (["absent.json", "-o", "api"], "absent.json: No such file"),
    ],
)
def test_what_cannot_be_generated_is_said_in_one_line(
    folder: Path, run: Command, arguments: list[str], says: str
) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text("precious = True")
    (folder / "two.py").write_text(
        "from typedrpc import *\n"
        "class One(Service, service='one'):\n    @service.method\n    async def f(self) -> None: ...\n"
        "class Two(Service, service='two'):\n    @service.method\n    async def f(self) -> None: ...\n"
    )
    (folder / "binary").mkdir()
    (folder / "binary" / "__init__.py").write_bytes(b"\xff")
    (folder / "loop").symlink_to("loop")
    (folder / "strict").mkdir()
    (folder / "strict" / "ruff.toml").write_text("nothing-like-it = 1")
    done = run("generate", "--from", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert says in done.err
    assert (folder / "mine" / "__init__.py").read_text() == "precious = True"


def test_a_package_that_cannot_be_written_is_left_as_it_was(folder: Path, run: Command) -> None:
    assert run("generate", "--from", "simple", "-o", "items_api").code == 0
    (folder / "items_api" / "contract.py").unlink()
    (folder / "items_api" / "contract.py").mkdir()
    before = sorted(file.name for file in (folder / "items_api").iterdir())
    done = run("generate", "--from", "simple", "-o", "items_api")
    assert (done.code, done.err) == (2, "typedrpc: items_api: Is a directory\n")
    assert sorted(file.name for file in (folder / "items_api").iterdir()) == before


def test_unused_imports_go_also_where_a_project_keeps_them(folder: Path, run: Command) -> None:
    (folder / "ruff.toml").write_text('line-length = 60\nlint.unfixable = ["F401"]\nformat.quote-style = "single"')
    assert run("generate", "--from", "simple", "-o", "items_api").code == 0
    text = (folder / "items_api" / "contract.py").read_text()
    assert ("Decimal" in text, "service='shop.items-v2'" in text) == (False, True)


@pytest.mark.kafka
def test_a_server_that_runs_gives_the_package_that_its_document_gives(
    server: Path, run: Command, name: str, tmp_path: Path
) -> None:
    here = tmp_path / "elsewhere"
    (here / "echo.json").write_text(run("describe", name, "--json").out)
    assert run("generate", "--from", f"{name}@running", "-o", "running").code == 0
    assert run("generate", "--from", "echo.json", "-o", "written").code == 0
    for file in (here / "written").iterdir():
        if file.is_file():
            assert (here / "running" / file.name).read_text() == file.read_text()
