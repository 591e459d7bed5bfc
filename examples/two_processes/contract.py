"""What the server and its callers share: types, errors and methods, and no server code."""

from typing import Protocol

from pydantic import BaseModel

from typedrpc import RpcError, Service, Status, client, service


class Reservation(BaseModel):
    item: str
    quantity: int
    left: int


class OutOfStock(RpcError, code=Status.FAILED_PRECONDITION):
    item: str
    left: int


class Stock(Service, Protocol, service="example.stock"):
    @service.method(raises=[OutOfStock], timeout=20)
    async def reserve(self, item: str, quantity: int = 1) -> Reservation:
        """Take some of an item off the shelf."""
        ...

    @service.method(oneway=True)
    async def restock(self, item: str, quantity: int) -> None:
        """More has arrived; nobody waits for an answer."""
        ...


StockClient = client(Stock)
