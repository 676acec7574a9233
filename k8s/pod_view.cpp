#include "k8s/pod_view.hpp"

#include "base/text.hpp"
#include "k8s/pod_manifest.hpp"
#include "k8s/pod_name.hpp"

#include <fmt/format.h>

#include <string.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace alcove::k8s {
namespace {

constexpr std::size_t kMostWords = 600;  // of a message of Kubernetes

// Waiting reasons after which kubelet may try again, but with the same result: the image, the configuration
// or the program itself is wrong.
constexpr std::array<std::string_view, 9> kHopeless{
    "ErrImagePull",      "ImagePullBackOff",           "ErrImageNeverPull",
    "InvalidImageName",  "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError", "CrashLoopBackOff",           "ImageInspectError"};

const Json* condition(const Json& pod, std::string_view type) {
  for (const Json& one : list_at(pod, {"status", "conditions"}))
    if (text_at(one, {"type"}) == type) return &one;
  return nullptr;
}

bool is_true(const Json* condition) {
  return condition != nullptr && text_at(*condition, {"status"}) == "True";
}

const Json* app_status(const Json& pod, std::string_view list) {
  for (const Json& one : list_at(pod, {"status", list}))
    if (text_at(one, {"name"}) == kAppContainer) return &one;
  return nullptr;
}

std::string words(const std::string& text) {
  return printable(text, kMostWords);
}

std::string reason_and_message(const Json& from) {
  std::string reason = text_at(from, {"reason"});
  std::string message = words(text_at(from, {"message"}));
  if (message.empty()) return reason;
  return reason.empty() ? message : fmt::format("{}: {}", reason, message);
}

std::string end_of(const Json& terminated) {
  const std::string reason = text_at(terminated, {"reason"});
  const std::int64_t code = number_at(terminated, {"exitCode"});
  if (reason == "OOMKilled")
    return fmt::format("was killed for using more memory than its limit (OOMKilled, exit code {})", code);
  // The program could not even be run; the message says why.
  if (reason == "StartError" || reason == "ContainerCannotRun")
    return fmt::format("could not be run: {}", words(text_at(terminated, {"message"})));
  return end_text(code);
}

void see_waiting(const Json& waiting, const Json& status, PodView& view) {
  const std::string reason = text_at(waiting, {"reason"});
  if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") return;
  view.trouble = reason_and_message(waiting);
  view.hopeless = std::find(kHopeless.begin(), kHopeless.end(), reason) != kHopeless.end();
  if (reason != "CrashLoopBackOff") return;
  if (const Json* last = find(status, {"lastState", "terminated"}))
    view.trouble = fmt::format("its container {} again and again (CrashLoopBackOff)", end_of(*last));
  view.has_log = view.log_of_previous = true;
}

void see_container(const Json& status, bool restarts, PodView& view) {
  if (find(status, {"state", "running"}) != nullptr) view.running = view.has_log = true;
  if (const Json* waiting = find(status, {"state", "waiting"})) see_waiting(*waiting, status, view);
  const Json* terminated = find(status, {"state", "terminated"});
  if (terminated == nullptr) return;
  view.has_log = text_at(*terminated, {"reason"}) != "StartError";
  if (restarts) {
    view.trouble = fmt::format("its container {}", end_of(*terminated));
    return;
  }
  view.ended = true;
  view.end = end_of(*terminated);
}

// An init container of the overlay's that does not do well keeps the app from being started.
void see_init(const Json& pod, PodView& view) {
  for (const Json& one : list_at(pod, {"status", "initContainerStatuses"})) {
    const std::string name = text_at(one, {"name"});
    if (const Json* waiting = find(one, {"state", "waiting"})) {
      const std::string reason = text_at(*waiting, {"reason"});
      if (std::find(kHopeless.begin(), kHopeless.end(), reason) == kHopeless.end()) continue;
      view.trouble = fmt::format("its init container {}: {}", name, reason_and_message(*waiting));
      view.hopeless = true;
    } else if (const Json* terminated = find(one, {"state", "terminated"});
               terminated != nullptr && number_at(*terminated, {"exitCode"}) != 0) {
      view.trouble = fmt::format("its init container {} {}", name, end_of(*terminated));
    }
  }
}

Endpoint endpoint_of(const Object& pod) {
  const std::string text = pod.annotation(annotation::kPort);
  std::uint16_t port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  error_code ec;
  const auto address = asio::ip::make_address(text_at(pod.json, {"status", "podIP"}), ec);
  return ec ? Endpoint{} : Endpoint{address, port};
}

}  // namespace

std::string end_text(std::int64_t exit_code) {
  // 128 + a signal, as the container runtimes and the shells have it.
  const int number = static_cast<int>(exit_code) - 128;
  const char* name = number > 0 ? ::sigabbrev_np(number) : nullptr;
  if (name != nullptr) return fmt::format("was killed by SIG{} (exit code {})", name, exit_code);
  return fmt::format("exited with code {}", exit_code);
}

std::optional<PodView> view_of(const Object& pod, std::string_view instance) {
  const std::optional<PodName> name = pod_name_of(pod, instance);
  if (!name) return std::nullopt;
  PodView view;
  view.pod.name = *name;
  view.pod.app = pod.label(label::kApp);
  view.pod.user = pod.annotation(annotation::kUser);
  view.pod.uid = pod.uid();
  view.pod.endpoint = endpoint_of(pod);
  view.object = pod.name();
  view.node = text_at(pod.json, {"spec", "nodeName"});
  view.deleting = pod.deleting();

  const Json* scheduled = condition(pod.json, "PodScheduled");
  view.scheduled = !view.node.empty() || is_true(scheduled);
  if (!view.scheduled && scheduled != nullptr && !text_at(*scheduled, {"message"}).empty())
    view.trouble = fmt::format("no node takes it: {}", words(text_at(*scheduled, {"message"})));

  const bool restarts = text_at(pod.json, {"spec", "restartPolicy"}) != "Never";
  see_init(pod.json, view);
  if (const Json* status = app_status(pod.json, "containerStatuses")) see_container(*status, restarts, view);

  const std::string phase = text_at(pod.json, {"status", "phase"});
  if (phase == "Failed" || phase == "Succeeded") {
    view.ended = true;
    // The pod as a whole was ended: evicted by kubelet, refused by its node, preempted.
    const std::string why = reason_and_message(pod.json.at("status"));
    if (!why.empty())
      view.end = fmt::format("was ended by Kubernetes: {}", why);
    else if (view.end.empty() && !view.trouble.empty())
      view.end = fmt::format("ended: {}", view.trouble);
    else if (view.end.empty())
      view.end = "ended";
  }
  view.pod.ready = is_true(condition(pod.json, "Ready")) && view.pod.endpoint.port() != 0 &&
                   !view.pod.endpoint.address().is_unspecified() && !view.ended;
  return view;
}

}  // namespace alcove::k8s
