package peer;

import io.vertx.core.json.JsonObject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.eclipse.microprofile.config.ConfigProvider;
import org.jboss.weld.environment.se.Weld;

/**
 * SmallRye Reactive Messaging on Weld SE as a server (@Incoming, @Outgoing) or a client (KafkaRequestReply): see peer.py.
 *
 * <p>Options of a server: `failure_strategy` (of a handler that throws). Of a client: `reply_topic`, `reply_partition`,
 * `group`, `correlation` ("text" or "binary"), `json` (bodies are JSON objects, else text), `error_checker`.
 */
public class Peer {
    static final String ERROR = "REPLY_ERROR"; // the name in SmallRye's documentation, "Reply Error Handling"
    static JsonObject options;

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
