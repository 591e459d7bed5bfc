"""A server that starts on a backlog: `scripts/kafka.py run -- python -m benchmarks.backlog --records 1000000`.

Prints how fast it works through expired requests, what that takes of memory, how many handlers ran, and when the fresh
call behind them all was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker

from benchmarks.memory import memory
from typedrpc import Rpc, Service, Topics, service
from typedrpc.transport.kafka import KafkaTransport, connection_of
from typedrpc.wire import method_headers, reply_headers

KAFKA = os.environ["TYPEDRPC_KAFKA"]


async def fill(name: str, records: int) -> None:
    """Writes requests that expire after a millisecond, in batches, to all partitions."""
    connection = connection_of(KafkaBroker(KAFKA, logger=None))
    assert connection is not None
    transport = KafkaTransport(connection, start_timeout=20, instance_id=None)
    topics = Topics()
    await transport.ensure_topics([topics.request_topic(name), topics.reply_topic()], create=True)
    await transport.stop()
    always = [*reply_headers(topics.replies, 0), *method_headers(name, "work"), ("rpc-timeout", b"1")]
    producer = AIOKafkaProducer(bootstrap_servers=KAFKA, max_batch_size=500_000)
    await producer.start()
    written = 0
    while written < records:
        batch = producer.create_batch()
        for written in range(written + 1, min(written + 2000, records) + 1):  # noqa: B020
            headers = [("correlation_id", b"old-%d" % written), *always]
            if batch.append(timestamp=None, key=None, value=b'{"number": 1}', headers=headers) is None:
                written -= 1
                break
        batch.close()
        await (await producer.send_batch(batch, name, partition=written // 2000 % topics.request_partitions))
    await producer.stop()


async def work_through(name: str, records: int) -> dict[str, float]:
    ran = 0

    class Work(Service, service=name):
        @service.method
        async def work(self, number: int) -> int:
            nonlocal ran
            ran += 1
            return number

    rpc = Rpc(KafkaBroker(KAFKA, logger=None), timeout=120)
    async with rpc:
        before = memory("VmRSS") / 2**20
        rpc.serve(Work())
        started = time.perf_counter()
        await rpc.ready()
        work = rpc.client(Work).work
        calls = [work.with_options(key=str(n))(n) for n in range(200)]  # by so many keys, behind every partition
        await asyncio.gather(*calls)
        seconds = time.perf_counter() - started
        expired = rpc._served[name].expired  # pyright: ignore[reportPrivateUsage]  # the proof that all were met
    return {
        "records/s": records / seconds,
        "seconds until the fresh calls were answered": seconds,
        "handlers run": ran,
        "expired requests skipped": expired,
        "RSS before, MiB": before,
        "RSS peak, MiB": memory("VmHWM") / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="for the tests")
    arguments = parser.parse_args()
    name = f"backlog-{uuid4().hex[:8]}"
    writer = os.fork()  # a process of its own, so that its memory does not count
    if not writer:
        asyncio.run(fill(name, arguments.records))
        os._exit(0)
    assert os.waitpid(writer, 0)[1] == 0
    time.sleep(1.5)
    figures = asyncio.run(work_through(name, arguments.records))
    if arguments.json:
        print(json.dumps(figures))
        return
    for what, figure in figures.items():
        print(f"{what}: {figure:,.1f}")


if __name__ == "__main__":
    main()
