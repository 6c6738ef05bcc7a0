package com.tage.interop.sofarpc;

import com.alipay.remoting.Url;
import com.alipay.remoting.rpc.protocol.RpcProtocolV2;
import com.alipay.sofa.rpc.client.ProviderInfo;
import com.alipay.sofa.rpc.ext.Extension;
import com.alipay.sofa.rpc.transport.ClientTransportConfig;
import com.alipay.sofa.rpc.transport.bolt.BoltClientTransport;

/** SOFARPC's own transport, with connections that speak bolt v2 with checksums; the servers answer in kind. */
@Extension(value = "bolt", override = true, order = 1)
public final class Bolt2Transport extends BoltClientTransport {
    Bolt2Transport(ClientTransportConfig config) {
        super(config);
    }

    @Override
    protected Url convertProviderToUrl(ClientTransportConfig config, ProviderInfo provider) {
        Url url = super.convertProviderToUrl(config, provider);
        url.setProtocol(RpcProtocolV2.PROTOCOL_CODE);
        url.setVersion(RpcProtocolV2.PROTOCOL_VERSION_2);
        return url;
    }
}
