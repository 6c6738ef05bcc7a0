package com.tage.interop;

import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/** `metadata`: how a framework reads what a call carries beside its arguments. */
public class EchoService implements Echo {
    private final String version;
    private final Function<String, Object> metadata;
    private final ConcurrentHashMap<String, Integer> told = new ConcurrentHashMap<>();

    public EchoService(String version, Function<String, Object> metadata) {
        this.version = version;
        this.metadata = metadata;
    }

    @Override
    public String echo(String text) {
        return version + " " + text;
    }

    @Override
    public byte[] bytes(byte[] data) {
        return data;
    }

    @Override
    public Order order(Order order) {
        return order;
    }

    @Override
    public String fail(String text) throws BusinessException {
        throw new BusinessException(42, version + " " + text);
    }

    @Override
    public String crash(String text) {
        throw new IllegalStateException(version + " " + text);
    }

    @Override
    public String slow(int milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        return version + " " + milliseconds;
    }

    @Override
    public void tell(String text) {
        told.merge(text, 1, Integer::sum);
    }

    @Override
    public int told(String text) {
        return told.getOrDefault(text, 0);
    }

    @Override
    public String metadata(String key) {
        Object value = metadata.apply(key);
        return value == null ? null : value.toString();
    }
}
