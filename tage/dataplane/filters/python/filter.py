"""`PythonFilter`: the HTTP filter that calls a user's code, and `HeldCall`: a call that is awaited.

    request --> on_request --None, CONTINUE--> goes on
                    |--------REPLY-----------> the answer of `Request.reply`
                    |--------REROUTE---------> the routes again, then it goes on
                    |--------an awaitable----> held: a task runs it, at most for the filter's timeout; then as above
                    `--raises, else----------> counted, told of; goes on (open) or is answered 500 (closed)

What is not awaited costs no task, no timer and no entry with the exchange, unless `on_response` wants the same
`Request`. Whatever a filter has changed before it failed stays changed.
"""

import asyncio
import inspect
from collections.abc import Coroutine

import cython

from tage.dataplane.filters.filter import Exchange, HttpFilter
from tage.dataplane.filters.python.api import Action
from tage.dataplane.filters.python.instance import FilterInstance
from tage.dataplane.filters.python.messages import Reply, Request, Response
from tage.dataplane.filters.python.watchdog import Watch
from tage.dataplane.net.timers import Timer
from tage.dataplane.protocols.errors import ProxyError

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.filters.filter import Verdict
    from tage.dataplane.filters.python.messages import request_of, response_of
    from tage.dataplane.filters.python.watchdog import ON_REQUEST, ON_RESPONSE

    CONTINUE, STOPPED, REPLIED = Verdict

_CONTINUE = Action.CONTINUE
_REPLY = Action.REPLY
_REROUTE = Action.REROUTE
_METHODS = ("on_request", "on_response")
_ANSWERED = ProxyError("-", 200, "", "python_filter_reply")
"""Not an error: the filter answers."""
_TIMED_OUT = object()


class PythonFilter(HttpFilter):
    """`routes` are the instances for the configurations that routes have of their own: a route's settings are the key.
    A request keeps the instances that it began with, for it keeps its chain."""

    def __init__(
        self, instance: FilterInstance, watch: Watch, routes: dict[bytes, FilterInstance] | None = None
    ) -> None:
        HttpFilter.__init__(self, instance.name)
        self.instance = instance
        self.watch = watch
        self.routes = routes or {}

    def request(self, exchange, settings):
        instance: FilterInstance = self.instance if settings is None else self._of_route(settings)
        request: Request
        result: object
        instance.count_request()
        if instance.on_request is None:
            return CONTINUE
        request = request_of(exchange)
        self.watch.begin(instance, ON_REQUEST)
        try:
            result = instance.on_request(request)
        except BaseException as error:  # SystemExit too: a filter is not to end the worker
            self.watch.end()
            instance.failed("on_request", error)
            request.close()
            return self._failed(instance, exchange)
        self.watch.end()
        if (result is None or result is _CONTINUE) and request._reply is None:
            if instance.on_response is None:
                request.close()
            else:
                exchange.keep(self, request)
            return CONTINUE
        return self._settle(instance, ON_REQUEST, exchange, request, None, result, True)

    def response(self, exchange, head, settings):
        instance: FilterInstance = self.instance if settings is None else self._of_route(settings)
        request: Request
        response: Response
        result: object
        if instance.on_response is None:
            return CONTINUE
        request = exchange.kept(self)
        if request is None:  # another filter has answered before this one was asked
            request = request_of(exchange)
        request._reply = None
        request.release()
        response = response_of(exchange)
        self.watch.begin(instance, ON_RESPONSE)
        try:
            result = instance.on_response(response, request)
        except BaseException as error:  # as above
            self.watch.end()
            instance.failed("on_response", error)
            self._leave(instance, ON_RESPONSE, exchange, request, response)
            return self._failed(instance, exchange)
        self.watch.end()
        if (result is None or result is _CONTINUE) and request._reply is None:
            self._leave(instance, ON_RESPONSE, exchange, request, response)
            return CONTINUE
        return self._settle(instance, ON_RESPONSE, exchange, request, response, result, True)

    def over(self, exchange):
        request: Request = exchange.kept(self)
        held: HeldCall
        if request is None:
            return
        if request._held is not None:
            held = request._held
            held.give_up()
        request.close()

    def _of_route(self, settings):
        # Unknown are those of a plan that came while this request was held, and was then routed anew.
        return self.routes.get(settings, self.instance)

    def _settle(self, instance, phase, exchange, request, response, result, may_wait):
        """Carries out what a method has answered; the verdict."""
        error: object
        if request._reply is not None:
            self._leave(instance, phase, exchange, request, response)
            return self._reply(instance, exchange, request)
        if result is None or result is _CONTINUE:
            self._leave(instance, phase, exchange, request, response)
            return CONTINUE
        if result is _REROUTE and phase == ON_REQUEST:
            self._leave(instance, phase, exchange, request, response)
            exchange.reroute()
            return CONTINUE
        if may_wait and inspect.isawaitable(result):
            return self._hold(instance, phase, exchange, request, response, result)
        if result is _REPLY:
            error = ValueError("Action.REPLY without an answer: return request.reply(...)")
        elif result is _REROUTE:
            error = ValueError("Action.REROUTE in on_response: the request has been routed already")
        else:
            error = TypeError(f"an answer of type {type(result).__name__}; give None or a tage.Action")
        instance.failed(_METHODS[phase], error)
        self._leave(instance, phase, exchange, request, response)
        return self._failed(instance, exchange)

    def _hold(self, instance, phase, exchange, request, response, result):
        held: HeldCall = HeldCall(self, instance, phase, exchange, request, response)
        request._held = held
        exchange.keep(self, request)
        if response is not None:
            response.release()
        held.start(result)
        return STOPPED

    def _reply(self, instance, exchange, request):
        reply: Reply = request._reply
        request._reply = None
        instance.count_reply()
        exchange.reply(_ANSWERED, reply.status, reply.body, reply.headers)
        return REPLIED

    def _failed(self, instance, exchange):
        text: str
        if instance.fails_open:
            return CONTINUE
        text = f"filter {instance.name} failed"
        exchange.reply(ProxyError("-", 500, text, "python_filter_error"), 500, text.encode(), ())
        return REPLIED

    def _leave(self, instance, phase, exchange, request, response):
        """The method has answered for good: what it was given is another's now. But `on_response` is to get the
        request as `on_request` has left it."""
        if response is not None:
            response.close()
        if phase == ON_REQUEST and instance.on_response is not None:
            request.release()
            exchange.keep(self, request)
        else:
            request.close()


