"""The clients of the suite, and what each of them makes of a failure that it is told of."""

from __future__ import annotations

from dataclasses import dataclass

from tests.interop.java import Failure

INTERFACE = "com.tage.interop.Echo"
BUSINESS = "com.tage.interop.BusinessException"
RUNTIME = "java.lang.IllegalStateException"


@dataclass(frozen=True)
class Sdk:
    """`protocol`: what Tage calls it. `failures`: class and code of what a call throws, by what has happened."""

    name: str
    module: str
    protocol: str
    service: str
    """The name of the virtual host, and the first part of paths."""
    caller: str
    """The metadata that holds the name of the calling application."""
    failures: dict[str, tuple[str, int | None]]
    arguments: tuple[str, ...] = ()

    def assert_failed(self, failure: Failure, what: str) -> None:
        assert (failure.exception, failure.code) == self.failures[what], failure


_SOFA_EXCEPTION = "com.alipay.sofa.rpc.core.exception.SofaRpcException"
# The codes are those of com.alipay.sofa.rpc.core.exception.RpcErrorType.
_SOFA = {
    "timeout": ("com.alipay.sofa.rpc.core.exception.SofaTimeOutException", 200),
    "timeout of a future": (_SOFA_EXCEPTION, 199),
    "declared, of a future": (_SOFA_EXCEPTION, 199),
    "busy": (_SOFA_EXCEPTION, 100),
    "unavailable": (_SOFA_EXCEPTION, 100),
    "no route": (_SOFA_EXCEPTION, 299),
    "error": (_SOFA_EXCEPTION, 199),
}
_DUBBO_EXCEPTION = "org.apache.dubbo.rpc.RpcException"
# The codes are those of org.apache.dubbo.rpc.RpcException: 2 timeout, 1 network (all statuses but 25, 30 and 31).
_DUBBO = {
    "timeout": (_DUBBO_EXCEPTION, 2),
    "timeout of a future": ("org.apache.dubbo.remoting.TimeoutException", None),
    "declared, of a future": (BUSINESS, None),
    "busy": (_DUBBO_EXCEPTION, 1),
    "unavailable": (_DUBBO_EXCEPTION, 1),
    "no route": (_DUBBO_EXCEPTION, 1),
    "error": (_DUBBO_EXCEPTION, 1),
}

SDKS = (
    Sdk("sofarpc", "sofarpc", "bolt", f"{INTERFACE}:1.0", "app", _SOFA),
    Sdk("sofarpc-bolt2", "sofarpc", "bolt", f"{INTERFACE}:1.0", "app", _SOFA, ("2",)),
    Sdk("dubbo", "dubbo", "dubbo", INTERFACE, "remote.application", _DUBBO),
)
