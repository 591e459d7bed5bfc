"""A service that the new user of the test never sees: `typedrpc run orders_service:rpc`."""

from __future__ import annotations

import os
from typing import Literal, Protocol

from faststream.kafka import KafkaBroker
from pydantic import BaseModel

from typedrpc import Rpc, RpcError, Service, Status, service


class Order(BaseModel):
    id: int
    item: str
    count: int
    state: Literal["open", "paid"] = "open"


class OutOfStock(RpcError, code=Status.FAILED_PRECONDITION):
    """There is less than was asked for."""

    left: int


class Orders(Service, Protocol, service="orders"):
    """Orders for tea."""

    @service.method(raises=[OutOfStock], timeout=5)
    async def place(self, item: str, *, count: int = 1) -> Order:
        """Place an order."""
        ...

    @service.method(idempotent=True)
    async def get(self, id: int) -> Order | None:
        """The order with this id, or None."""
        ...


class OrdersServer(Orders):
    def __init__(self) -> None:
        self._left = 100
        self._orders: list[Order] = []

    @service.method
    async def place(self, item: str, *, count: int = 1) -> Order:
        if count > self._left:
            raise OutOfStock(f"{self._left} left", left=self._left)
        self._left -= count
        self._orders.append(Order(id=len(self._orders) + 1, item=item, count=count))
        return self._orders[-1]

    @service.method
    async def get(self, id: int) -> Order | None:
        return self._orders[id - 1] if 0 < id <= len(self._orders) else None


rpc = Rpc(KafkaBroker(os.environ.get("TYPEDRPC_KAFKA", "localhost:9092"), logger=None))
rpc.serve(OrdersServer())
