/**
 * NestJS microservices on kafkajs as a server (@MessagePattern, @EventPattern) or a client (ClientKafka): see peer.py.
 *
 * Options of a client: `topics` that it may call, because it subscribes to `<topic>.reply` of each before it starts, and
 * `group`. Nest has neither a time-out nor a choice of reply topics, partitions or correlation ids.
 */
import "reflect-metadata";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientKafka, Ctx, EventPattern, KafkaContext, MessagePattern, Payload, RpcException, Transport } from "@nestjs/microservices";
import { lastValueFrom, of, timeout, TimeoutError } from "rxjs";

type Outcome = { value: unknown } | { error: unknown; kind: "timeout" | "rejected" | "failed" };

interface Order {
  id: number;
  op: "call" | "emit";
  topic: string;
  value: unknown;
  key?: string;
  headers?: Record<string, string>;
  timeout: number;
  times: number;
  at_once: number;
}

const options = JSON.parse(process.argv[2]);
const handlers: Record<string, string> = options.handlers ?? {};
const seen: object[] = [];
const kafka = (group: string) => ({
  client: { brokers: options.bootstrap.split(","), logLevel: 1 },
  consumer: { groupId: group, rebalanceTimeout: 5000, maxWaitTimeInMs: 100 },
  subscribe: { fromBeginning: options.role === "server" }, // a request that came before the group's first join counts too
});

/** A pattern is a topic. One that is not asked for is never subscribed to: Nest knows no handler without a topic. */
const on = (handler: string, pattern: (topic: string) => MethodDecorator = MessagePattern): MethodDecorator =>
  handlers[handler] ? pattern(handlers[handler]) : () => undefined;

function note(value: unknown, context: KafkaContext): void {
  const key = context.getMessage().key as unknown;
  seen.push({ topic: context.getTopic(), key: key instanceof Buffer ? key.toString() : key, value });
}

@Controller()
class Handlers {
  @on("echo")
  echo(@Payload() value: unknown, @Ctx() context: KafkaContext): unknown {
    note(value, context);
    return value;
  }

  @on("upper")
  upper(@Payload() text: string | null, @Ctx() context: KafkaContext): string {
    note(text, context);
    return text?.toUpperCase() ?? "";
  }

  /** Nest's way to tell the caller why: text as text, an object as JSON, both in the header kafka_nest-err. */
  @on("fail")
  fail(@Payload() reason: string | object, @Ctx() context: KafkaContext): never {
    note(reason, context);
    throw new RpcException(reason);
  }

  /** Any other exception: its text stays here, the caller gets "Internal server error". */
  @on("crash")
  crash(@Payload() reason: string, @Ctx() context: KafkaContext): never {
    note(reason, context);
    throw new Error(reason);
  }

  @on("void")
  nothing(@Payload() value: unknown, @Ctx() context: KafkaContext): void {
    note(value, context);
  }

  @on("null")
  none(@Payload() value: unknown, @Ctx() context: KafkaContext): null {
    note(value, context);
    return null;
  }

  @on("slow")
  async slow(@Payload() seconds: string, @Ctx() context: KafkaContext): Promise<string> {
    note(seconds, context);
    await sleep(Number(seconds) * 1000);
    return seconds;
  }

  /** A record for each letter, and a last one, which alone is marked as the end. */
  @on("stream")
  stream(@Payload() text: string, @Ctx() context: KafkaContext): unknown {
    note(text, context);
    return of(...text);
  }

  @on("event", EventPattern)
  event(@Payload() value: unknown, @Ctx() context: KafkaContext): void {
    note(value, context);
  }
}

@Module({ controllers: [Handlers] })
class App {}

async function serve(): Promise<void> {
  const app = await NestFactory.createMicroservice(App, {
    transport: Transport.KAFKA,
    options: kafka(Object.values(handlers)[0]),
    logger: ["error"],
  });
  await app.listen(); // returns when its group has been joined
  say("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    say({ id: JSON.parse(line).id, value: seen });
  }
  await app.close();
}

async function call(): Promise<void> {
  const client = new ClientKafka(kafka(options.group ?? options.topics[0]));
  for (const topic of options.topics) {
    client.subscribeToResponseOf(topic);
  }
  await client.connect();
  while (options.topics.some((topic: string) => client.getConsumerAssignments()[`${topic}.reply`] === undefined)) {
    await sleep(20);
  }
  say("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order;
    void (order.op === "emit" ? emit(client, order) : callTimes(client, line, order));
  }
  await client.close();
}

async function emit(client: ClientKafka, order: Order): Promise<void> {
  await lastValueFrom(client.emit(order.topic, message(order)));
  say({ id: order.id });
}

async function callTimes(client: ClientKafka, line: string, { id, times, at_once }: Order): Promise<void> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < times) {
      const n = next++;
      // the number in the value keeps one reply from standing for another
      outcomes[n] = await outcome(client, JSON.parse(line.replaceAll("{n}", String(n))));
    }
  };
  await Promise.all(Array.from({ length: at_once }, caller));
  say({ id, outcomes });
}

async function outcome(client: ClientKafka, order: Order): Promise<Outcome> {
  try {
    const value: unknown = await lastValueFrom(client.send(order.topic, message(order)).pipe(timeout(order.timeout * 1000)));
    return { value };
  } catch (error) {
    // what a server rejects with is a string or JSON (ClientProxy.serializeError); an Error comes from here
    if (error instanceof TimeoutError) return { error: "no reply in time", kind: "timeout" };
    return error instanceof Error ? { error: error.message, kind: "failed" } : { error, kind: "rejected" };
  }
}

/** With a key or headers Nest wants the record as an object of key, value and headers (KafkaRequestSerializer). */
function message({ value, key, headers }: Order): unknown {
  return key === undefined && headers === undefined ? value : { value, key, headers };
}

function say(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

await (options.role === "server" ? serve() : call());
process.exit(0);
