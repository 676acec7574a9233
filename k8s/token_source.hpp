// TokenSource: the bearer token of the next call: one that never changes, or a file's, read again when the
// file has changed (kubelet replaces a pod's token before it expires). A file that cannot be read for a
// moment keeps the token that was known. Called by: api_client. Thread: the caller's, one. Fails: never by
// itself; without a token the API answers 401.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace alcove::k8s {

class TokenSource {
 public:
  TokenSource(std::string token, std::string file);

  const std::string& current();
  // After a 401: looks at the file whatever its times say. True: the token is another one now.
  bool read_again();

 private:
  struct Mark {  // what tells one content of the file from another
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t changed_ns = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
  };
  bool read();

  std::string token_;
  std::string file_;
  Mark mark_;
};

}  // namespace alcove::k8s
