package com.tage.interop;

/** What every server of the suite offers, and every client calls. An answer in words begins with the server's version. */
public interface Echo {
    String echo(String text);

    byte[] bytes(byte[] data);

    Order order(Order order);

    /** Throws {@link BusinessException}, which is declared. */
    String fail(String text) throws BusinessException;

    /** Throws an {@link IllegalStateException}, which is not declared. */
    String crash(String text);

    String slow(int milliseconds);

    /** For one-way calls: {@link #told} counts them. */
    void tell(String text);

    int told(String text);

    /** What the call carries under this key beside its arguments (SOFARPC: bolt's header map, Dubbo: attachments). */
    String metadata(String key);
}
