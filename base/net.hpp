// The Asio types of this project, with a concrete executor: `any_io_executor` costs an indirect call per
// operation, and every object here belongs to exactly one thread's io_context anyway.
// Thread: an object made from an io_context is used on that io_context's thread only.
#pragma once

#include "base/awaitable.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>

namespace alcove {

namespace asio = boost::asio;
using boost::system::error_code;

using tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

// Completion token for every await on an Asio operation: no exception, and no coroutine frame of its own.
// `auto [ec, n] = co_await s.async_...(.., kTuple);`
inline constexpr auto kTuple = asio::as_tuple(asio::deferred);

}  // namespace alcove
