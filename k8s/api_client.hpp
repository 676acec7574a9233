// ApiClient: the Kubernetes API as far as Alcove uses it: get, list, watch, create, patch, delete, logs,
// commands in a container. JSON both ways. Called by: informer, kubernetes_runtime. Calls: http_thread.
// Thread: the executor's. Owns: the HTTP thread and the token. The io_context outlives it. Fails with: an
// ApiError, after tries of its own: what may pass (nobody there, 429, 5xx) is tried again with a growing,
// jittered pause, or after the pause that Retry-After asks for, until CallOptions::patience is used up.
//
// Trying again is safe because every call here is safe to repeat: objects are created under names of their
// own (the second try answers already_exists), deleted by UID, and patched by merging.
#pragma once

#include "base/net.hpp"
#include "base/time.hpp"
#include "k8s/api_error.hpp"
#include "k8s/cluster_access.hpp"
#include "k8s/http_thread.hpp"
#include "k8s/metrics.hpp"
#include "k8s/pod_exec.hpp"
#include "k8s/token_source.hpp"
#include "k8s/watch.hpp"
#include "lifecycle/tasks.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace alcove::k8s {

struct CallOptions {
  Millis patience{15'000};  // tries go on for so long; at least one is made
  Millis each{10'000};      // a try is given up after this
};

// Parameters of a list or a watch.
struct Selection {
  std::string labels;  // "alcove/instance=a,alcove/app=b"; empty: all
  std::string fields;
};

struct RemoveOptions {
  std::string uid;  // only this one; empty: whatever has the name
  std::optional<Millis>
      grace;              // for a pod; rounded up to seconds, and never 0, which would drop the object only
  bool by_force = false;  // that very 0: the node is gone and will not tell
};

struct LogQuery {
  std::string container;
  bool previous = false;
  std::uint32_t tail_lines = 0;   // 0: from the beginning
  std::uint32_t limit_bytes = 0;  // 0: all
};

enum class PatchKind : std::uint8_t { merge, strategic_merge };

// "/api/v1/namespaces/NAMESPACE/KIND", and one object of it.
std::string collection(std::string_view kind, std::string_view in_namespace);
std::string item(std::string_view collection, std::string_view name);

ApiError error_from_transport(const Error& error);

class ApiClient {
 public:
  // Throws std::runtime_error if libcurl cannot start.
  ApiClient(Executor executor, const ClusterAccess& access, std::shared_ptr<ApiMetrics> metrics);
  ~ApiClient();

  Awaitable<ApiResult<Object>> get(std::string path, CallOptions options = {});
  Awaitable<ApiResult<Object>> create(std::string collection, Json object, CallOptions options = {});
  Awaitable<ApiResult<Object>> patch(std::string path, PatchKind kind, Json patch, CallOptions options = {});
  // What the API answers: the object that ends now (it is still there), or a Status: it is gone.
  Awaitable<ApiResult<Object>> remove(std::string path, RemoveOptions what, CallOptions options = {});
  // All pages, each of at most `page` objects. `gone`: the first page was too old when the last was asked
  // for.
  Awaitable<ApiResult<ObjectList>> list(std::string collection, Selection selection, std::uint32_t page,
                                        CallOptions options = {});
  // Opens a watch that begins after `version`. It ends by itself after some minutes, as the API wants it.
  Awaitable<ApiResult<std::shared_ptr<Watch>>> watch(std::string collection, Selection selection,
                                                     std::string version, Millis most);
  Awaitable<ApiResult<std::string>> log(std::string pod_path, LogQuery query, CallOptions options = {});
  // The log from its beginning and on, as it is written, until the container ends. Read it with
  // HttpExchange::read.
  Awaitable<ApiResult<std::shared_ptr<HttpExchange>>> follow_log(std::string pod_path, std::string container);
  // A command that is asked for in a container of a pod: see pod_exec.hpp.
  Awaitable<ApiResult<std::shared_ptr<PodExec>>> exec(std::string pod_path, ExecQuery query);

  // Ends everything with `cancelled`, also what is still to come.
  void close();

 private:
  Awaitable<ApiResult<HttpAnswer>> call(Verb verb, HttpOrder order, CallOptions options);
  Awaitable<ApiResult<HttpAnswer>> try_once(Verb verb, HttpOrder order);
  Awaitable<ApiResult<Object>> call_for_object(Verb verb, HttpOrder order, CallOptions options);
  Awaitable<ApiResult<std::shared_ptr<HttpExchange>>> open_stream(Verb verb, HttpOrder order);
  HttpOrder order(std::string method, std::string target) const;
  void authorize(HttpOrder& order);

  Executor executor_;
  std::string server_;
  HttpWay way_;
  TokenSource token_;
  std::shared_ptr<ApiMetrics> metrics_;
  Pauses pauses_;
  bool closed_ = false;
  std::vector<std::weak_ptr<PodExec>> execs_;  // for close()
  HttpThread http_;
};

}  // namespace alcove::k8s
