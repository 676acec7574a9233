// Access log: one line per exchange, made by the worker into its own buffer and handed to one writer thread
// for all. Step 11 of the way of a request. When the writer cannot keep up, lines are dropped and counted,
// never waited for. Text from outside is escaped; never a cookie, a token, or a query string's value.
#pragma once

#include "base/time.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace alcove::proxy {

struct AccessLine {
  std::string_view request_id;
  std::string_view client;  // address
  std::string_view method;
  std::string_view host;
  std::string_view path;     // without query
  std::string_view session;  // key, or empty
  std::string_view pod;      // endpoint, or empty
  std::string_view source;   // where the endpoint came from: "cache", "store", "hold", "own"
  int status = 0;            // 0: none sent
  std::array<char, 2> end{'-', '-'};
  std::uint64_t bytes_in = 0;   // body bytes from the client
  std::uint64_t bytes_out = 0;  // body bytes to the client
  bool reused = false;          // the pod connection
  std::uint32_t tries = 0;      // dials and reuses
  // Microseconds from the head's completion; -1: not reached
  std::int64_t hold_us = -1;
  std::int64_t dial_us = -1;
  std::int64_t first_us = -1;
  std::int64_t total_us = -1;
};

// The writer thread; one per process. Ends when destroyed, after writing what it has.
class AccessLogWriter {
 public:
  enum class Format : std::uint8_t { human, json };
  AccessLogWriter(Format format, int fd);  // fd: where to, not owned
  ~AccessLogWriter();
  // Any thread. Takes the lines over; drops them (counted) when more than 8 MiB wait.
  void take(std::string&& lines);
  std::uint64_t dropped() const;
  Format format() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A worker's side. flush() is called by the worker's tick.
class AccessLog {
 public:
  explicit AccessLog(AccessLogWriter* writer);  // nullptr: off
  void write(const AccessLine& line);
  void flush();

 private:
  AccessLogWriter* writer_;
  std::string buffer_;
};

}  // namespace alcove::proxy
