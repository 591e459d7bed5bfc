"""Calls the server in its own process: `python client.py`, with a Kafka at TYPEDRPC_KAFKA (default localhost:9092)."""

import asyncio
import os

from contract import OutOfStock, Stock, StockClient
from faststream.kafka import KafkaBroker

from typedrpc import Rpc


async def shop(stock: Stock) -> None:
    """Takes the contract, so it works with a client, with the server itself, or with a mock in a test."""
    reservation = await stock.reserve("apple", 2)
    print(f"reserved   {reservation!r}")
    try:
        await stock.reserve("apple", 1_000_000)
    except OutOfStock as error:
        print(f"refused    {error.message}, as the error's field left={error.left} says")
    await stock.restock("apple", 2)
    print("restocked")


async def main() -> None:
    async with Rpc(KafkaBroker(os.environ.get("TYPEDRPC_KAFKA", "localhost:9092"))):
        await shop(StockClient)


if __name__ == "__main__":
    asyncio.run(main())
