-- Prints wrk's own summary as one line of JSON. No `request` or `response` function: either would cost the generator
-- a call for each request.
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'summary {"requests": %d, "duration_us": %d, "bytes": %d, "errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout))
end
