package peer;

import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.KafkaReplyTimeoutException;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.kafka.support.KafkaNull;
import org.springframework.kafka.support.TopicPartitionOffset;
import org.springframework.messaging.Message;
import org.springframework.messaging.support.MessageBuilder;

/** ReplyingKafkaTemplate, with a reply container of its own. */
class Client {
    final ReplyingKafkaTemplate<String, Object, Object> template;

    Client() throws InterruptedException {
        var topic = (String) Peer.options.get("reply_topic");
        var partition = (Integer) Peer.options.get("reply_partition");
        var properties = partition == null
                ? new ContainerProperties(topic)
                : new ContainerProperties(new TopicPartitionOffset(topic, partition));
        properties.setGroupId((String) Peer.options.getOrDefault("group", "spring-client-" + UUID.randomUUID()));
        var consumers = Peer.consumers(Peer.deserializer(), "latest");
        template = new ReplyingKafkaTemplate<>(Peer.producers(Peer.serializer()), new KafkaMessageListenerContainer<>(consumers, properties));
        template.setBinaryCorrelation(!"text".equals(Peer.options.get("correlation")));
        template.setSharedReplyTopic(true); // only says that replies of others are no errors to log
        if (Peer.converter() != null) {
            template.setMessageConverter(Peer.converter());
        }
        if (Peer.options.getOrDefault("error_checker", true).equals(true)) {
            template.setReplyErrorChecker(reply -> {
                var header = reply.headers().lastHeader(KafkaHeaders.EXCEPTION_MESSAGE);
                return header == null ? null : new Rejected(new String(header.value(), StandardCharsets.UTF_8));
            });
        }
        template.start();
        if (Peer.options.getOrDefault("wait", true).equals(true)) {
            template.waitForAssignment(Duration.ofSeconds(30)); // else the first replies are before "latest"
        }
    }

    CompletableFuture<?> call(Map<String, Object> order) {
        var timeout = Duration.ofMillis((long) (((Number) order.get("timeout")).doubleValue() * 1000));
        if (Peer.converter() == null) {
            return template.sendAndReceive(record(order), timeout).thenApply(ConsumerRecord::value);
        }
        var message = MessageBuilder.withPayload(value(order))
                .copyHeaders(headers(order))
                .setHeader(KafkaHeaders.TOPIC, order.get("topic"))
                .setHeader(KafkaHeaders.KEY, order.get("key"))
                .setHeader(KafkaHeaders.PARTITION, order.get("partition"))
                .build();
        return template.sendAndReceive(message, timeout, ParameterizedTypeReference.<Peer.Order>forType(Peer.Order.class))
                .thenApply(Message::getPayload);
    }

    static ProducerRecord<String, Object> record(Map<String, Object> order) {
        var record = new ProducerRecord<String, Object>((String) order.get("topic"), (Integer) order.get("partition"), (String) order.get("key"), value(order));
        headers(order).forEach((name, text) -> record.headers().add(name, text.getBytes(StandardCharsets.UTF_8)));
        return record;
    }

    static Object value(Map<String, Object> order) {
        var value = order.get("value");
        return value instanceof Map ? Peer.JSON.convertValue(value, Peer.Order.class) : value;
    }

    @SuppressWarnings("unchecked")
    static Map<String, String> headers(Map<String, Object> order) {
        return (Map<String, String>) order.getOrDefault("headers", Map.of());
    }

    CompletableFuture<Map<String, Object>> outcome(Map<String, Object> order) {
        var outcome = new HashMap<String, Object>();
        return call(order).handle((value, thrown) -> {
            var error = thrown instanceof CompletionException ? thrown.getCause() : thrown;
            if (error == null) {
                outcome.put("value", value instanceof KafkaNull ? null : value);
            } else {
                outcome.put("error", String.valueOf(error.getMessage()));
                outcome.put("kind", error instanceof KafkaReplyTimeoutException ? "timeout" : error instanceof Rejected ? "rejected" : "failed");
            }
            return outcome;
        });
    }

    static void run(BufferedReader orders) throws Exception {
        var client = new Client();
        Peer.say("ready");
        for (String line; (line = orders.readLine()) != null; ) {
            var text = line;
            var order = order(text, 0);
            if ("emit".equals(order.get("op"))) {
                client.template.send(record(order)).thenRun(() -> Peer.say(Map.of("id", order.get("id"))));
                continue;
            }
            var room = new Semaphore((Integer) order.get("at_once"));
            var outcomes = new ArrayList<CompletableFuture<Map<String, Object>>>();
            for (int n = 0; n < (Integer) order.get("times"); n++) {
                room.acquire();
                outcomes.add(client.outcome(order(text, n)));
                outcomes.get(n).thenRun(room::release);
            }
            CompletableFuture.allOf(outcomes.toArray(CompletableFuture[]::new)).thenRun(() -> Peer.say(
                    Map.of("id", order.get("id"), "outcomes", outcomes.stream().map(CompletableFuture::join).toList())));
        }
        client.template.stop();
        client.template.destroy();
    }

    /** The order for call number n: a value may have the number in it, so that no reply can stand for another. */
    @SuppressWarnings("unchecked")
    static Map<String, Object> order(String line, int n) {
        return Peer.JSON.readValue(line.replace("{n}", String.valueOf(n)), Map.class);
    }

    /** What the reply error checker makes of a reply with exception headers. */
    static class Rejected extends RuntimeException {
        Rejected(String message) {
            super(message);
        }
    }
}
