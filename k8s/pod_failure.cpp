#include "k8s/pod_failure.hpp"

#include "base/text.hpp"
#include "k8s/pod_log.hpp"
#include "k8s/pod_manifest.hpp"

#include <fmt/format.h>

#include <utility>

namespace alcove::k8s {
namespace {

constexpr CallOptions kQuick{Millis{0}, Millis{3'000}};
constexpr std::size_t kReasonLogBytes = 600;
constexpr std::size_t kMostEventBytes = 600;
constexpr std::uint32_t kTailLines = 20;
constexpr std::uint32_t kTailBytes = 16 * 1024;

std::string waits_for(const PodView& pod, const AppSettings& app) {
  if (!pod.trouble.empty()) return pod.trouble;
  if (!pod.scheduled) return "no node has taken it yet";
  if (!pod.running) return fmt::format("node {} has not started its container yet", pod.node);
  if (app.ready_path.empty()) return fmt::format("it does not accept connections on port {}", app.port);
  return fmt::format("GET {} on port {} is not answered well", app.ready_path, app.port);
}

// The newest warning about it.
std::string last_warning(const ObjectList& events) {
  std::string text;
  std::string when;
  for (const Object& event : events.items) {
    if (text_at(event.json, {"type"}) != "Warning") continue;
    std::string at = text_at(event.json, {"lastTimestamp"});
    if (at.empty()) at = text_at(event.json, {"eventTime"});
    if (!text.empty() && at < when) continue;
    when = std::move(at);
    text = fmt::format("{}: {}", text_at(event.json, {"reason"}),
                       printable(text_at(event.json, {"message"}), kMostEventBytes));
  }
  return text;
}

}  // namespace

std::string late_text(const PodView& pod, const AppSettings& app, const std::string& trouble) {
  std::string text =
      fmt::format("the pod was not ready within {:.1f} s: {}",
                  static_cast<double>(app.start_timeout.count()) / 1000.0, waits_for(pod, app));
  if (!trouble.empty()) text += fmt::format(" (as far as is known: {})", trouble);
  return text;
}

std::string end_reason(const PodView& pod, bool gone) {
  if (pod.ended) return fmt::format("the pod {}", pod.end);
  if (gone) return "the pod was deleted by somebody else";
  return "the pod is being ended by somebody else (evicted, preempted or deleted)";
}

Awaitable<std::string> with_evidence(ApiClient& api, const FailureSource& source, const PodView& pod,
                                     std::string text) {
  const PodView view = pod;  // it may change while the API is asked
  if (view.has_log) {
    LogQuery query;
    query.container = kAppContainer;
    query.previous = view.log_of_previous;
    query.tail_lines = kTailLines;
    query.limit_bytes = kTailBytes;
    const ApiResult<std::string> log = co_await api.log(item(source.pods, view.object), query, kQuick);
    if (!log) co_return text;
    const std::string lines = joined_lines(*log, kReasonLogBytes);
    co_return lines.empty() ? text + "; it wrote nothing" : text + "; it wrote: " + lines;
  }
  if (!view.trouble.empty() || view.ended) co_return text;
  Selection about;
  about.fields = "involvedObject.uid=" + view.pod.uid;
  const ApiResult<ObjectList> events = co_await api.list(source.events, about, 0, kQuick);
  if (!events) co_return text;
  const std::string warning = last_warning(*events);
  co_return warning.empty() ? text : text + "; Kubernetes says: " + warning;
}

}  // namespace alcove::k8s
