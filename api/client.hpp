// AdminClient: asks an admin listener, blocking. For the command line. Thread: the caller's. Owns: nothing
// between calls. Fails with: Errc::unavailable (nothing answers there; the text says what to do), timeout,
// invalid (the address).
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace alcove {

class AdminClient {
 public:
  struct Answer {
    int status = 0;
    std::string body;
  };

  // `address`: "127.0.0.1:8081", "alcove.internal:8081" or with http:// before it.
  AdminClient(std::string address, std::string token);

  Result<Answer> ask(std::string_view method, std::string target, std::string body, Millis timeout) const;
  // Gives the body of a 200 to `sink` as it comes, until the end or until `sink` says false. Other answers
  // come whole.
  Result<Answer> follow(std::string target, std::function<bool(std::string_view)> sink) const;

 private:
  std::string host_;
  std::string port_;
  std::string token_;
};

}  // namespace alcove
