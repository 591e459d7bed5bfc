"""Plain FastStream subscribers and a typed service in one app, calling each other: `python beside_faststream.py`.

In memory, or with TYPEDRPC_KAFKA set, on Kafka; `faststream run beside_faststream:app` works too.
"""

import asyncio
import os
from typing import Protocol

from faststream import FastStream
from faststream.kafka import KafkaBroker, TestKafkaBroker
from pydantic import BaseModel

from typedrpc import Rpc, Service, client, service

ADDRESS = os.environ.get("TYPEDRPC_KAFKA")
broker = KafkaBroker(ADDRESS or "localhost:9092", logger=None)
rpc = Rpc(broker)
app = FastStream(broker, logger=None)
rpc.attach(app)


class Price(BaseModel):
    item: str
    cents: int


class Order(BaseModel):
    item: str
    quantity: int


# A plain subscriber. FastStream sends what it returns to the caller.
@broker.subscriber("example.price", group_id="example.price", auto_offset_reset="earliest")
async def price(item: str) -> Price:
    return Price(item=item, cents=250)


# The same subscriber as its callers see it.
class Prices(Service, Protocol, dialect="faststream"):
    @service.method(topic="example.price")
    async def price(self, item: str) -> Price: ...


PricesClient = client(Prices)


# A typed service, which calls the plain subscriber.
class Quotes(Service, service="example.quotes"):
    @service.method(timeout=20)
    async def quote(self, order: Order) -> int:
        price = await PricesClient.price(order.item)
        return order.quantity * price.cents


QuotesClient = client(Quotes)
rpc.serve(Quotes())


# Another plain subscriber, which calls the typed service.
@broker.subscriber("example.orders", group_id="example.orders", auto_offset_reset="earliest")
async def on_order(order: Order) -> None:
    cents = await QuotesClient.quote(order)
    print(f"{order.quantity} x {order.item}: {cents / 100:.2f}", flush=True)
    app.exit()  # enough for an example


@app.after_startup
async def place_order() -> None:
    await broker.publish(Order(item="apple", quantity=3), "example.orders")


async def main() -> None:
    if ADDRESS:
        await app.run()
    else:
        async with TestKafkaBroker(broker, connect_only=True):
            await app.run()


if __name__ == "__main__":
    asyncio.run(main())
