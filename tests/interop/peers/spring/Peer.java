package peer;

import com.fasterxml.jackson.annotation.JsonAnyGetter;
import com.fasterxml.jackson.annotation.JsonAnySetter;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaListenerErrorHandler;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.KafkaReplyTimeoutException;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.kafka.support.KafkaNull;
import org.springframework.kafka.support.TopicPartitionOffset;
import org.springframework.kafka.support.converter.RecordMessageConverter;
import org.springframework.kafka.support.converter.StringJacksonJsonMessageConverter;
import org.springframework.kafka.support.serializer.ErrorHandlingDeserializer;
import org.springframework.kafka.support.serializer.JacksonJsonDeserializer;
import org.springframework.kafka.support.serializer.JacksonJsonSerializer;
import org.springframework.messaging.Message;
import org.springframework.messaging.handler.annotation.Payload;
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.messaging.support.MessageBuilder;
import tools.jackson.databind.json.JsonMapper;

/**
 * Plain spring-kafka as a server (@KafkaListener, @SendTo) or a client (ReplyingKafkaTemplate): see peer.py.
 *
 * <p>Options: `json` is "typed" (needs and writes the header __TypeId__), "untyped" (neither), "converter" (a
 * StringJacksonJsonMessageConverter, which goes by the method's types), or of a client "none" (text). Of a client also `correlation` ("binary" or
 * "text"), `group`, `reply_topic`, `reply_partition` (one static partition), `error_checker`, `wait` for assignment.
 */
public class Peer {
    static final JsonMapper JSON = JsonMapper.builder().build();
    static Map<String, Object> options;

    /** A JSON object of any fields: a class, because a class' name is what __TypeId__ says. */
    public static class Order {
        private final Map<String, Object> fields = new LinkedHashMap<>();

        @JsonAnyGetter
        public Map<String, Object> fields() {
            return fields;
        }

        @JsonAnySetter
        public void put(String name, Object value) {
            fields.put(name, value);
        }
    }

    /** What the reply error checker makes of a reply with exception headers. */
    static class Rejected extends RuntimeException {
        Rejected(String message) {
            super(message);
        }
    }

    static class Handlers {
        final List<Object> seen = new ArrayList<>();

        public String topic(String handler) {
            return serves(handler) ? Peer.<Map<String, String>>cast(options.get("handlers")).get(handler) : "unused";
        }

        public boolean serves(String handler) {
            return Peer.<Map<String, String>>cast(options.get("handlers")).containsKey(handler);
        }

        @SendTo
        @KafkaListener(id = "echo", topics = "#{__listener.topic('echo')}", groupId = "#{__listener.topic('echo')}", autoStartup = "#{__listener.serves('echo')}", containerFactory = "json")
        public Order echo(Order order, ConsumerRecord<?, ?> record) {
            note(record, order);
            return order;
        }

        @SendTo
        @KafkaListener(id = "upper", topics = "#{__listener.topic('upper')}", groupId = "#{__listener.topic('upper')}", autoStartup = "#{__listener.serves('upper')}", containerFactory = "text")
        public String upper(@Payload(required = false) String text, ConsumerRecord<?, ?> record) {
            note(record, text);
            return text == null ? "" : text.toUpperCase();
        }

        /** Fails, and its error handler answers that. */
        @SendTo
        @KafkaListener(id = "fail", topics = "#{__listener.topic('fail')}", groupId = "#{__listener.topic('fail')}", autoStartup = "#{__listener.serves('fail')}", containerFactory = "text", errorHandler = "answerError")
        public String fail(String text, ConsumerRecord<?, ?> record) {
            note(record, text);
            throw new IllegalStateException(text);
        }

        /** Fails as plain Spring does: the request comes ten times, then never again, and nobody is told. */
        @SendTo
        @KafkaListener(id = "crash", topics = "#{__listener.topic('crash')}", groupId = "#{__listener.topic('crash')}", autoStartup = "#{__listener.serves('crash')}", containerFactory = "text")
        public String crash(String text, ConsumerRecord<?, ?> record) {
            note(record, text);
            throw new IllegalStateException(text);
        }

        @KafkaListener(id = "void", topics = "#{__listener.topic('void')}", groupId = "#{__listener.topic('void')}", autoStartup = "#{__listener.serves('void')}", containerFactory = "text")
        public void nothing(@Payload(required = false) String text, ConsumerRecord<?, ?> record) {
            note(record, text);
        }

