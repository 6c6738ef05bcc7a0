-- Prints wrk's own summary as one line of JSON. No `request` or `response` function: either would cost the generator
-- a call for each request.
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'summary {"requests": %d, "duration_us": %d, "bytes": %d, "errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout))
end

-- The URL's name is what TLS is told; it stands for loopback.
function wrk.resolve(host, service)
  wrk.addrs = wrk.lookup("127.0.0.1", service)
end

-- wrk knows no client certificates. BENCH_CLIENT names one (its key beside it, with .key added): OpenSSL calls back
-- for each connection's new SSL object, which is given the certificate before its handshake. Without further cost: a
-- connection keeps its object.
local client = os.getenv("BENCH_CLIENT")
if client then
  local ffi = require("ffi")
  ffi.cdef [[
    typedef void (*new_object)(void *object, void *value, void *data, int index, long argl, void *argp);
    int CRYPTO_get_ex_new_index(int kind, long argl, void *argp, new_object created, void *copied, void *freed);
    int SSL_use_certificate_file(void *ssl, const char *path, int format);
    int SSL_use_PrivateKey_file(void *ssl, const char *path, int format);
  ]]
  local SSL_OBJECT, PEM = 0, 1 -- CRYPTO_EX_INDEX_SSL, SSL_FILETYPE_PEM

  init = function(args)
    created = ffi.cast("new_object", function(ssl) -- global: it must live as long as the thread
      if ffi.C.SSL_use_certificate_file(ssl, client, PEM) ~= 1
        or ffi.C.SSL_use_PrivateKey_file(ssl, client .. ".key", PEM) ~= 1 then
        io.stderr:write("wrk: cannot use the client certificate " .. client .. "\n")
        os.exit(1)
      end
    end)
    if ffi.C.CRYPTO_get_ex_new_index(SSL_OBJECT, 0, nil, created, nil, nil) < 0 then
      io.stderr:write("wrk: OpenSSL takes no callback for client certificates\n")
      os.exit(1)
    end
  end
end
