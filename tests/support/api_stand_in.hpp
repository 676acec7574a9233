// A strict stand-in for the Kubernetes API, in the test's process: HTTP (or HTTPS, which asks for a client
// certificate) on a loopback port, a thread per connection, and the faults that a test wants. The rules about
// objects are api_objects'. Every function may be called from any thread.
#pragma once

#include "k8s/cluster_access.hpp"
#include "tests/support/api_objects.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace alcove::test {

struct ApiRequest {
  std::string method;
  std::string path;
  Query query;
  std::string content_type;
  std::string authorization;
  std::string body;
};

struct ApiStandInOptions {
  bool tls = false;                 // with a certificate of its own, and of a client's
  std::string token = "let-me-in";  // empty: everybody may
  bool exec_v5 = true;              // knows v5.channel.k8s.io, as since Kubernetes 1.30
  bool intermediate_ca = false;     // with TLS: the CA is no root
};

class ApiStandIn {
 public:
  explicit ApiStandIn(ApiStandInOptions options = {});
  ~ApiStandIn();
  ApiStandIn(const ApiStandIn&) = delete;
  ApiStandIn& operator=(const ApiStandIn&) = delete;

  k8s::ClusterAccess access() const;
  ApiObjects& objects() { return objects_; }

  // What the next so many requests meet instead of an answer.
  struct Fault {
    int status = 503;  // 0: the connection is closed without a word
    std::string reason = "ServiceUnavailable";
    std::string retry_after{};
    std::string body{};         // empty: a Status object
    std::string only_method{};  // empty: any
  };
  void fail_next(int count, Fault fault);
  void set_token(std::string token);
  void hang(bool hanging);  // requests are read and not answered
  void cut_watches();       // breaks them off
  void end_watches();       // ends them in order, with a bookmark
  void write_log(const std::string& pod, const std::string& text);
  void end_log(const std::string& pod);

  std::vector<ApiRequest> requests() const;
  std::size_t count(const std::string& method) const;
  std::size_t open_watches() const;

 private:
  class Connection;
  struct State;
  void accept();

  std::shared_ptr<State> state_;
  ApiObjects objects_;
  std::thread acceptor_;
};

// A certificate for 127.0.0.1 and a client's, both signed by a CA that is a root or, `intermediate`, one that
// is signed by a root which nobody has. PEM.
struct TestCertificates {
  std::string ca;
  std::string server;
  std::string server_key;
  std::string client;
  std::string client_key;
};
TestCertificates make_test_certificates(bool intermediate = false);

}  // namespace alcove::test