class HeldCall(Timer):
    """A call that is awaited while its request, or the answer, waits. It ends once: with the task, with the time, or
    because the stream is over; after that the task is cancelled, and what it says counts for nothing."""

    def __init__(self, filter, instance, phase, exchange, request, response) -> None:
        Timer.__init__(self)
        self.filter = filter
        self.instance = instance
        self.phase = phase
        self.exchange = exchange
        self.request = request
        self.response = response
        self.task = None

    def start(self, awaitable):
        self.task = asyncio.get_running_loop().create_task(
            Steps(awaitable, self.filter.watch, self.instance, self.phase)
        )
        self.task.add_done_callback(self.done)
        self.exchange.timers().arm(self, self.instance.timeout)

    def expire(self):
        """It took too long."""
        exchange: Exchange = self.exchange
        if exchange is not None:
            self.instance.timed_out(_METHODS[self.phase])
            self._fail(exchange)

    def done(self, task) -> None:
        """The task has ended."""
        exchange: Exchange = self.exchange
        filter: PythonFilter = self.filter
        error: object = asyncio.CancelledError("it was cancelled") if task.cancelled() else task.exception()
        if exchange is None:
            return
        if error is not None:
            self.instance.failed(_METHODS[self.phase], error)
            self._fail(exchange)
            return
        self._part()
        _resume(
            exchange,
            filter._settle(self.instance, self.phase, exchange, self.request, self.response, task.result(), False),
        )

    def give_up(self):
        """The stream is over."""
        if self.exchange is not None:
            self._part()

    def _fail(self, exchange):
        filter: PythonFilter = self.filter
        self._part()
        filter._leave(self.instance, self.phase, exchange, self.request, self.response)
        _resume(exchange, filter._failed(self.instance, exchange))

    def _part(self):
        """From the stream. Cancelling a task that has ended does nothing."""
        self.exchange.timers().disarm(self)
        self.exchange = None
        self.request._held = None
        self.task.cancel()


def _resume(exchange, verdict):
    if verdict == CONTINUE:
        exchange.go_on()


class Steps(Coroutine):
    """An awaitable as a coroutine, each of whose steps the watchdog sees."""

    def __init__(self, awaitable, watch: Watch, instance: FilterInstance, phase: int) -> None:
        self._inner = awaitable if inspect.iscoroutine(awaitable) else _awaited(awaitable)
        self._watch = watch
        self._instance = instance
        self._phase = phase

    def send(self, value):
        watch: Watch = self._watch
        watch.begin(self._instance, self._phase)
        try:
            return self._inner.send(value)
        finally:
            watch.end()

    def throw(self, *error):
        watch: Watch = self._watch
        watch.begin(self._instance, self._phase)
        try:
            return self._inner.throw(*error)
        finally:
            watch.end()

    def close(self):
        self._inner.close()

    def __await__(self):
        raise AssertionError("for tasks only")


async def _awaited(awaitable):
    return await awaitable
