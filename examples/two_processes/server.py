"""Serves the contract. Here, with a Kafka at TYPEDRPC_KAFKA (default localhost:9092), either of

typedrpc run server:rpc
faststream run server:app
"""

import os

from contract import OutOfStock, Reservation, Stock
from faststream import FastStream
from faststream.kafka import KafkaBroker

from typedrpc import Rpc, service


class StockServer(Stock):
    def __init__(self, shelf: dict[str, int]) -> None:
        self._shelf = shelf

    @service.method
    async def reserve(self, item: str, quantity: int = 1) -> Reservation:
        left = self._shelf.get(item, 0)
        if quantity > left:
            raise OutOfStock(f"only {left} of {item!r} left", item=item, left=left)
        self._shelf[item] = left - quantity
        return Reservation(item=item, quantity=quantity, left=left - quantity)

    @service.method(oneway=True)
    async def restock(self, item: str, quantity: int) -> None:
        self._shelf[item] = self._shelf.get(item, 0) + quantity


broker = KafkaBroker(os.environ.get("TYPEDRPC_KAFKA", "localhost:9092"))
rpc = Rpc(broker)
rpc.serve(StockServer({"apple": 10}))

app = FastStream(broker)
rpc.attach(app)
