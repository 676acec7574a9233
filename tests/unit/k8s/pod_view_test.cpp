// What is read from a Pod's status: statuses as kubelet and scheduler write them, shortened.
#include "k8s/pod_view.hpp"

#include "k8s/pod_manifest.hpp"
#include "k8s/pod_name.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alcove::k8s {
namespace {

using testing::HasSubstr;

Object pod_with(const char* status, const char* restart = "Never") {
  PodSpec spec;
  spec.name = {SessionKey("demo", "ada"), 2};
  spec.user = "ada";
  spec.app.name = "demo";
  spec.app.kubernetes.image = "x:1";
  Object pod{plan_pod(spec, "alcove")->pod};
  pod.json["metadata"]["uid"] = "u-1";
  pod.json["spec"]["restartPolicy"] = restart;
  pod.json["status"] = Json::parse(status);
  return pod;
}

PodView view(const char* status, const char* restart = "Never") {
  return view_of(pod_with(status, restart), "alcove").value();
}

std::string waiting(const std::string& reason, const std::string& message = "") {
  return R"({"phase": "Pending", "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": ")" +
         reason + R"(", "message": ")" + message + R"("}}}]})";
}

constexpr const char* kReady = R"({"phase": "Running", "podIP": "10.1.2.3",
  "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
  "containerStatuses": [{"name": "app", "ready": true, "state": {"running": {}}}]})";

TEST(PodView, of_a_ready_pod_has_its_endpoint) {
  const PodView ready = view(kReady);
  EXPECT_TRUE(ready.pod.ready);
  EXPECT_EQ(to_string(ready.pod.endpoint), "10.1.2.3:8080");
  EXPECT_EQ(ready.pod.uid, "u-1");
  EXPECT_EQ(ready.pod.app, "demo");
  EXPECT_EQ(ready.pod.user, "ada");
  EXPECT_EQ(ready.pod.name.generation, 2U);
  EXPECT_TRUE(ready.running);
  EXPECT_FALSE(ready.ended);
  EXPECT_EQ(ready.trouble, "");
}

TEST(PodView, is_not_ready_without_an_address_or_with_the_condition_false) {
  EXPECT_FALSE(
      view(R"({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})").pod.ready);
  EXPECT_FALSE(view(R"({"phase": "Running", "podIP": "10.1.2.3",
                        "conditions": [{"type": "Ready", "status": "False"}]})")
                   .pod.ready);
  Object foreign = pod_with(kReady);
  foreign.json["metadata"]["labels"]["alcove/instance"] = "other";
  EXPECT_FALSE(view_of(foreign, "alcove"));
  foreign.json["metadata"].erase("labels");
  EXPECT_FALSE(view_of(foreign, "alcove"));
}

TEST(PodView, says_what_the_scheduler_says) {
  const PodView pending =
      view(R"({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
    "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}]})");
  EXPECT_FALSE(pending.scheduled);
  EXPECT_EQ(pending.trouble, "no node takes it: 0/3 nodes are available: 3 Insufficient cpu.");
  EXPECT_FALSE(pending.hopeless) << "a node may come";
}

TEST(PodView, has_no_hope_for_an_image_or_a_configuration_that_is_wrong) {
  for (const char* reason : {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
                             "CreateContainerConfigError"}) {
    const PodView stuck = view(waiting(reason, "what kubelet says").c_str());
    EXPECT_TRUE(stuck.hopeless) << reason;
    EXPECT_EQ(stuck.trouble, std::string(reason) + ": what kubelet says");
    EXPECT_FALSE(stuck.has_log);
  }
  for (const char* reason : {"ContainerCreating", "PodInitializing"}) {
    const PodView usual = view(waiting(reason).c_str());
    EXPECT_FALSE(usual.hopeless);
    EXPECT_EQ(usual.trouble, "");
  }
}

