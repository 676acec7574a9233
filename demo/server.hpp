// Server: the demo's HTTP server on Beast: the page, its JSON and plain text, a WebSocket echo, an SSE clock.
// Called by main. Thread: the one of the io_context. Owns: one coroutine per connection.
// Fails: serve() answers why it cannot listen; a connection that fails is closed, with a line on stderr if
// odd.
#pragma once

#include "base/net.hpp"
#include "base/result.hpp"
#include "demo/pod.hpp"

namespace alcove::demo {

// Listens on pod.endpoint and takes connections until the io_context is stopped. Both outlive the coroutines.
Result<void> serve(asio::io_context& context, Pod& pod);

}  // namespace alcove::demo
