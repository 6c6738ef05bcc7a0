package com.tage.interop.sofarpc;

import com.alipay.sofa.rpc.api.future.SofaResponseFuture;
import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ConsumerConfig;
import com.alipay.sofa.rpc.context.RpcInvokeContext;
import com.alipay.sofa.rpc.core.exception.SofaRpcException;
import com.alipay.sofa.rpc.core.invoke.SofaResponseCallback;
import com.alipay.sofa.rpc.core.request.RequestBase;
import com.alipay.sofa.rpc.ext.ExtensionLoaderFactory;
import com.alipay.sofa.rpc.transport.ClientTransport;
import com.tage.interop.Console;
import com.tage.interop.Echo;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/** `Client [2]`: SOFARPC's client with direct addresses, without retries of its own; with bolt v2 if told so. */
public final class Client extends Console {
    private static final int LONGEST_WAIT = 30_000;

    private final Map<String, Echo> stubs = new ConcurrentHashMap<>();

    private Client() {}

    public static void main(String[] args) throws IOException {
        if (List.of(args).contains("2")) {
            ExtensionLoaderFactory.getExtensionLoader(ClientTransport.class).loadExtension(Bolt2Transport.class);
        }
        new Client().run();
    }

    @Override
    protected Object call(Command command, Invocation invocation) throws Throwable {
        Echo stub = stub(command);
        switch (command.mode()) {
            case "future":
                invocation.on(stub);
                return SofaResponseFuture.getResponse(LONGEST_WAIT, true);
            case "callback":
                CompletableFuture<Object> answer = new CompletableFuture<>();
                RpcInvokeContext.getContext().setResponseCallback(new Answer(answer));
                invocation.on(stub);
                try {
                    return answer.get(LONGEST_WAIT, TimeUnit.MILLISECONDS);
                } catch (ExecutionException error) {
                    throw error.getCause();
                }
            default:
                return invocation.on(stub);
        }
    }

    @Override
    protected Object code(Throwable error) {
        return error instanceof SofaRpcException rpc ? rpc.getErrorType() : null;
    }

    private Echo stub(Command command) {
        String mode = command.mode();
        int timeout = command.number("timeout", 10_000);
        String service = command.text("service", Echo.class.getName());
        String version = command.text("version", "1.0");
        String key = String.join("|", command.address(), mode, service, version, String.valueOf(timeout));
        return stubs.computeIfAbsent(key, any -> new ConsumerConfig<Echo>()
            .setApplication(new ApplicationConfig().setAppName("caller"))
            .setInterfaceId(Echo.class.getName())
            .setVersion(version)
            .setProtocol("bolt")
            .setDirectUrl(command.urls("bolt://", ""))
            .setInvokeType(mode)
            .setTimeout(timeout)
            .setConnectTimeout(3000)
            .setRetries(0)
            .setRepeatedReferLimit(-1)
            .setRegister(false)
            .refer());
    }

    private static final class Answer implements SofaResponseCallback<Object> {
        private final CompletableFuture<Object> answer;

        Answer(CompletableFuture<Object> answer) {
            this.answer = answer;
        }

        @Override
        public void onAppResponse(Object value, String method, RequestBase request) {
            answer.complete(value);
        }

        @Override
        public void onAppException(Throwable error, String method, RequestBase request) {
            answer.completeExceptionally(error);
        }

        @Override
        public void onSofaException(SofaRpcException error, String method, RequestBase request) {
            answer.completeExceptionally(error);
        }
    }
}
