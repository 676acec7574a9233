// What does a head cost: finding its end, parsing, rewriting? Of a browser's request (20 fields, cookies) and
// of a short one, and of an answer. Not measured: reading and writing sockets, identity, route.
#include "bench/micro/repeat.hpp"
#include "proxy/head.hpp"
#include "proxy/head_rules.hpp"

#include <benchmark/benchmark.h>

#include <string>

namespace {

using namespace alcove;
using namespace alcove::proxy;

const std::string kShort = "GET /index.html HTTP/1.1\r\nHost: demo.localhost:8080\r\nX-User-ID: ada\r\n\r\n";
const std::string kBrowser =
    "GET /lab/tree/work/notes.ipynb?reset=1 HTTP/1.1\r\n"
    "Host: notebook.example.com\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Chromium\";v=\"120\", \"Not(A:Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: "
    "document\r\n"
    "Referer: http://notebook.example.com/lab\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: _xsrf=2|a1b2c3d4|0123456789abcdef|1700000000; alcove_dev=v1.YWRh.1700000000.c2lnbmF0dXJl; "
    "theme=dark\r\n"
    "If-None-Match: \"5f3759df\"\r\nDNT: 1\r\nPragma: no-cache\r\n\r\n";
const std::string kAnswer =
    "HTTP/1.1 200 OK\r\nServer: TornadoServer/6.3\r\nContent-Type: text/html; charset=UTF-8\r\n"
    "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 128\r\nEtag: \"5f3759df\"\r\n"
    "Set-Cookie: _xsrf=2|a1b2c3d4; expires=Sun, 31 Dec 2000 00:00:00 GMT; Path=/\r\n"
    "X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n\r\n";

void request(benchmark::State& state, const std::string& text) {
  const HeadLimits limits{32 * 1024, 100};
  const std::vector<std::string> private_headers{"x-user-id"};
  RequestHead head;
  std::string out;
  bench::repeat(state, [&] {
    std::size_t line = 0;
    std::size_t end = 0;
    if (find_head_end(text, line, end) != HeadScan::complete || parse_request_head(text, limits, head))
      return false;
    RequestRules rules;
    rules.peer_address = "127.0.0.1";
    rules.port = 8080;
    rules.request_id = "0123456789abcdef";
    rules.identity_header = "X-Alcove-User";
    rules.user = "ada";
    rules.private_cookie = "alcove_dev";
    rules.private_headers = &private_headers;
    out.clear();
    write_request_head(head, rules, out);
    benchmark::DoNotOptimize(out.data());
    return true;
  });
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void answer(benchmark::State& state) {
  const HeadLimits limits{32 * 1024, 100};
  ResponseHead head;
  std::string out;
  bench::repeat(state, [&] {
    std::size_t line = 0;
    std::size_t end = 0;
    if (find_head_end(kAnswer, line, end) != HeadScan::complete ||
        parse_response_head(kAnswer, limits, false, head))
      return false;
    out.clear();
    write_response_head(head, ResponseRules{}, out);
    benchmark::DoNotOptimize(out.data());
    return true;
  });
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kAnswer.size()));
}

BENCHMARK_CAPTURE(request, of_curl, kShort)->Apply(bench::times);
BENCHMARK_CAPTURE(request, of_a_browser, kBrowser)->Apply(bench::times);
BENCHMARK(answer)->Apply(bench::times);

}  // namespace