TEST(PodView, tells_how_the_container_ended) {
  const auto end = [](const std::string& terminated) {
    const std::string status =
        R"({"phase": "Failed", "containerStatuses": [{"name": "app", "state": {"terminated": )" + terminated +
        "}}]}";
    const PodView ended = view(status.c_str());
    EXPECT_TRUE(ended.ended);
    EXPECT_FALSE(ended.pod.ready);
    return ended.end;
  };
  EXPECT_EQ(end(R"({"exitCode": 3, "reason": "Error"})"), "exited with code 3");
  EXPECT_EQ(end(R"({"exitCode": 0, "reason": "Completed"})"), "exited with code 0");
  EXPECT_EQ(end(R"({"exitCode": 137, "reason": "Error"})"), "was killed by SIGKILL (exit code 137)");
  EXPECT_EQ(end(R"({"exitCode": 143})"), "was killed by SIGTERM (exit code 143)");
  EXPECT_EQ(end(R"({"exitCode": 137, "reason": "OOMKilled"})"),
            "was killed for using more memory than its limit (OOMKilled, exit code 137)");
  EXPECT_EQ(end(R"({"exitCode": 128, "reason": "StartError", "message": "exec: \"/nope\": no such file"})"),
            "could not be run: exec: \"/nope\": no such file");
}

TEST(PodView, app_that_ended_is_the_end_even_if_a_helper_goes_on) {
  const PodView ended = view(R"({"phase": "Running", "podIP": "10.1.2.3",
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [{"name": "helper", "state": {"running": {}}},
                          {"name": "app", "state": {"terminated": {"exitCode": 1}}}]})");
  EXPECT_TRUE(ended.ended);
  EXPECT_FALSE(ended.pod.ready);
}

TEST(PodView, eviction_and_refusal_by_the_node_are_told_in_their_words) {
  const PodView evicted = view(R"({"phase": "Failed", "reason": "Evicted",
    "message": "The node was low on resource: memory."})");
  EXPECT_TRUE(evicted.ended);
  EXPECT_EQ(evicted.end, "was ended by Kubernetes: Evicted: The node was low on resource: memory.");
}

TEST(PodView, crash_loop_speaks_of_the_run_before) {
  const PodView loop = view(R"({"phase": "Running", "containerStatuses": [{"name": "app",
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}},
    "lastState": {"terminated": {"exitCode": 7}}}]})",
                            "Always");
  EXPECT_TRUE(loop.hopeless);
  EXPECT_FALSE(loop.ended);
  EXPECT_TRUE(loop.log_of_previous);
  EXPECT_EQ(loop.trouble, "its container exited with code 7 again and again (CrashLoopBackOff)");
  const PodView once = view(R"({"phase": "Running", "containerStatuses": [{"name": "app",
    "state": {"terminated": {"exitCode": 7}}}]})",
                            "Always");
  EXPECT_FALSE(once.ended) << "it will be started again";
  EXPECT_EQ(once.trouble, "its container exited with code 7");
}

TEST(PodView, init_container_that_fails_is_named) {
  const PodView stuck = view(R"({"phase": "Pending", "initContainerStatuses": [{"name": "setup",
    "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}],
    "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "PodInitializing"}}}]})");
  EXPECT_TRUE(stuck.hopeless);
  EXPECT_EQ(stuck.trouble, "its init container setup: ErrImagePull: not found");
  const PodView failed = view(R"({"phase": "Failed", "initContainerStatuses": [{"name": "setup",
    "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}]})");
  EXPECT_TRUE(failed.ended);
  EXPECT_EQ(failed.end, "ended: its init container setup exited with code 2");
}

TEST(PodView, messages_are_shown_safely) {
  const PodView stuck = view(waiting("ErrImagePull", "a\\u001b[31mb").c_str());
  EXPECT_EQ(stuck.trouble, "ErrImagePull: a\\x1b[31mb");
}

TEST(PodView, being_deleted_is_seen) {
  Object pod = pod_with(kReady);
  EXPECT_FALSE(view_of(pod, "alcove")->deleting);
  pod.json["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_TRUE(view_of(pod, "alcove")->deleting);
}

}  // namespace
}  // namespace alcove::k8s
