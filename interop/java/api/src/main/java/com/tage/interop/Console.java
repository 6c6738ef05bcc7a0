package com.tage.interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;

/**
 * A client as a program: commands come on standard input, each line `key=value` joined by tabs and run by a thread of its
 * own; each is answered by one line of JSON with its `id`. It ends with its input.
 *
 * <p>`call`: address (several: HOST:PORT;HOST:PORT), method, mode (sync, future, callback, oneway), timeout (ms), text | size | milliseconds.
 * `load`: the same and threads, seconds | calls; the answer counts values and failures.
 */
public abstract class Console {
    private static final int LONGEST_MESSAGE = 400;

    private final PrintStream out;

    /** Takes standard output for the answers; what frameworks print goes to standard error. */
    protected Console() {
        out = new PrintStream(System.out, true, StandardCharsets.US_ASCII);
        System.setOut(System.err);
    }

    /** What calls a method of the service. */
    protected interface Invocation {
        Object on(Echo echo) throws Exception;
    }

    /** Makes the call in the way that `mode` says, and waits for its value; null when it is one-way. */
    protected abstract Object call(Command command, Invocation invocation) throws Throwable;

    /** The framework's own number or name for a failure; null without one. */
    protected abstract Object code(Throwable error);

    /** One line of input. */
    protected static final class Command {
        private final Map<String, String> fields = new HashMap<>();

        Command(String line) {
            for (String field : line.split("\t")) {
                int at = field.indexOf('=');
                fields.put(field.substring(0, at), field.substring(at + 1));
            }
        }

        public String text(String key, String otherwise) {
            return fields.getOrDefault(key, otherwise);
        }

        public int number(String key, int otherwise) {
            return Integer.parseInt(fields.getOrDefault(key, String.valueOf(otherwise)));
        }

        public String address() {
            return fields.get("address");
        }

        /** For each of the addresses, with what stands before and behind it in a URL. */
        public String urls(String before, String behind) {
            return before + address().replace(";", behind + ";" + before) + behind;
        }

        public String mode() {
            return text("mode", "sync");
        }
    }

    protected void run() throws IOException {
        answer(Map.of("ready", true));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            Command command = new Command(line);
            Thread thread = new Thread(() -> answer(execute(command)), "command " + command.text("id", "?"));
            thread.setDaemon(true);
            thread.start();
        }
        System.exit(0);
    }

    private void answer(Map<String, Object> fields) {
        String line = Json.of(fields);
        synchronized (out) {
            out.println(line);
        }
    }

    private Map<String, Object> execute(Command command) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("id", command.number("id", 0));
        long start = System.nanoTime();
        try {
            if (command.text("do", "call").equals("load")) {
                load(command, fields);
            } else {
                fields.put("value", readable(call(command, invocation(command))));
            }
            fields.put("ok", true);
        } catch (Throwable error) {
            fields.put("ok", false);
            fields.put("exception", error.getClass().getName());
            fields.put("message", shortened(error.getMessage()));
            fields.put("code", code(error));
            fields.put("causes", causes(error));
        }
        fields.put("ms", (System.nanoTime() - start) / 1_000_000);
        return fields;
    }

    private static Invocation invocation(Command command) {
        String text = command.text("text", "hello");
        switch (command.text("method", "echo")) {
            case "echo":
                return echo -> echo.echo(text);
            case "bytes":
                byte[] data = pattern(command.number("size", 1 << 20));
                return echo -> echo.bytes(data);
            case "order":
                return echo -> echo.order(Order.sample());
            case "fail":
                return echo -> echo.fail(text);
            case "crash":
                return echo -> echo.crash(text);
            case "slow":
                int milliseconds = command.number("milliseconds", 1000);
                return echo -> echo.slow(milliseconds);
            case "tell":
                return echo -> {
                    echo.tell(text);
                    return null;
                };
            case "told":
                return echo -> echo.told(text);
            case "metadata":
                return echo -> echo.metadata(text);
            default:
                throw new IllegalArgumentException("no such method: " + command.text("method", ""));
        }
    }

    private void load(Command command, Map<String, Object> fields) throws InterruptedException {
        int threads = command.number("threads", 4);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(command.number("seconds", 60));
        AtomicInteger left = new AtomicInteger(command.number("calls", Integer.MAX_VALUE));
        AtomicLong slowest = new AtomicLong();
        Map<String, Integer> values = new ConcurrentHashMap<>();
        Map<String, Integer> failures = new ConcurrentHashMap<>();
        Invocation invocation = invocation(command);
        ExecutorService executor = Executors.newFixedThreadPool(threads);
        for (int i = 0; i < threads; i++) {
            executor.execute(() -> {
                while (System.nanoTime() < end && left.getAndDecrement() > 0) {
                    long start = System.nanoTime();
                    try {
                        values.merge(String.valueOf(readable(call(command, invocation))), 1, Integer::sum);
                    } catch (Throwable error) {
                        failures.merge(error.getClass().getName() + " " + code(error), 1, Integer::sum);
                    }
                    slowest.accumulateAndGet((System.nanoTime() - start) / 1_000_000, Math::max);
                }
            });
        }
        executor.shutdown();
        if (!executor.awaitTermination(command.number("seconds", 60) + 30L, TimeUnit.SECONDS)) {
            executor.shutdownNow();
            throw new IllegalStateException("calls of the load have not ended");
        }
        fields.put("values", new TreeMap<>(values));
        fields.put("failures", new TreeMap<>(failures));
        fields.put("slowest", slowest.get());
    }

    private static byte[] pattern(int size) {
        byte[] data = new byte[size];
        for (int i = 0; i < size; i++) {
            data[i] = (byte) (i * 31 + (i >> 8));
        }
        return data;
    }

    /** Bytes come back as their length, and whether they are those of `bytes`. */
    private static Object readable(Object value) {
        if (value instanceof byte[] data) {
            return Map.of("length", data.length, "same", crc(data) == crc(pattern(data.length)));
        }
        return value instanceof Order order ? Map.of("same", order.toString().equals(Order.sample().toString())) : value;
    }

    private static long crc(byte[] data) {
        CRC32 crc = new CRC32();
        crc.update(data);
        return crc.getValue();
    }

    private static List<String> causes(Throwable error) {
        List<String> causes = new ArrayList<>();
        for (Throwable each = error.getCause(); each != null && causes.size() < 8; each = each.getCause()) {
            causes.add(each.getClass().getName() + ": " + shortened(each.getMessage()));
        }
        return causes;
    }

    private static String shortened(String message) {
        return message == null || message.length() <= LONGEST_MESSAGE ? message : message.substring(0, LONGEST_MESSAGE);
    }
}
