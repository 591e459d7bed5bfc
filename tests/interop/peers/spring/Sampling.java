package peer;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import java.util.stream.DoubleStream;

/** A sample of calls: what benchmarks/samples.py is for contenders in Python. */
class Sampling {
    /** As there: seconds within which calls that were begun are to end. */
    static final double PATIENCE = 10;

    /** `rate`: calls/s of an open loop; null for `at_once` workers. */
    record Order(String work, int at_once, double seconds, Double rate) {}

    /** Times in ms; null where there were too few calls. */
    record Sample(
            int calls, int errors, String error, double seconds, Double p50, Double p99, Double p999, double cpu, boolean late) {}

    private final Supplier<CompletableFuture<?>> call;
    private final DoubleStream.Builder latencies = DoubleStream.builder();
    private int errors;
    private String error;
    private boolean late;
    private boolean over;

    Sampling(Supplier<CompletableFuture<?>> call) {
        this.call = call;
    }

    Sample take(Order order) throws Exception {
        double cpu = Bench.cpu();
        long start = System.nanoTime();
        var running = order.rate() == null ? closed(order.at_once(), order.seconds()) : open(order.rate(), order.seconds());
        long end = start + (long) ((order.seconds() + PATIENCE) * 1e9);
        try {
            CompletableFuture.allOf(running.toArray(CompletableFuture[]::new)).get(end - System.nanoTime(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException unended) {
            running.stream().filter(each -> !each.isDone()).forEach(each -> note(new TimeoutException("did not end in time"), 0));
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        return told(seconds, Bench.cpu() - cpu);
    }

    private List<CompletableFuture<?>> closed(int at_once, double seconds) {
        var workers = new ArrayList<CompletableFuture<?>>();
        long end = System.nanoTime() + (long) (seconds * 1e9);
        for (int n = 0; n < at_once; n++) {
            var worker = new CompletableFuture<Void>();
            workers.add(worker);
            next(worker, end);
        }
        return workers;
    }

    private void next(CompletableFuture<Void> worker, long end) {
        long now = System.nanoTime();
        if (now >= end) {
            worker.complete(null);
            return;
        }
        one(now).thenAccept(answered -> {
            if (answered) {
                next(worker, end);
            } else { // on another thread: calls that fail at once would fill this one's stack
                CompletableFuture.runAsync(() -> next(worker, end));
            }
        });
    }

    private List<CompletableFuture<?>> open(double rate, double seconds) throws InterruptedException {
        var calls = new ArrayList<CompletableFuture<?>>();
        long start = System.nanoTime();
        for (int n = 0; n < (int) (rate * seconds); n++) {
            long intended = start + (long) (n / rate * 1e9);
            long ahead = intended - System.nanoTime();
            TimeUnit.NANOSECONDS.sleep(ahead);
            late |= ahead < -100_000_000;
            calls.add(one(intended));
        }
        return calls;
    }

    /** Whether it was answered. */
    private CompletableFuture<Boolean> one(long since) {
        CompletableFuture<?> reply;
        try {
            reply = call.get();
        } catch (RuntimeException failed) {
            reply = CompletableFuture.failedFuture(failed);
        }
        return reply.handle((value, thrown) -> {
            note(thrown, since);
            return thrown == null;
        });
    }

    private synchronized void note(Throwable thrown, long since) {
        if (over) {
            return;
        }
        if (thrown == null) {
            latencies.add((System.nanoTime() - since) / 1e6);
        } else {
            errors++;
            error = thrown.toString().lines().findFirst().orElse("");
            error = error.substring(0, Math.min(100, error.length()));
        }
    }

    private synchronized Sample told(double seconds, double cpu) {
        over = true;
        var ordered = latencies.build().sorted().toArray();
        int count = ordered.length;
        var p50 = count > 0 ? percentile(ordered, 0.5) : null;
        var p99 = count > 0 ? percentile(ordered, 0.99) : null;
        var p999 = count >= 1000 ? percentile(ordered, 0.999) : null;
        return new Sample(count, errors, error, seconds, p50, p99, p999, cpu, late);
    }

    private static Double percentile(double[] ordered, double share) {
        return ordered[Math.max(0, (int) Math.ceil(share * ordered.length) - 1)];
    }
}
