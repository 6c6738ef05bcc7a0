package com.tage.interop;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** An argument of many kinds of values, with objects inside lists inside maps. */
public class Order implements Serializable {
    private static final long serialVersionUID = 1L;

    public static class Line implements Serializable {
        private static final long serialVersionUID = 1L;

        private String article;
        private int pieces;
        private double price;

        public Line() {}

        Line(String article, int pieces, double price) {
            this.article = article;
            this.pieces = pieces;
            this.price = price;
        }

        @Override
        public String toString() {
            return pieces + "x" + article + "@" + price;
        }
    }

    private long id;
    private String customer;
    private boolean paid;
    private List<Line> lines = new ArrayList<>();
    private Map<String, List<Line>> parcels = new HashMap<>();
    private Map<Integer, Object> notes = new HashMap<>();

    public static Order sample() {
        Order order = new Order();
        order.id = 9_007_199_254_740_993L;
        order.customer = "踏歌 \uD83C\uDFB6";
        order.paid = true;
        order.lines.add(new Line("rope", 3, 0.25));
        order.lines.add(new Line("bell", 1, 1e9));
        order.parcels.put("first", new ArrayList<>(order.lines));
        order.parcels.put("empty", new ArrayList<>());
        order.notes.put(-1, new byte[] {0, 1, 2});
        order.notes.put(70_000, Map.of("deep", List.of(1, 2L, "three")));
        order.notes.put(7, null);
        return order;
    }

    /** The same whatever map and list classes the serializer has made. */
    @Override
    public String toString() {
        Map<Integer, Object> readable = new TreeMap<>(notes);
        readable.replaceAll((key, value) -> value instanceof byte[] bytes ? "bytes " + bytes.length : value);
        return id + " " + customer + " " + paid + " " + lines + " " + new TreeMap<>(parcels) + " " + readable;
    }
}
