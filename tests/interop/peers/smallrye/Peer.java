package peer;

import io.smallrye.common.annotation.Identifier;
import io.smallrye.mutiny.TimeoutException;
import io.smallrye.mutiny.Uni;
import io.smallrye.reactive.messaging.MutinyEmitter;
import io.smallrye.reactive.messaging.annotations.Blocking;
import io.smallrye.reactive.messaging.kafka.KafkaClientService;
import io.smallrye.reactive.messaging.kafka.KafkaRecord;
import io.smallrye.reactive.messaging.kafka.api.IncomingKafkaRecordMetadata;
import io.smallrye.reactive.messaging.kafka.api.OutgoingKafkaRecordMetadata;
import io.smallrye.reactive.messaging.kafka.reply.KafkaRequestReply;
import io.smallrye.reactive.messaging.kafka.reply.ReplyFailureHandler;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.eclipse.microprofile.config.ConfigProvider;
import org.eclipse.microprofile.reactive.messaging.Channel;
import org.eclipse.microprofile.reactive.messaging.Incoming;
import org.eclipse.microprofile.reactive.messaging.Message;
import org.eclipse.microprofile.reactive.messaging.OnOverflow;
import org.eclipse.microprofile.reactive.messaging.Outgoing;
import org.jboss.weld.environment.se.Weld;
import org.jboss.weld.environment.se.WeldContainer;

/**
 * SmallRye Reactive Messaging on Weld SE as a server (@Incoming, @Outgoing) or a client (KafkaRequestReply): see peer.py.
 *
 * <p>Options of a server: `failure_strategy` (of a handler that throws). Of a client: `reply_topic`, `reply_partition`,
 * `group`, `correlation` ("text" or "binary"), `json` (bodies are JSON objects, else text), `error_checker`.
 */
public class Peer {
    static final String ERROR = "REPLY_ERROR"; // the name in SmallRye's documentation, "Reply Error Handling"
    static final JsonArray SEEN = new JsonArray();
    static JsonObject options;

    @ApplicationScoped
    static class Handlers {
        @Incoming("echo")
        @Outgoing("echo-replies")
        JsonObject echo(JsonObject order, IncomingKafkaRecordMetadata<String, ?> request) {
            note(request, order);
            return order;
        }

        @Incoming("upper")
        @Outgoing("upper-replies")
        String upper(String text, IncomingKafkaRecordMetadata<String, ?> request) {
            note(request, text);
            return text == null ? "" : text.toUpperCase();
        }

        /** An error as the documentation has it: no body, its text in a header that the client's failure handler reads. */
        @Incoming("fail")
        @Outgoing("fail-replies")
        Message<String> fail(Message<String> message) {
            note(message.getMetadata(IncomingKafkaRecordMetadata.class).orElseThrow(), message.getPayload());
            var error = new RecordHeader(ERROR, message.getPayload().getBytes(StandardCharsets.UTF_8));
            return message.<String>withPayload(null).addMetadata(OutgoingKafkaRecordMetadata.builder().addHeaders(error).build());
        }

        /** Throws: by default the channel stops and nothing of this topic is answered any more. */
        @Incoming("crash")
        @Outgoing("crash-replies")
        String crash(String text, IncomingKafkaRecordMetadata<String, ?> request) {
            note(request, text);
            throw new IllegalStateException(text);
        }

        @Incoming("void")
        void nothing(String text, IncomingKafkaRecordMetadata<String, ?> request) {
            note(request, text);
        }

        /** The only way to answer null: `return null` of a String sends nothing. */
        @Incoming("null")
        @Outgoing("null-replies")
        Message<String> none(Message<String> message) {
            note(message.getMetadata(IncomingKafkaRecordMetadata.class).orElseThrow(), message.getPayload());
            return message.withPayload(null);
        }

        @Blocking
        @Incoming("slow")
        @Outgoing("slow-replies")
        String slow(String seconds, IncomingKafkaRecordMetadata<String, ?> request) throws InterruptedException {
            note(request, seconds);
            Thread.sleep((long) (Double.parseDouble(seconds) * 1000));
            return seconds;
        }

