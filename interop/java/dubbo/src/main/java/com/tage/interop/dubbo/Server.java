package com.tage.interop.dubbo;

import com.tage.interop.Echo;
import com.tage.interop.EchoService;
import java.util.HashMap;
import java.util.Map;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.dubbo.rpc.RpcContext;

/**
 * `Server HOST PORT VERSION [WORKERS]`: a Dubbo server without a registry; WORKERS bounds its threads, none waits. The
 * property `protocol` says what is spoken: dubbo, or tri.
 */
public final class Server {
    private Server() {}

    public static void main(String[] args) throws InterruptedException {
        ApplicationConfig application = new ApplicationConfig("echo-" + args[2]);
        application.setQosEnable(false);
        String name = System.getProperty("protocol", "dubbo");
        ProtocolConfig protocol = new ProtocolConfig(name, Integer.parseInt(args[1]));
        protocol.setHost(args[0]);
        protocol.setParameters(new HashMap<>(Map.of("bind.ip", args[0])));
        protocol.setSerialization("hessian2");
        protocol.setHeartbeat(Integer.getInteger("heartbeat", 60_000)); // ms; three in vain, and a connection is closed
        if (args.length > 3) {
            protocol.setThreadpool("fixed");
            protocol.setThreads(Integer.parseInt(args[3]));
            protocol.setQueues(0);
        }
        ServiceConfig<Echo> service = new ServiceConfig<>();
        service.setInterface(Echo.class);
        service.setVersion("1.0");
        service.setRef(new EchoService(args[2], key -> RpcContext.getServerAttachment().getObjectAttachment(key)));
        DubboBootstrap.getInstance()
            .application(application)
            .registry(new RegistryConfig(RegistryConfig.NO_AVAILABLE))
            .protocol(protocol)
            .service(service)
            .start();
        System.out.println("ready");
        Thread.currentThread().join();
    }
}
