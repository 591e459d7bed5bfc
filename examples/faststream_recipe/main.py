"""One service, called three ways: by the recipe, by `rpc.request`, and by a typed client. `python main.py`

It needs a Kafka at TYPEDRPC_KAFKA (default localhost:9092).
"""

import asyncio
import os

from faststream import FastStream
from faststream.kafka import KafkaBroker
from rpc_worker import RPCWorker

from typedrpc import Rpc, Service, client, service


class Greeter(Service):
    @service.method(topic="example.greet")
    async def greet(self, name: str) -> str:
        return f"Hello, {name}!"


GreeterClient = client(Greeter)

broker = KafkaBroker(os.environ.get("TYPEDRPC_KAFKA", "localhost:9092"), logger=None)
rpc = Rpc(broker)
rpc.serve(Greeter())
app = FastStream(broker, logger=None)
rpc.attach(app)

worker = RPCWorker(broker, reply_topic="example.greetings")  # made before the app runs, so that it starts with it


@app.after_startup
async def call() -> None:
    reply = await worker.request("Ada", "example.greet", timeout=10)
    print(f"the recipe                     {reply.decode()}")

    late = RPCWorker(broker, reply_topic="example.greetings.late")
    await late.start()
    reply = await late.request("Grace", "example.greet", timeout=10)
    print(f"the recipe, started later      {reply.decode()}")

    reply = await rpc.request("example.greet", b"Edsger", timeout=10)
    print(f"rpc.request: bytes, bytes      {reply.decode()}")

    greeting = await GreeterClient.greet("Barbara")
    print(f"a typed client                 {greeting}")
    app.exit()


if __name__ == "__main__":
    asyncio.run(app.run())