        static void note(IncomingKafkaRecordMetadata<?, ?> request, Object value) {
            synchronized (SEEN) {
                SEEN.add(new JsonObject().put("topic", request.getTopic()).put("key", request.getKey()).put("value", value));
            }
        }
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
            var header = reply.getHeaders().lastHeader(ERROR);
            return header == null ? null : new Rejected(new String(header.value(), StandardCharsets.UTF_8));
        }
    }

    @ApplicationScoped
    static class Client {
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
    }

    public static class JsonSerializer implements Serializer<JsonObject> {
        @Override
        public byte[] serialize(String topic, JsonObject value) {
            return value == null ? null : value.toBuffer().getBytes();
        }
    }

    public static class JsonDeserializer implements Deserializer<JsonObject> {
        @Override
        public JsonObject deserialize(String topic, byte[] body) {
            return body == null ? null : new JsonObject(new String(body, StandardCharsets.UTF_8));
        }
    }

    static void serve(BufferedReader orders) throws Exception {
        var handlers = options.getJsonObject("handlers");
        for (var handler : handlers.fieldNames()) {
            var incoming = "mp.messaging.incoming." + handler;
            connect(incoming, "topic", handlers.getString(handler));
            set(incoming, "group.id", handlers.getString(handler));
            set(incoming, "auto.offset.reset", "earliest");
            set(incoming, "graceful-shutdown", "false"); // which waits for what a crashed handler left
            set(incoming, "failure-strategy", options.getString("failure_strategy", "fail"));
            set(incoming, "value.deserializer", handler.equals("echo") ? JsonDeserializer.class.getName() : null);
            if (!handler.equals("void")) {
                // the topic is that of requests without REPLY_TOPIC
                connect("mp.messaging.outgoing." + handler + "-replies", "topic", handlers.getString(handler) + "-replies");
                set("mp.messaging.outgoing." + handler + "-replies", "value.serializer", handler.equals("echo") ? JsonSerializer.class.getName() : null);
            }
        }
        try (var container = new Weld().addBeanClass(Handlers.class).initialize()) {
            var kafka = container.select(KafkaClientService.class).get();
            for (var handler : handlers.fieldNames()) {
                while (kafka.getConsumer(handler).getAssignments().await().indefinitely().isEmpty()) {
                    Thread.sleep(20);
                }
            }
            say("ready");
            for (String line; (line = orders.readLine()) != null; ) {
                synchronized (SEEN) {
                    say(new JsonObject().put("id", new JsonObject(line).getInteger("id")).put("value", SEEN).encode());
                }
            }
        }
    }

    static void call(BufferedReader orders) throws Exception {
        var requests = "mp.messaging.outgoing.requests";
        for (var channel : new String[] {requests, "mp.messaging.outgoing.events"}) {
            connect(channel, "topic", "named-by-each-message");
            set(channel, "value.serializer", isJson() ? JsonSerializer.class.getName() : null);
        }
        set(requests, "reply.value.deserializer", isJson() ? JsonDeserializer.class.getName() : null);
        set(requests, "reply.topic", options.getString("reply_topic"));
        set(requests, "reply.partition", options.getInteger("reply_partition"));
        set(requests, "reply.group.id", options.getString("group"));
        set(requests, "reply.timeout", "60000"); // ours is shorter, and each call's own
        set(requests, "reply.correlation-id.handler", "binary".equals(options.getString("correlation")) ? "bytes" : null);
        set(requests, "reply.failure.handler", options.getBoolean("error_checker", true) ? "reply-error" : null);
        try (var container = new Weld().addBeanClasses(Client.class, ReplyErrors.class).initialize()) {
            var client = container.select(Client.class).get();
            client.ready().await().atMost(Duration.ofSeconds(30));
            say("ready");
            for (String line; (line = orders.readLine()) != null; ) {
                follow(client, line);
            }
        }
    }

    static void follow(Client client, String line) throws InterruptedException {
        var order = new JsonObject(line);
        if (order.getString("op").equals("emit")) {
            client.emit(order).subscribe().with(done -> say(new JsonObject().put("id", order.getInteger("id"))));
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
            say(new JsonObject().put("id", order.getInteger("id")).put("outcomes", all));
        });
    }

    static boolean isJson() {
        return options.getBoolean("json", false);
    }

    static void connect(String channel, String setting, String value) {
        set(channel, "connector", "smallrye-kafka");
        set(channel, setting, value);
    }

    static void set(String channel, String setting, Object value) {
        if (value != null) {
            System.setProperty(channel + "." + setting, value.toString());
        }
    }

    static synchronized void say(Object what) {
        System.out.println(what.equals("ready") ? "\"ready\"" : what);
    }

    public static void main(String[] arguments) throws Exception {
        options = new JsonObject(arguments[0]);
        var every = "mp.messaging.connector.smallrye-kafka";
        set(every, "bootstrap.servers", options.getString("bootstrap"));
        set(every, "value.serializer", StringSerializer.class.getName());
        set(every, "value.deserializer", StringDeserializer.class.getName());
        ConfigProvider.getConfig(); // made before Weld's threads ask for it: SRCFG00015 else, now and then
        var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try {
            if (options.getString("role").equals("server")) {
                serve(orders);
            } else {
                call(orders);
            }
            System.exit(0);
        } catch (Throwable error) { // else its threads would keep the process
            error.printStackTrace();
            System.exit(1);
        }
    }
}
