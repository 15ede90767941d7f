import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

/** Java's own client as it is by default: it offers HTTP/2 with each first request of a connection. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        String service = arguments[0];
        HttpClient client = HttpClient.newHttpClient();
        for (int turn = 0; turn < 2; turn++) {
            print(client, HttpRequest.newBuilder(URI.create(service + "/login"))
                    .header("Content-Type", "application/json")
                    .POST(BodyPublishers.ofString("{\"email\": 5, \"password\": \"x\"}")));
        }
        byte[] form = Files.readAllBytes(Path.of(arguments[2]));
        print(HttpClient.newHttpClient(), HttpRequest.newBuilder(URI.create(service + "/data-upload"))
                .header("X-API-Key", arguments[1])
                .header("Content-Type", "multipart/form-data; boundary=XyZ")
                .POST(BodyPublishers.ofByteArray(form)));
        // A publisher without a length is sent in chunks.
        print(HttpClient.newHttpClient(), HttpRequest.newBuilder(URI.create(service + "/login"))
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.fromPublisher(BodyPublishers.ofString("{\"email\": 5, \"password\": \"x\"}"))));
    }

    private static void print(HttpClient client, HttpRequest.Builder request) throws Exception {
        var answer = client.send(request.build(), BodyHandlers.ofString());
        System.out.println(answer.statusCode() + " " + answer.body());
    }
}
