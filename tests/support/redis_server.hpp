// A real redis-server for tests: on a free port of 127.0.0.1, in a temporary directory, ended by its pid.
// It dies with the test program, however that ends. Not thread-safe. Throws std::runtime_error if it does not
// start.
#pragma once

#include "config/settings.hpp"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace alcove::test {

struct RedisServerOptions {
  std::string user{};  // with a password: an ACL user that may touch keys and channels of `acl_prefix` only
  std::string password{};  // without a user: requirepass
  std::string acl_prefix = "alcove";
  bool tls = false;       // TLS only, with a certificate of its own for 127.0.0.1
  bool keep_data = true;  // what was written is there after kill() and start()
};

class RedisServer {
 public:
  explicit RedisServer(RedisServerOptions options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // How to reach it, with the right password and a short time-out.
  RedisStoreSettings settings() const;

  void kill();    // SIGKILL, waits for its end
  void start();   // again, on the same port
  void freeze();  // SIGSTOP: it accepts connections and says nothing
  void thaw();
  // Plain redis-cli on it; what it printed.
  std::string cli(const std::string& arguments) const;

 private:
  void write_config() const;
  bool try_start();  // false: it ended, for instance because the port was taken

  RedisServerOptions options_;
  std::filesystem::path directory_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

// A port of 127.0.0.1 that nobody listens on at this moment.
std::uint16_t free_port();

}  // namespace alcove::test
