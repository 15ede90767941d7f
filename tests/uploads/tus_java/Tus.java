import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Uploads as tus-java-client does: java Tus.java CLIENT ENDPOINT FILE DATASET_NAME CHUNK_BYTES; the key in OPENML_APIKEY.
 *
 * CLIENT is `url`, the HttpURLConnection of that library (which knows no PATCH, and so sends POST with
 * X-HTTP-Method-Override), or `http`, the HttpClient that newer programs use, which offers HTTP/2 with each request.
 * Both send bodies in chunks, of no declared length, and come back once more at the end: with HEAD, and an empty PATCH
 * from the end of the file.
 */
public class Tus {
    private static final String VERSION = "1.0.0";
    private final String key = System.getenv("OPENML_APIKEY");
    private final boolean isOld;
    private final HttpClient client = HttpClient.newHttpClient();

    private Tus(boolean isOld) {
        this.isOld = isOld;
    }

    public static void main(String[] arguments) throws Exception {
        Tus tus = new Tus(arguments[0].equals("url"));
        byte[] content = Files.readAllBytes(Path.of(arguments[2]));
        int chunk = Integer.parseInt(arguments[4]);
        URL upload = tus.create(new URL(arguments[1]), arguments[3], content.length);
        int offset = 0;
        while (offset < content.length) {
            int length = Math.min(chunk, content.length - offset);
            offset = tus.append(upload, offset, content, length);
        }
        // As TusClient.resumeOrCreateUpload and TusUploader.finish do where the answer to the last bytes was lost.
        int known = tus.offset(upload);
        int end = tus.append(upload, known, content, 0);
        if (known != content.length || end != content.length) {
            throw new IOException("it ends at " + known + " and " + end);
        }
        System.out.println(upload);
    }

    private URL create(URL endpoint, String name, int length) throws Exception {
        Map<String, String> said = new LinkedHashMap<>();
        said.put("filename", name + ".csv");
        said.put("dataset_name", name);
        said.put("description", "Levels.");
        said.put("def_tar_att", "c1");
        said.put("publish", "true");
        StringBuilder metadata = new StringBuilder();
        for (Map.Entry<String, String> pair : said.entrySet()) {
            byte[] value = pair.getValue().getBytes(StandardCharsets.UTF_8);
            metadata.append(metadata.length() > 0 ? "," : "").append(pair.getKey()).append(' ');
            metadata.append(Base64.getEncoder().encodeToString(value));
        }
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("Upload-Metadata", metadata.toString());
        headers.put("Upload-Length", Integer.toString(length));
        // The library resolves what it is told against the endpoint.
        return new URL(endpoint, ask("POST", endpoint, headers, null, "Location"));
    }

    private int offset(URL upload) throws Exception {
        return Integer.parseInt(ask("HEAD", upload, Map.of(), null, "Upload-Offset"));
    }

    private int append(URL upload, int offset, byte[] content, int length) throws Exception {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("Upload-Offset", Integer.toString(offset));
        headers.put("Content-Type", "application/offset+octet-stream");
        InputStream body = new java.io.ByteArrayInputStream(content, offset, length);
        return Integer.parseInt(ask("PATCH", upload, headers, body, "Upload-Offset"));
    }

    private String ask(String method, URL url, Map<String, String> headers, InputStream body, String wanted)
            throws Exception {
        Map<String, String> all = new LinkedHashMap<>(headers);
        all.put("Tus-Resumable", VERSION);
        all.put("X-API-Key", key);
        return isOld ? askOld(method, url, all, body, wanted) : askNew(method, url, all, body, wanted);
    }

    private String askOld(String method, URL url, Map<String, String> headers, InputStream body, String wanted)
            throws IOException {
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        connection.setRequestMethod(method.equals("PATCH") ? "POST" : method);
        if (method.equals("PATCH")) {
            connection.setRequestProperty("X-HTTP-Method-Override", method);
            connection.setRequestProperty("Expect", "100-continue");
        }
        headers.forEach(connection::addRequestProperty);
        if (body != null) {
            connection.setDoOutput(true);
            connection.setChunkedStreamingMode(0);
            try (OutputStream out = connection.getOutputStream()) {
                body.transferTo(out);
            }
        }
        require(connection.getResponseCode(), connection.getHeaderField("Tus-Resumable"), method);
        return connection.getHeaderField(wanted);
    }

    private String askNew(String method, URL url, Map<String, String> headers, InputStream body, String wanted)
            throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url.toString()));
        headers.forEach(request::header);
        request.method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofInputStream(() -> body));
        var answer = client.send(request.build(), BodyHandlers.discarding());
        require(answer.statusCode(), answer.headers().firstValue("Tus-Resumable").orElse(null), method);
        return answer.headers().firstValue(wanted).orElseThrow();
    }

    private static void require(int status, String version, String method) throws IOException {
        if (status < 200 || status >= 300 || !VERSION.equals(version)) {
            throw new IOException(method + " was answered with " + status + ", version " + version);
        }
    }
}
