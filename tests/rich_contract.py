"""A contract with types of every kind, and a server of it, for tests of what is made of contracts."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Generic, Literal, NamedTuple, Protocol, TypeVar
from uuid import UUID

from pydantic import AnyUrl, Base64UrlBytes, BaseModel, ConfigDict, Field, JsonValue, RootModel
from typing_extensions import TypedDict

from typedrpc import Call, NotFound, Retry, RpcError, Service, Status, service


class Colour(enum.Enum):
    """Of the rainbow."""

    RED = "red"
    DARK_GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    """Where somebody lives.

    Or "works" \\ plays.
    """

    street: str = Field(min_length=1, max_length=80, description="with the number")
    zip: str = Field(default="00000", pattern=r"^\d{5}$")
    country: Literal["DE", "FR"] = "DE"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str | None = None


class User(BaseModel):
    """A person."""

    model_config = ConfigDict(extra="forbid")  # pyright: ignore[reportUnannotatedClassAttribute]
    id: int = Field(gt=0)
    name: str
    born: date | None = None
    seen: datetime
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    addresses: list[Address] = []
    emails: list[str] = Field(default_factory=list[str])
    home: Address | None = None
    pet: Cat | Dog | None = None
    tags: set[str] = set()
    scores: dict[str, float] = {}
    friend: User | None = None
    balance: Decimal = Decimal("0")
    ref: UUID
    span: timedelta | None = None
    pair: tuple[int, str] = (1, "a")
    since: date = date(2020, 1, 1)
    raw: Base64UrlBytes = b""
    notes: JsonValue = None
    camelCase: int = 1  # as other languages write it
    from_: str = Field(default="here", alias="from")


T = TypeVar("T", bound=BaseModel)


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: str | None = None


class Ids(RootModel[list[int]]):
    pass


@dataclass
class Point:
    x: int
    y: int = 0


class Filter(TypedDict, total=False):
    name: str
    limit: int


class Span(NamedTuple):
    start: int
    end: int = 10


class UserNotFound(NotFound, code=Status.NOT_FOUND):
    """Nobody has this id."""

    id: int
    near: Address | None = None


class Locked(RpcError, code=Status.FAILED_PRECONDITION):
    pass


class Users(Service, Protocol, service="users"):
    """People.

    All of them.
    """

    @service.method(
        raises=[UserNotFound],
        timeout=5,
        idempotent=True,
        retry=Retry(attempts=5, on=frozenset({Status.UNAVAILABLE, Status.ABORTED})),
    )
    async def get(self, id: Annotated[int, Field(gt=0)], /, *, deep: bool = False) -> User:
        """Find a user.

        By id.
        """
        ...

    @service.method(raises=[Locked])
    async def save(
        self,
        user: User,
        colour: Colour = Colour.DARK_GREEN,
        point: Point = Point(1, 2),  # noqa: B008
        tags: tuple[str, ...] = ("a", "b"),
        level: Level = Level.HIGH,
        marks: frozenset[int] = frozenset(),
    ) -> str: ...

    @service.method
    async def values(
        self,
        limit: int = 10,
        mode: Literal["a", "b"] = "a",
        exact: Decimal = Decimal("1.5"),
        data: bytes = b"\xff",
        day: date = date(2020, 1, 1),
        ratio: float | None = 1.0,
        text: float | str = "x",
    ) -> list[JsonValue]: ...

    @service.method(name="find-all")
    async def find_all(self, filter: Filter, span: Span, ids: Ids, json: JsonValue = None) -> Page[User]: ...

    @service.method
    async def pairs(self, of: User | Address | None = None) -> list[tuple[int, str]]: ...

    @service.method(oneway=True)
    async def log(self, line: str) -> None: ...

    @service.method
    async def nothing(self) -> None: ...

    @service.method
    async def blob(self, data: bytes, path: Path, url: AnyUrl) -> bytes: ...

    @service.method(topic="users-plain", dialect="faststream", delivery="at_most_once")
    async def plain(self, line: str) -> str: ...


class UsersServer(Users):
    """Answers with what it was given, so that a test sees what arrived."""

    def __init__(self) -> None:
        self.saved: list[User] = []
        self.lines: list[str] = []
        self.logged = asyncio.Event()

    @service.method
    async def get(self, id: Annotated[int, Field(gt=0)], /, *, deep: bool = False) -> User:
        for user in self.saved:
            if user.id == id:
                return user
        raise UserNotFound(f"nobody has id {id}", id=id, near=Address(street="Elsewhere 1"))

    @service.method
    async def save(
        self,
        user: User,
        colour: Colour = Colour.DARK_GREEN,
        point: Point = Users.save.spec.signature.parameters["point"].default,
        tags: tuple[str, ...] = ("a", "b"),
        level: Level = Level.HIGH,
        marks: frozenset[int] = frozenset(),
    ) -> str:
        self.saved.append(user)
        return f"{colour.name} {point.x},{point.y} {'/'.join(tags)} {level.name} {sorted(marks)}"

    @service.method
    async def values(
        self,
        limit: int = 10,
        mode: Literal["a", "b"] = "a",
        exact: Decimal = Decimal("1.5"),
        data: bytes = b"\xff",
        day: date = date(2020, 1, 1),
        ratio: float | None = 1.0,
        text: float | str = "x",
    ) -> list[JsonValue]:
        return [limit, mode, str(exact), data.hex(), day.isoformat(), ratio, text]

    @service.method
    async def find_all(self, filter: Filter, span: Span, ids: Ids, json: JsonValue = None) -> Page[User]:
        found = [user for user in self.saved if user.id in ids.root]
        return Page[User](items=found, next=f"{dict(filter)} {span.start}-{span.end} {json}")

    @service.method
    async def pairs(self, of: User | Address | None = None) -> list[tuple[int, str]]:
        return [(1, type(of).__name__)]

    @service.method(oneway=True)
    async def log(self, line: str) -> None:
        self.lines.append(line)
        self.logged.set()

    @service.method
    async def nothing(self) -> None: ...

    @service.method
    async def blob(self, ctx: Call, data: bytes, path: Path, url: AnyUrl) -> bytes:
        return data + f"{path} {url}".encode()

    @service.method
    async def plain(self, line: str) -> str:
        return line.upper()
