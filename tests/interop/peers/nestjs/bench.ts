/**
 * The contender `nestjs` of benchmarks/, set up as the page "Kafka" of Nest's documentation; led by the lines of JSON of
 * benchmarks/process.py. Arguments: `server` or `client`, and the work. Bytes arrive as text, which is how Nest reads them.
 */
import "reflect-metadata";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientKafka, MessagePattern, Payload, Transport } from "@nestjs/microservices";
import kafkajs from "kafkajs";
import { lastValueFrom, timeout } from "rxjs";
import { sample, type Order } from "./sampling.js";

/** What is sent, and to how many partitions; `waiting`: seconds. */
interface Work {
  partitions: number;
  waiting: number;
  small: object;
  nested: object;
  bytes: string;
}

const [role, given] = process.argv.slice(2);
const work = JSON.parse(given) as Work;
const works = ["small", "nested", "bytes", "waiting"];
const topic = (of: string): string => `${process.env.BENCH_NAME}-nestjs-${of}`;
const options = {
  client: { brokers: process.env.TYPEDRPC_KAFKA!.split(","), logLevel: kafkajs.logLevel.ERROR },
  consumer: { groupId: topic("bench") },
  run: { partitionsConsumedConcurrently: work.partitions }, // else one call at a time
};

@Controller()
class Handlers {
  @MessagePattern(topic("small"))
  small(@Payload() value: object): object {
    return value;
  }

  @MessagePattern(topic("nested"))
  nested(@Payload() value: object): object {
    return value;
  }

  @MessagePattern(topic("bytes"))
  bytes(@Payload() value: string): string {
    return value;
  }

  @MessagePattern(topic("waiting"))
  async waiting(@Payload() value: object): Promise<object> {
    await sleep(work.waiting * 1000);
    return value;
  }
}

@Module({ controllers: [Handlers] })
class App {}

async function makeTopics(): Promise<void> {
  const admin = new kafkajs.Kafka(options.client).admin();
  await admin.connect();
  const requests = works.map((each) => ({ topic: topic(each), numPartitions: work.partitions }));
  const replies = works.map((each) => ({ topic: `${topic(each)}.reply`, numPartitions: 1 })); // one for each client
  await admin.createTopics({ topics: [...requests, ...replies] });
  await admin.disconnect();
}

async function serve(): Promise<void> {
  await makeTopics();
  const app = await NestFactory.createMicroservice(App, { transport: Transport.KAFKA, options, logger: ["error"] });
  await app.listen(); // returns when its group has been joined
  say("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    const { user, system } = process.cpuUsage();
    say((user + system) / 1e6);
  }
}

async function call(): Promise<void> {
  const client = new ClientKafka(options);
  for (const each of works) {
    client.subscribeToResponseOf(topic(each));
  }
  await client.connect();
  while (works.some((each) => client.getConsumerAssignments()[`${topic(each)}.reply`] === undefined)) {
    await sleep(20);
  }
  const send = (to: string, value: unknown) => (): Promise<unknown> =>
    lastValueFrom(client.send(topic(to), value).pipe(timeout(20_000)));
  const calls: Record<string, () => Promise<unknown>> = {
    small: send("small", work.small),
    nested: send("nested", work.nested),
    bytes: send("bytes", Buffer.from(work.bytes)),
    waiting: send("waiting", work.small),
  };
  say("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order;
    say(await sample(calls[order.work], order));
  }
}

function say(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

await (role === "server" ? serve() : call());
process.exit(0);