        /** The only way to answer null: `return null` sends nothing (MessagingMessageListenerAdapter.invoke). */
        @SendTo
        @KafkaListener(id = "null", topics = "#{__listener.topic('null')}", groupId = "#{__listener.topic('null')}", autoStartup = "#{__listener.serves('null')}", containerFactory = "text")
        public Message<KafkaNull> tombstone(@Payload(required = false) String text, ConsumerRecord<?, ?> record) {
            note(record, text);
            return MessageBuilder.withPayload(KafkaNull.INSTANCE).build();
        }

        @SendTo
        @KafkaListener(id = "slow", topics = "#{__listener.topic('slow')}", groupId = "#{__listener.topic('slow')}", autoStartup = "#{__listener.serves('slow')}", containerFactory = "text")
        public String slow(String seconds, ConsumerRecord<?, ?> record) throws InterruptedException {
            note(record, seconds);
            Thread.sleep((long) (Double.parseDouble(seconds) * 1000));
            return seconds;
        }

        synchronized void note(ConsumerRecord<?, ?> record, Object value) {
            var request = new HashMap<String, Object>();
            request.put("topic", record.topic());
            request.put("key", record.key());
            request.put("value", value);
            seen.add(request);
        }
    }

    @EnableKafka
    @Configuration
    static class Server {
        @Bean
        Handlers handlers() {
            return new Handlers();
        }

        @Bean
        ConcurrentKafkaListenerContainerFactory<String, Object> text() {
            return factory(new StringSerializer(), new StringDeserializer(), null);
        }

        @Bean
        ConcurrentKafkaListenerContainerFactory<String, Object> json() {
            return factory(serializer(), deserializer(), converter());
        }

        /** Spring's own names for what an exception was: it says nowhere which ones a reply has, the client's checker decides. */
        @Bean
        KafkaListenerErrorHandler answerError() {
            return (message, error) -> MessageBuilder.withPayload(KafkaNull.INSTANCE)
                    .setHeader(KafkaHeaders.EXCEPTION_FQCN, error.getCause().getClass().getName())
                    .setHeader(KafkaHeaders.EXCEPTION_MESSAGE, error.getCause().getMessage())
                    .build();
        }

        private static ConcurrentKafkaListenerContainerFactory<String, Object> factory(
                Serializer<?> out, Deserializer<?> in, RecordMessageConverter converter) {
            var replies = new KafkaTemplate<>(producers(out));
            var factory = new ConcurrentKafkaListenerContainerFactory<String, Object>();
            factory.setConsumerFactory(consumers(in, "earliest"));
            factory.setReplyTemplate(replies);
            if (converter != null) {
                factory.setRecordMessageConverter(converter);
                replies.setMessageConverter(converter);
            }
            return factory;
        }
    }

    static void serve(BufferedReader orders) throws Exception {
        try (var context = new AnnotationConfigApplicationContext(Server.class)) {
            for (var container : context.getBean(KafkaListenerEndpointRegistry.class).getListenerContainers()) {
                while (container.isRunning() && container.getAssignedPartitions().isEmpty()) {
                    Thread.sleep(20);
                }
            }
            say("ready");
            var handlers = context.getBean(Handlers.class);
            for (String line; (line = orders.readLine()) != null; ) {
                synchronized (handlers) {
                    say(Map.of("id", JSON.readValue(line, Map.class).get("id"), "value", handlers.seen));
                }
            }
        }
    }

    static class Client {
        final ReplyingKafkaTemplate<String, Object, Object> template;

        Client() throws InterruptedException {
            var topic = (String) options.get("reply_topic");
            var partition = (Integer) options.get("reply_partition");
            var properties = partition == null
                    ? new ContainerProperties(topic)
                    : new ContainerProperties(new TopicPartitionOffset(topic, partition));
            properties.setGroupId((String) options.getOrDefault("group", "spring-client-" + UUID.randomUUID()));
            var consumers = consumers(deserializer(), "latest");
            template = new ReplyingKafkaTemplate<>(producers(serializer()), new KafkaMessageListenerContainer<>(consumers, properties));
            template.setBinaryCorrelation(!"text".equals(options.get("correlation")));
            template.setSharedReplyTopic(true); // only says that replies of others are no errors to log
            if (converter() != null) {
                template.setMessageConverter(converter());
            }
            if (options.getOrDefault("error_checker", true).equals(true)) {
                template.setReplyErrorChecker(reply -> {
                    var header = reply.headers().lastHeader(KafkaHeaders.EXCEPTION_MESSAGE);
                    return header == null ? null : new Rejected(new String(header.value(), StandardCharsets.UTF_8));
                });
            }
            template.start();
            if (options.getOrDefault("wait", true).equals(true)) {
                template.waitForAssignment(Duration.ofSeconds(30)); // else the first replies are before "latest"
            }
        }

