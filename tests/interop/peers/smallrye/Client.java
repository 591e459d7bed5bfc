package peer;

import io.smallrye.common.annotation.Identifier;
import io.smallrye.mutiny.TimeoutException;
import io.smallrye.mutiny.Uni;
import io.smallrye.reactive.messaging.MutinyEmitter;
import io.smallrye.reactive.messaging.kafka.KafkaRecord;
import io.smallrye.reactive.messaging.kafka.api.OutgoingKafkaRecordMetadata;
import io.smallrye.reactive.messaging.kafka.reply.KafkaRequestReply;
import io.smallrye.reactive.messaging.kafka.reply.ReplyFailureHandler;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.eclipse.microprofile.reactive.messaging.Channel;
import org.eclipse.microprofile.reactive.messaging.Message;
import org.eclipse.microprofile.reactive.messaging.OnOverflow;
import org.jboss.weld.environment.se.Weld;

/** KafkaRequestReply, and an emitter for requests that want no reply, since it always asks for one. */
@ApplicationScoped
class Client {
    @Inject
    @Channel("requests")
    @OnOverflow(OnOverflow.Strategy.UNBOUNDED_BUFFER) // more than 128 calls at once are refused by default
    KafkaRequestReply<Object, Object> requests;

    @Inject
    @Channel("events")
    MutinyEmitter<Object> events;

    Uni<?> ready() {
        return requests.waitForAssignments();
    }

    /** `request(Message)`, because `request(payload)` knows no key and fails on a reply that is null. */
    Uni<JsonObject> call(JsonObject order) {
        return requests.request(message(order))
                .ifNoItem().after(Duration.ofMillis((long) (order.getDouble("timeout") * 1000))).fail()
                .map(reply -> new JsonObject().put("value", reply.getPayload()))
                .onFailure().recoverWithItem(error -> new JsonObject()
                        .put("error", String.valueOf(error.getMessage())) // "null" of Mutiny's TimeoutException
                        .put("kind", error instanceof TimeoutException ? "timeout" : error instanceof Rejected ? "rejected" : "failed"));
    }

    Uni<Void> emit(JsonObject order) {
        return events.sendMessage(message(order));
    }

    static Message<Object> message(JsonObject order) {
        var headers = new RecordHeaders();
        order.getJsonObject("headers", new JsonObject())
                .forEach(header -> headers.add(header.getKey(), header.getValue().toString().getBytes(StandardCharsets.UTF_8)));
        var record = OutgoingKafkaRecordMetadata.builder().withTopic(order.getString("topic")).withHeaders(headers);
        if (order.containsKey("key")) {
            record.withKey(order.getString("key"));
        }
        if (order.containsKey("partition")) {
            record.withPartition(order.getInteger("partition"));
        }
        return Message.of(order.getValue("value")).addMetadata(record.build());
    }

    static void run(BufferedReader orders) throws Exception {
        var requests = "mp.messaging.outgoing.requests";
        for (var channel : new String[] {requests, "mp.messaging.outgoing.events"}) {
            Peer.connect(channel, "topic", "named-by-each-message");
            Peer.set(channel, "value.serializer", isJson() ? Peer.JsonSerializer.class.getName() : null);
        }
        Peer.set(requests, "reply.value.deserializer", isJson() ? Peer.JsonDeserializer.class.getName() : null);
        Peer.set(requests, "reply.topic", Peer.options.getString("reply_topic"));
        Peer.set(requests, "reply.partition", Peer.options.getInteger("reply_partition"));
        Peer.set(requests, "reply.group.id", Peer.options.getString("group"));
        Peer.set(requests, "reply.timeout", "60000"); // ours is shorter, and each call's own
        Peer.set(requests, "reply.correlation-id.handler", "binary".equals(Peer.options.getString("correlation")) ? "bytes" : null);
        Peer.set(requests, "reply.failure.handler", Peer.options.getBoolean("error_checker", true) ? "reply-error" : null);
        try (var container = new Weld().addBeanClasses(Client.class, ReplyErrors.class).initialize()) {
            var client = container.select(Client.class).get();
            client.ready().await().atMost(Duration.ofSeconds(30));
            Peer.say("ready");
            for (String line; (line = orders.readLine()) != null; ) {
                follow(client, line);
            }
        }
    }

    static void follow(Client client, String line) throws InterruptedException {
        var order = new JsonObject(line);
        if (order.getString("op").equals("emit")) {
            client.emit(order).subscribe().with(done -> Peer.say(new JsonObject().put("id", order.getInteger("id"))));
            return;
        }
        var room = new Semaphore(order.getInteger("at_once"));
        var outcomes = new CompletableFuture<?>[order.getInteger("times")];
        for (int n = 0; n < outcomes.length; n++) {
            room.acquire();
            // the number in the value keeps one reply from standing for another
            var call = client.call(new JsonObject(line.replace("{n}", String.valueOf(n)))).subscribeAsCompletionStage();
            outcomes[n] = call;
            call.thenRun(room::release);
        }
        CompletableFuture.allOf(outcomes).thenRun(() -> {
            var all = new JsonArray(Stream.of(outcomes).map(CompletableFuture::join).toList());
            Peer.say(new JsonObject().put("id", order.getInteger("id")).put("outcomes", all));
        });
    }

    static boolean isJson() {
        return Peer.options.getBoolean("json", false);
    }

    static class Rejected extends RuntimeException {
        Rejected(String message) {
            super(message);
        }
    }

    @ApplicationScoped
    @Identifier("reply-error")
    static class ReplyErrors implements ReplyFailureHandler {
        @Override
        public Throwable handleReply(KafkaRecord<?, ?> reply) {
            var header = reply.getHeaders().lastHeader(Peer.ERROR);
            return header == null ? null : new Rejected(new String(header.value(), StandardCharsets.UTF_8));
        }
    }
}
