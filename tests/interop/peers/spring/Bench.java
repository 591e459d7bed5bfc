package peer;

import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.config.TopicBuilder;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaAdmin;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ConcurrentMessageListenerContainer;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.messaging.handler.annotation.SendTo;

/**
 * The contender `spring` of benchmarks/, set up as the "Using ReplyingKafkaTemplate" of Spring's documentation, with JSON
 * and its types; led by the lines of JSON of benchmarks/process.py. Arguments: `server` or `client`, and the work.
 */
public class Bench {
    static final String NAME = System.getenv("BENCH_NAME") + "-spring-";
    static Work work;

    public record Small(String name, int n) {}

    public record Item(int id, String name, List<String> tags, double price) {}

    public record Nested(String title, List<Item> items) {}

    /** What is sent, and to how many partitions; `waiting`: seconds; `bytes` are ASCII. */
    public record Work(int partitions, double waiting, Small small, Nested nested, String bytes) {}

    @EnableKafka
    @Configuration
    static class Server {
        private final Executor later =
                CompletableFuture.delayedExecutor((long) (work.waiting() * 1e6), TimeUnit.MICROSECONDS);

        @Bean
        KafkaAdmin admin() {
            return new KafkaAdmin(Map.of("bootstrap.servers", Peer.options.get("bootstrap")));
        }

        @Bean
        KafkaAdmin.NewTopics topics() {
            return new KafkaAdmin.NewTopics(Stream.of("small", "nested", "bytes", "waiting", "replies", "byte-replies")
                    .map(each -> TopicBuilder.name(NAME + each).partitions(work.partitions()).build())
                    .toArray(NewTopic[]::new));
        }

        @Bean
        ConcurrentKafkaListenerContainerFactory<String, Object> json() {
            return factory(Peer.serializer(), Peer.deserializer());
        }

        @Bean
        ConcurrentKafkaListenerContainerFactory<String, Object> raw() {
            return factory(new ByteArraySerializer(), new ByteArrayDeserializer());
        }

        /** With a thread for each listener, Spring's default: one for each partition made it slower on two cores. */
        private static ConcurrentKafkaListenerContainerFactory<String, Object> factory(Serializer<?> out, Deserializer<?> in) {
            var factory = new ConcurrentKafkaListenerContainerFactory<String, Object>();
            factory.setConsumerFactory(Peer.consumers(in, "earliest"));
            factory.setReplyTemplate(new KafkaTemplate<>(producers(out)));
            return factory;
        }

        @SendTo
        @KafkaListener(id = "${BENCH_NAME}-spring-small", topics = "${BENCH_NAME}-spring-small", containerFactory = "json")
        public Small small(Small value) {
            return value;
        }

        @SendTo
        @KafkaListener(id = "${BENCH_NAME}-spring-nested", topics = "${BENCH_NAME}-spring-nested", containerFactory = "json")
        public Nested nested(Nested value) {
            return value;
        }

        @SendTo
        @KafkaListener(id = "${BENCH_NAME}-spring-bytes", topics = "${BENCH_NAME}-spring-bytes", containerFactory = "raw")
        public byte[] bytes(byte[] value) {
            return value;
        }

        /** "Asynchronous @KafkaListener Return Types": the thread is free meanwhile. */
        @SendTo
        @KafkaListener(id = "${BENCH_NAME}-spring-waiting", topics = "${BENCH_NAME}-spring-waiting", containerFactory = "json")
        public CompletableFuture<Small> waiting(Small value) {
            return CompletableFuture.supplyAsync(() -> value, later);
        }
    }

    /** Without Kafka's own 5 ms of waiting for more records to send, which doubles the time of a lone call. */
    static DefaultKafkaProducerFactory<String, Object> producers(Serializer<?> serializer) {
        var producers = Peer.producers(serializer);
        producers.updateConfigs(Map.of(ProducerConfig.LINGER_MS_CONFIG, 0));
        return producers;
    }

    static ReplyingKafkaTemplate<String, Object, Object> replying(Serializer<?> out, Deserializer<?> in, String replies)
            throws InterruptedException {
        var properties = new ContainerProperties(NAME + replies);
        properties.setGroupId(NAME + replies);
        var container = new ConcurrentMessageListenerContainer<>(Peer.consumers(in, "latest"), properties);
        var template = new ReplyingKafkaTemplate<>(producers(out), container);
        template.setDefaultReplyTimeout(Duration.ofSeconds(20));
        template.start();
        if (!template.waitForAssignment(Duration.ofSeconds(30))) {
            throw new IllegalStateException("no replies can be read");
        }
        return template;
    }

    static void serve(BufferedReader orders) throws Exception {
        try (var context = new AnnotationConfigApplicationContext(Server.class)) {
            for (var container : context.getBean(KafkaListenerEndpointRegistry.class).getListenerContainers()) {
                while (container.isRunning() && container.getAssignedPartitions().size() < work.partitions()) {
                    Thread.sleep(20);
                }
            }
            Peer.say("ready");
            while (orders.readLine() != null) {
                Peer.say(cpu());
            }
        }
    }

    static void call(BufferedReader orders) throws Exception {
        var json = replying(Peer.serializer(), Peer.deserializer(), "replies");
        var raw = replying(new ByteArraySerializer(), new ByteArrayDeserializer(), "byte-replies");
        var bytes = work.bytes().getBytes();
        var calls = Map.<String, Supplier<CompletableFuture<?>>>of(
                "small", () -> json.sendAndReceive(new ProducerRecord<>(NAME + "small", work.small())),
                "nested", () -> json.sendAndReceive(new ProducerRecord<>(NAME + "nested", work.nested())),
                "bytes", () -> raw.sendAndReceive(new ProducerRecord<>(NAME + "bytes", bytes)),
                "waiting", () -> json.sendAndReceive(new ProducerRecord<>(NAME + "waiting", work.small())));
        Peer.say("ready");
        for (String line; (line = orders.readLine()) != null; ) {
            var order = Peer.JSON.readValue(line, Sampling.Order.class);
            Peer.say(new Sampling(calls.get(order.work())).take(order));
        }
        for (var template : List.of(json, raw)) {
            template.stop();
            template.destroy();
        }
    }

    /** Seconds of this process so far. */
    static double cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }

    public static void main(String[] arguments) {
        Peer.options = Map.of("bootstrap", System.getenv("TYPEDRPC_KAFKA"), "json", "typed");
        work = Peer.JSON.readValue(arguments[1], Work.class);
        try (var orders = new BufferedReader(new InputStreamReader(System.in))) {
            if (arguments[0].equals("server")) {
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
