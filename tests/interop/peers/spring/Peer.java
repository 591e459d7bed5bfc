package peer;

import com.fasterxml.jackson.annotation.JsonAnyGetter;
import com.fasterxml.jackson.annotation.JsonAnySetter;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.support.converter.RecordMessageConverter;
import org.springframework.kafka.support.converter.StringJacksonJsonMessageConverter;
import org.springframework.kafka.support.serializer.ErrorHandlingDeserializer;
import org.springframework.kafka.support.serializer.JacksonJsonDeserializer;
import org.springframework.kafka.support.serializer.JacksonJsonSerializer;
import tools.jackson.databind.json.JsonMapper;

/**
 * Plain spring-kafka as a server (@KafkaListener, @SendTo) or a client (ReplyingKafkaTemplate): see peer.py.
 *
 * <p>Options: `json` is "typed" (needs and writes the header __TypeId__), "untyped" (neither), "converter" (a
 * StringJacksonJsonMessageConverter, which goes by the method's types), or of a client "none" (text). Of a client also
 * `correlation` ("binary" or "text"), `group`, `reply_topic`, `reply_partition` (one static partition), `error_checker`,
 * and `wait` (for the assignment, before it is ready).
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
                Server.run(orders);
            } else {
                Client.run(orders);
            }
            System.exit(0);
        } catch (Throwable error) { // else its threads would keep the process
            error.printStackTrace();
            System.exit(1);
        }
    }
}
