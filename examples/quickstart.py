"""The whole of typedrpc: `python examples/quickstart.py`, in memory, or on Kafka where TYPEDRPC_KAFKA is set."""

import asyncio
import os

from faststream.kafka import KafkaBroker
from pydantic import BaseModel

from typedrpc import DeadlineExceeded, InvalidArgument, Rpc, RpcError, Service, Status, client, service


class User(BaseModel):
    id: int
    name: str


class UserNotFound(RpcError, code=Status.NOT_FOUND):
    id: int


class Users(Service):
    def __init__(self, names: dict[int, str]) -> None:
        self._names = names

    @service.method(raises=[UserNotFound])
    async def get(self, id: int) -> User:
        if id not in self._names:
            raise UserNotFound(f"nobody has id {id}", id=id)
        return User(id=id, name=self._names[id])

    @service.method
    async def report(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"


UsersClient = client(Users)


async def main() -> None:
    address = os.environ.get("TYPEDRPC_KAFKA")
    rpc = Rpc(KafkaBroker(address, logger=None)) if address else Rpc.in_memory()
    rpc.serve(Users({1: "Ada", 2: "Grace"}))
    async with rpc:
        user = await UsersClient.get(1)
        print(f"a typed call         {user!r}")

        users = await asyncio.gather(*(UsersClient.get(id) for id in (1, 2)))
        print(f"two at once          {', '.join(u.name for u in users)}")

        try:
            await UsersClient.get(404)
        except UserNotFound as error:
            print(f"a declared error     {type(error).__name__}, with its field id={error.id}")

        try:
            await UsersClient.report.with_options(timeout=0.2)(60)
        except DeadlineExceeded as error:
            print(f"a deadline           {error}")

        try:
            await UsersClient.get("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        except InvalidArgument as error:
            print(f"a validation error   {error}")


if __name__ == "__main__":
    asyncio.run(main())