        CompletableFuture<?> call(Map<String, Object> order) {
            var timeout = Duration.ofMillis((long) (((Number) order.get("timeout")).doubleValue() * 1000));
            if (converter() == null) {
                return template.sendAndReceive(record(order), timeout).thenApply(ConsumerRecord::value);
            }
            var message = MessageBuilder.withPayload(value(order))
                    .setHeader(KafkaHeaders.TOPIC, order.get("topic"))
                    .setHeader(KafkaHeaders.KEY, order.get("key"))
                    .setHeader(KafkaHeaders.PARTITION, order.get("partition"))
                    .build();
            return template.sendAndReceive(message, timeout, ParameterizedTypeReference.<Order>forType(Order.class))
                    .thenApply(Message::getPayload);
        }

        static ProducerRecord<String, Object> record(Map<String, Object> order) {
            var record = new ProducerRecord<String, Object>((String) order.get("topic"), (Integer) order.get("partition"), (String) order.get("key"), value(order));
            headers(order).forEach((name, text) -> record.headers().add(name, text.getBytes(StandardCharsets.UTF_8)));
            return record;
        }

        static Object value(Map<String, Object> order) {
            var value = order.get("value");
            return value instanceof Map ? JSON.convertValue(value, Order.class) : value;
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
    }

    static void call(BufferedReader orders) throws Exception {
        var client = new Client();
        say("ready");
        for (String line; (line = orders.readLine()) != null; ) {
            var text = line;
            var order = order(text, 0);
            if ("emit".equals(order.get("op"))) {
                client.template.send(Client.record(order)).thenRun(() -> say(Map.of("id", order.get("id"))));
                continue;
            }
            var room = new Semaphore((Integer) order.get("at_once"));
            var outcomes = new ArrayList<CompletableFuture<Map<String, Object>>>();
            for (int n = 0; n < (Integer) order.get("times"); n++) {
                room.acquire();
                outcomes.add(client.outcome(order(text, n)));
                outcomes.get(n).thenRun(room::release);
            }
            CompletableFuture.allOf(outcomes.toArray(CompletableFuture[]::new)).thenRun(() -> say(
                    Map.of("id", order.get("id"), "outcomes", outcomes.stream().map(CompletableFuture::join).toList())));
        }
        client.template.stop();
        client.template.destroy();
    }

    /** The order for call number n: a value may have the number in it, so that no reply can stand for another. */
    @SuppressWarnings("unchecked")
    static Map<String, Object> order(String line, int n) {
        return JSON.readValue(line.replace("{n}", String.valueOf(n)), Map.class);
    }

    static DefaultKafkaProducerFactory<String, Object> producers(Serializer<?> serializer) {
        var settings = Map.<String, Object>of("bootstrap.servers", options.get("bootstrap"));
        return new DefaultKafkaProducerFactory<>(settings, new StringSerializer(), Peer.<Serializer<Object>>cast(serializer));
    }

    static DefaultKafkaConsumerFactory<String, Object> consumers(Deserializer<?> deserializer, String from) {
        var settings = Map.of("bootstrap.servers", options.get("bootstrap"), "auto.offset.reset", from);
        return new DefaultKafkaConsumerFactory<>(settings, new StringDeserializer(), Peer.<Deserializer<Object>>cast(deserializer));
    }

    static Serializer<?> serializer() {
        return switch (json()) {
            case "typed" -> new JacksonJsonSerializer<>();
            case "untyped" -> new JacksonJsonSerializer<>().noTypeInfo();
            default -> new StringSerializer();
        };
    }

    /** With ErrorHandlingDeserializer, as Spring's documentation says: without it a body that is no JSON is read for ever. */
    static Deserializer<?> deserializer() {
        return switch (json()) {
            case "typed" -> new ErrorHandlingDeserializer<>(new JacksonJsonDeserializer<>().trustedPackages("*"));
            case "untyped" -> new ErrorHandlingDeserializer<>(new JacksonJsonDeserializer<>(Order.class).ignoreTypeHeaders());
            default -> new StringDeserializer();
        };
    }

    static RecordMessageConverter converter() {
        return json().equals("converter") ? new StringJacksonJsonMessageConverter() : null;
    }

    static String json() {
        return (String) options.getOrDefault("json", "none");
    }

    @SuppressWarnings("unchecked")
    static <T> T cast(Object it) {
        return (T) it;
    }

    static synchronized void say(Object what) {
        System.out.println(JSON.writeValueAsString(what));
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        options = JSON.readValue(arguments[0], Map.class);
        var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try {
            if (options.get("role").equals("server")) {
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
