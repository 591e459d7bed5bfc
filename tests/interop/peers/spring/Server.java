package peer;

import java.io.BufferedReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.KafkaListenerErrorHandler;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.kafka.support.KafkaNull;
import org.springframework.kafka.support.converter.RecordMessageConverter;
import org.springframework.messaging.Message;
import org.springframework.messaging.handler.annotation.Payload;
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.messaging.support.MessageBuilder;

/** @KafkaListener and @SendTo. Each listener has a group of its own, named as its topic. */
@EnableKafka
@Configuration
class Server {
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
        return factory(Peer.serializer(), Peer.deserializer(), Peer.converter());
    }

    /** Spring has names for headers with exceptions, but no rule that replies have them: the client's checker looks for these. */
    @Bean
    KafkaListenerErrorHandler answerError() {
        return (message, error) -> MessageBuilder.withPayload(KafkaNull.INSTANCE)
                .setHeader(KafkaHeaders.EXCEPTION_FQCN, error.getCause().getClass().getName())
                .setHeader(KafkaHeaders.EXCEPTION_MESSAGE, error.getCause().getMessage())
                .build();
    }

    private static ConcurrentKafkaListenerContainerFactory<String, Object> factory(
            Serializer<?> out, Deserializer<?> in, RecordMessageConverter converter) {
        var replies = new KafkaTemplate<>(Peer.producers(out));
        var factory = new ConcurrentKafkaListenerContainerFactory<String, Object>();
        factory.setConsumerFactory(Peer.consumers(in, "earliest"));
        factory.setReplyTemplate(replies);
        if (converter != null) {
            factory.setRecordMessageConverter(converter);
            replies.setMessageConverter(converter);
        }
        return factory;
    }

    static void run(BufferedReader orders) throws Exception {
        try (var context = new AnnotationConfigApplicationContext(Server.class)) {
            for (var container : context.getBean(KafkaListenerEndpointRegistry.class).getListenerContainers()) {
                while (container.isRunning() && container.getAssignedPartitions().isEmpty()) {
                    Thread.sleep(20);
                }
            }
            Peer.say("ready");
            var handlers = context.getBean(Handlers.class);
            for (String line; (line = orders.readLine()) != null; ) {
                synchronized (handlers) {
                    Peer.say(Map.of("id", Peer.JSON.readValue(line, Map.class).get("id"), "value", handlers.seen));
                }
            }
        }
    }

    static class Handlers {
        final List<Object> seen = new ArrayList<>();

        public String topic(String handler) {
            return serves(handler) ? Peer.<Map<String, String>>cast(Peer.options.get("handlers")).get(handler) : "unused";
        }

        public boolean serves(String handler) {
            return Peer.<Map<String, String>>cast(Peer.options.get("handlers")).containsKey(handler);
        }

        @SendTo
        @KafkaListener(id = "echo", topics = "#{__listener.topic('echo')}", groupId = "#{__listener.topic('echo')}", autoStartup = "#{__listener.serves('echo')}", containerFactory = "json")
        public Peer.Order echo(Peer.Order order, ConsumerRecord<?, ?> record) {
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
}
