// The objects behind ApiStandIn: what a Kubernetes API server does with them, without HTTP. It refuses what
// the real one refuses, in the same words as far as tests look at them. Every function may be called from any
// thread. Source: the API concepts and conventions of Kubernetes; what it imitates is tried against a real
// API server too (tests/contract/api_contract_test.cpp).
#pragma once

#include "base/time.hpp"
#include "k8s/object.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace alcove::test {

using k8s::Json;

struct ApiAnswer {
  int status = 200;
  Json body;
};
ApiAnswer status_answer(int code, const std::string& reason, const std::string& message);

// One kind in one namespace: "pods", "configmaps", "persistentvolumeclaims", "events".
struct ApiCollection {
  std::string kind;  // as in the path
  std::string in_namespace;

  friend auto operator<=>(const ApiCollection&, const ApiCollection&) = default;
};

using Query = std::map<std::string, std::string>;

class ApiObjects {
 public:
  ApiAnswer get(const ApiCollection& in, const std::string& name);
  ApiAnswer create(const ApiCollection& in, const std::string& body, const Query& query = {});
  ApiAnswer patch(const ApiCollection& in, const std::string& name, const std::string& content_type,
                  const std::string& body);
  ApiAnswer remove(const ApiCollection& in, const std::string& name, const std::string& body);
  ApiAnswer list(const ApiCollection& in, const Query& query);

  // A watch: refused at once, or begun with an ERROR event, or else what it says next: `after` is moved on,
  // and none is: nothing until the deadline, or wake_all() was called since wakes() was `wakes`.
  static std::optional<ApiAnswer> watch_refused(const Query& query);
  std::optional<Json> too_old(std::uint64_t after);
  std::vector<Json> watch(const ApiCollection& in, const Query& query, std::uint64_t& after,
                          SteadyTime deadline, std::uint64_t wakes);

  // As kubelet and controllers do.
  void set_status(const std::string& in_namespace, const std::string& pod, const Json& status);
  void finish(const std::string& in_namespace, const std::string& pod);  // it has ended, the object goes
  std::optional<Json> find(const ApiCollection& in, const std::string& name);
  std::size_t count(const ApiCollection& in);

  void compact();  // what was before now is too old for watches and pages
  std::uint64_t version();
  void wake_all();  // who waits in watch() returns
  std::uint64_t wakes();

 private:
  struct Event {
    std::uint64_t version;
    ApiCollection in;
    std::string type;
    Json object;
  };
  void note(const ApiCollection& in, const std::string& type, Json& object);
  std::optional<ApiAnswer> check(const ApiCollection& in, const Json& object) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<ApiCollection, std::string>, Json> objects_;
  std::deque<Event> history_;
  std::uint64_t version_ = 100;
  std::uint64_t compacted_ = 0;
  std::uint64_t wakes_ = 0;
  std::uint64_t next_uid_ = 1;
};

}  // namespace alcove::test
