package peer;

import io.smallrye.reactive.messaging.annotations.Blocking;
import io.smallrye.reactive.messaging.kafka.KafkaClientService;
import io.smallrye.reactive.messaging.kafka.api.IncomingKafkaRecordMetadata;
import io.smallrye.reactive.messaging.kafka.api.OutgoingKafkaRecordMetadata;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import jakarta.enterprise.context.ApplicationScoped;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.eclipse.microprofile.reactive.messaging.Incoming;
import org.eclipse.microprofile.reactive.messaging.Message;
import org.eclipse.microprofile.reactive.messaging.Outgoing;
import org.jboss.weld.environment.se.Weld;

/** @Incoming and @Outgoing. Each channel has a group of its own, named as its topic. */
@ApplicationScoped
class Server {
    static final JsonArray SEEN = new JsonArray();

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
        var error = new RecordHeader(Peer.ERROR, message.getPayload().getBytes(StandardCharsets.UTF_8));
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

    static void run(BufferedReader orders) throws Exception {
        var handlers = Peer.options.getJsonObject("handlers");
        for (var handler : handlers.fieldNames()) {
            var incoming = "mp.messaging.incoming." + handler;
            Peer.connect(incoming, "topic", handlers.getString(handler));
            Peer.set(incoming, "group.id", handlers.getString(handler));
            Peer.set(incoming, "auto.offset.reset", "earliest");
            Peer.set(incoming, "graceful-shutdown", "false"); // which waits for what a crashed handler left
            Peer.set(incoming, "failure-strategy", Peer.options.getString("failure_strategy", "fail"));
            Peer.set(incoming, "value.deserializer", handler.equals("echo") ? Peer.JsonDeserializer.class.getName() : null);
            if (!handler.equals("void")) {
                // the topic is that of requests without REPLY_TOPIC
                Peer.connect("mp.messaging.outgoing." + handler + "-replies", "topic", handlers.getString(handler) + "-replies");
                Peer.set("mp.messaging.outgoing." + handler + "-replies", "value.serializer", handler.equals("echo") ? Peer.JsonSerializer.class.getName() : null);
            }
        }
        try (var container = new Weld().addBeanClass(Server.class).initialize()) {
            var kafka = container.select(KafkaClientService.class).get();
            for (var handler : handlers.fieldNames()) {
                while (kafka.getConsumer(handler).getAssignments().await().indefinitely().isEmpty()) {
                    Thread.sleep(20);
                }
            }
            Peer.say("ready");
            for (String line; (line = orders.readLine()) != null; ) {
                synchronized (SEEN) {
                    Peer.say(new JsonObject().put("id", new JsonObject(line).getInteger("id")).put("value", SEEN).encode());
                }
            }
        }
    }
}
