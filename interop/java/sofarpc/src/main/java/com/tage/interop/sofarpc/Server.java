package com.tage.interop.sofarpc;

import com.alipay.sofa.rpc.common.RpcConstants;
import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ProviderConfig;
import com.alipay.sofa.rpc.config.ServerConfig;
import com.alipay.sofa.rpc.context.RpcInvokeContext;
import com.tage.interop.Echo;
import com.tage.interop.EchoService;
import java.util.Map;

/** `Server HOST PORT VERSION [WORKERS]`: a SOFARPC server without a registry; WORKERS bounds its threads, none waits. */
public final class Server {
    private Server() {}

    public static void main(String[] args) throws InterruptedException {
        ServerConfig server = new ServerConfig()
            .setProtocol("bolt")
            .setHost(args[0])
            .setBoundHost(args[0])
            .setPort(Integer.parseInt(args[1]))
            .setDaemon(false);
        if (args.length > 3) {
            server.setCoreThreads(Integer.parseInt(args[3])).setMaxThreads(Integer.parseInt(args[3])).setQueues(0);
        }
        new ProviderConfig<Echo>()
            .setApplication(new ApplicationConfig().setAppName("echo-" + args[2]))
            .setInterfaceId(Echo.class.getName())
            .setVersion("1.0")
            .setRef(new EchoService(args[2], Server::header))
            .setServer(server)
            .setRegister(false)
            .export();
        System.out.println("ready");
        Thread.currentThread().join();
    }

    private static Object header(String key) {
        return RpcInvokeContext.getContext().get(RpcConstants.SOFA_REQUEST_HEADER_KEY) instanceof Map<?, ?> headers
            ? headers.get(key)
            : "no header map";
    }
}
