package com.tage.interop.dubbo;

import com.tage.interop.Console;
import com.tage.interop.Echo;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.RpcException;

/** Dubbo's client with direct addresses, without retries of its own. The property `protocol`: dubbo, or tri. */
public final class Client extends Console {
    private static final int LONGEST_WAIT = 30_000;
    private static final String SCHEME = System.getProperty("protocol", "dubbo") + "://";

    private final Map<String, Echo> stubs = new ConcurrentHashMap<>();

    private Client() {
        ApplicationConfig application = new ApplicationConfig("caller");
        application.setQosEnable(false);
        DubboBootstrap.getInstance()
            .application(application)
            .registry(new RegistryConfig(RegistryConfig.NO_AVAILABLE))
            .start();
    }

    public static void main(String[] args) throws IOException {
        new Client().run();
    }

    @Override
    protected Object call(Command command, Invocation invocation) throws Throwable {
        Echo stub = stub(command);
        if (!List.of("future", "callback").contains(command.mode())) {
            return invocation.on(stub);
        }
        CompletableFuture<?> answer = RpcContext.getServiceContext().asyncCall(() -> invocation.on(stub));
        try {
            if (command.mode().equals("callback")) {
                CompletableFuture<Object> called = new CompletableFuture<>();
                answer.whenComplete((value, error) -> {
                    if (error != null) {
                        called.completeExceptionally(error);
                    } else {
                        called.complete(value);
                    }
                });
                return called.get(LONGEST_WAIT, TimeUnit.MILLISECONDS);
            }
            return answer.get(LONGEST_WAIT, TimeUnit.MILLISECONDS);
        } catch (ExecutionException error) {
            throw error.getCause();
        }
    }

    @Override
    protected Object code(Throwable error) {
        return error instanceof RpcException rpc ? rpc.getCode() : null;
    }

    private Echo stub(Command command) {
        boolean oneWay = command.mode().equals("oneway");
        int timeout = command.number("timeout", 10_000);
        String version = command.text("version", "1.0");
        String heartbeat = command.text("heartbeat", "60000");
        String key = String.join("|", command.address(), version, String.valueOf(timeout), heartbeat, command.mode());
        return stubs.computeIfAbsent(key, any -> {
            ReferenceConfig<Echo> reference = new ReferenceConfig<>();
            reference.setInterface(Echo.class);
            reference.setVersion(version);
            reference.setUrl(command.urls(SCHEME, "/" + Echo.class.getName() + "?heartbeat=" + heartbeat));
            reference.setTimeout(timeout);
            reference.setRetries(0);
            reference.setCheck(false);
            reference.setParameters(new HashMap<>(Map.of("connect.timeout", "3000")));
            if (oneWay) {
                MethodConfig tell = new MethodConfig();
                tell.setName("tell");
                tell.setReturn(false);
                tell.setSent(false);
                reference.setMethods(List.of(tell));
            }
            return reference.get();
        });
    }
}
