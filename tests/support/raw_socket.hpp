// Blocking sockets for tests that want to see every byte, on either side. Every wait ends after kPatience:
// then the test fails, it does not hang.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace alcove::test {

class RawSocket {
 public:
  RawSocket() = default;
  explicit RawSocket(int fd) : fd_(fd) {}
  ~RawSocket();
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&& other) noexcept;

  static RawSocket connect(std::uint16_t port);  // to 127.0.0.1; throws std::runtime_error

  void send(std::string_view bytes);  // all of it; throws if the peer is gone
  std::string read_until(
      std::string_view end);  // up to and with `end`; throws at EOF, reset or when time is up
  std::string read_exactly(std::size_t count);
  std::string read_to_end();   // until EOF or reset
  bool at_end();               // waits for EOF or reset; false if a byte comes first
  bool silent_for_ms(int ms);  // nothing arrives within that time
  void shutdown_write();
  void reset();  // closes with RST
  void close();
  bool is_open() const { return fd_ >= 0; }

 private:
  bool fill();  // false: EOF or reset
  int fd_ = -1;
  std::string buffer_;
};

class RawListener {
 public:
  RawListener();  // 127.0.0.1, a free port
  ~RawListener();
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  std::uint16_t port() const { return port_; }
  RawSocket accept();  // throws when time is up
  bool nobody_comes_for_ms(int ms);

 private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace alcove::test
