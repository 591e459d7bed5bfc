/** A sample of calls: what benchmarks/samples.py is for contenders in Python. */
import { setTimeout as sleep } from "node:timers/promises";

/** `rate`: calls/s of an open loop; null for `at_once` workers. */
export interface Order {
  work: string;
  at_once: number;
  seconds: number;
  rate: number | null;
}

type Call = () => Promise<unknown>;

/** As there: seconds within which calls that were begun are to end. */
const PATIENCE = 10;

class Tally {
  latencies: number[] = [];
  errors = 0;
  error: string | null = null;
  late = false;
  running = 0;

  async one(call: Call, since: number): Promise<void> {
    this.running++;
    try {
      await call();
      this.latencies.push(performance.now() - since);
    } catch (error) {
      this.errors++;
      this.error = String(error).split("\n")[0].slice(0, 100);
    } finally {
      this.running--;
    }
  }
}

/** Times in ms; null where there were too few calls. */
export async function sample(call: Call, order: Order): Promise<object> {
  const tally = new Tally();
  const cpu = process.cpuUsage();
  const started = performance.now();
  const all = order.rate === null ? closed(tally, call, order.at_once, order.seconds) : open(tally, call, order.rate, order.seconds);
  const patience = new AbortController();
  await Promise.race([all, sleep((order.seconds + PATIENCE) * 1000, undefined, { signal: patience.signal })]);
  patience.abort();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const { latencies, errors, running, error, late } = tally;
  const ordered = Float64Array.from(latencies).sort();
  const calls = ordered.length;
  return {
    calls,
    errors: errors + running,
    error: running ? "did not end in time" : error,
    seconds,
    p50: calls ? percentile(ordered, 0.5) : null,
    p99: calls ? percentile(ordered, 0.99) : null,
    p999: calls >= 1000 ? percentile(ordered, 0.999) : null,
    cpu: (user + system) / 1e6,
    late,
  };
}

async function closed(tally: Tally, call: Call, atOnce: number, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  const worker = async (): Promise<void> => {
    for (let now = performance.now(); now < end; now = performance.now()) {
      await tally.one(call, now);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function open(tally: Tally, call: Call, rate: number, seconds: number): Promise<void> {
  const start = performance.now();
  const calls: Promise<void>[] = [];
  for (let n = 0; n < Math.floor(rate * seconds); n++) {
    const intended = start + (n / rate) * 1000;
    const ahead = intended - performance.now();
    if (ahead > 0) await sleep(ahead);
    tally.late ||= ahead < -100;
    calls.push(tally.one(call, intended));
  }
  await Promise.all(calls);
}

function percentile(ordered: Float64Array, share: number): number {
  return ordered[Math.max(0, Math.ceil(share * ordered.length) - 1)];
}
