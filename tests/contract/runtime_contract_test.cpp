// What every Runtime must do, whatever it runs its pods on. Each maker has a bench that can make a pod of it
// that is slow, or that never gets ready. The Kubernetes runtime is there when there is a cluster
// (ALCOVE_TEST_KUBECONFIG): ./dev test kubernetes.
#include "local/local_runtime.hpp"
#include "local/static_runtime.hpp"
#include "tests/support/cluster_bench.hpp"
#include "tests/support/local_bench.hpp"

#include <signal.h>

#include <functional>
#include <map>
#include <memory>
#include <set>

namespace alcove {
namespace {

class RuntimeBench {
 public:
  virtual ~RuntimeBench() = default;
  virtual Runtime& runtime() = 0;
  virtual PodSpec good(const std::string& user) = 0;
  virtual PodSpec never_ready(const std::string& user, Millis deadline) = 0;
  virtual bool kill(const Pod& pod) = 0;  // ends it from outside
  virtual asio::io_context& context() = 0;
};

class LocalRuntimeBench final : public RuntimeBench, private test::LocalBench {
 public:
  LocalRuntimeBench() : LocalBench(ALCOVE_TEST_POD) {}
  Runtime& runtime() override { return *LocalBench::runtime; }
  PodSpec good(const std::string& user) override { return spec(user); }
  PodSpec never_ready(const std::string& user, Millis deadline) override {
    PodSpec s = spec_with({"delay=600000"}, user);
    s.app.start_timeout = deadline;
    return s;
  }
  bool kill(const Pod& pod) override {
    const auto record = StateDir::open(directory.path()).value()->read(pod.name);
    return record && ::kill(record->leader.pid, SIGKILL) == 0;
  }
  asio::io_context& context() override { return LocalBench::context; }
};

// Four endpoints that accept and then say nothing: ready without a path, never ready with one.
class StaticRuntimeBench final : public RuntimeBench {
 public:
  StaticRuntimeBench() {
    StaticRuntimeSettings settings;
    for (int i = 0; i < 4; ++i) {
      acceptors_.push_back(
          std::make_unique<Acceptor>(context_.get_executor(), Endpoint(asio::ip::address_v4::loopback(), 0)));
      settings.endpoints.push_back(acceptors_.back()->local_endpoint());
    }
    runtime_ = make_static_runtime(settings, context_.get_executor());
  }
  Runtime& runtime() override { return *runtime_; }
  PodSpec good(const std::string& user) override {
    PodSpec s;
    s.name = {SessionKey("demo", session_name(user).value()), 1};
    s.user = user;
    s.app.name = "demo";
    return s;
  }
  PodSpec never_ready(const std::string& user, Millis deadline) override {
    PodSpec s = good(user);
    s.app.ready_path = "/";
    s.app.start_timeout = deadline;
    return s;
  }
  bool kill(const Pod&) override { return false; }
  asio::io_context& context() override { return context_; }

 private:
  asio::io_context context_{1};
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unique_ptr<Runtime> runtime_;
};

class ClusterRuntimeBench final : public RuntimeBench, private test::ClusterBench {
 public:
  Runtime& runtime() override { return *ClusterBench::runtime; }
  PodSpec good(const std::string& user) override { return spec(user); }
  PodSpec never_ready(const std::string& user, Millis deadline) override {
    PodSpec s = spec(user);
    s.app.kubernetes.args = {"delay=600000"};
    s.app.start_timeout = deadline;
    return s;
  }
  bool kill(const Pod& pod) override { return kill_container(pod.name); }
  asio::io_context& context() override { return ClusterBench::context; }
};

using MakeBench = std::function<std::unique_ptr<RuntimeBench>()>;
struct Maker {
  const char* name;
  MakeBench make;
};

class RuntimeContract : public testing::TestWithParam<Maker> {
 protected:
  std::unique_ptr<RuntimeBench> bench = GetParam().make();
  Runtime& runtime = bench->runtime();
  asio::io_context& context = bench->context();

  Result<Pod> start(PodSpec spec) { return test::run(context, runtime.start(std::move(spec))).value(); }
  Result<void> stop(const PodName& name) {
    return test::run(context, runtime.stop(name, Millis{2'000})).value();
  }
  std::vector<Pod> list() { return test::run(context, runtime.list()).value().value(); }
  void start_aside(PodSpec spec, std::optional<Result<Pod>>& result) {
    launch(context.get_executor(), runtime.start(std::move(spec)),
           [&](const std::exception_ptr&, Result<Pod> pod) { result.emplace(std::move(pod)); });
  }
};

TEST_P(RuntimeContract, started_pod_is_ready_listed_and_answers_at_its_endpoint) {
  const Result<Pod> pod = start(bench->good("ada"));
  ASSERT_TRUE(pod) << pod.error().text;
  EXPECT_TRUE(pod->ready);
  EXPECT_FALSE(pod->uid.empty());
  EXPECT_EQ(pod->user, "ada");
  EXPECT_EQ(pod->app, "demo");
  Socket socket(context.get_executor());
  error_code ec;
  socket.connect(pod->endpoint, ec);
  EXPECT_FALSE(ec) << ec.message();
  const std::vector<Pod> pods = list();
  ASSERT_EQ(pods.size(), 1U);
  EXPECT_EQ(pods.front().uid, pod->uid);
  EXPECT_EQ(pods.front().name, pod->name);
  EXPECT_TRUE(pods.front().ready);
}

TEST_P(RuntimeContract, starting_the_same_again_adopts_it) {
  const Pod first = start(bench->good("ada")).value();
  const Pod again = start(bench->good("ada")).value();
  EXPECT_EQ(again.uid, first.uid);
  EXPECT_EQ(again.endpoint, first.endpoint);
  EXPECT_EQ(list().size(), 1U);
}

TEST_P(RuntimeContract, two_starts_of_the_same_at_once_are_one_pod) {
  std::optional<Result<Pod>> one;
  std::optional<Result<Pod>> two;
  start_aside(bench->good("ada"), one);
  start_aside(bench->good("ada"), two);
  ASSERT_TRUE(test::run_until(context, [&] { return one && two; }));
  ASSERT_TRUE(*one);
  ASSERT_TRUE(*two);
  EXPECT_EQ((*one)->uid, (*two)->uid);
}

TEST_P(RuntimeContract, other_users_and_other_generations_get_other_pods) {
  PodSpec next = bench->good("ada");
  next.name.generation = 2;
  const Pod one = start(bench->good("ada")).value();
  const Pod two = start(bench->good("grace")).value();
  const Pod three = start(std::move(next)).value();
  EXPECT_NE(one.uid, two.uid);
  EXPECT_NE(one.uid, three.uid);
  EXPECT_NE(one.endpoint, two.endpoint);
  EXPECT_NE(one.endpoint, three.endpoint);
}

TEST_P(RuntimeContract, stopped_pod_is_gone_and_stopping_it_again_is_fine) {
  const Pod pod = start(bench->good("ada")).value();
  bool exited = false;
  runtime.on_exit([&](const PodExit&) { exited = true; });
  EXPECT_TRUE(stop(pod.name));
  EXPECT_TRUE(list().empty());
  EXPECT_TRUE(stop(pod.name));
  EXPECT_FALSE(exited) << "a stop is no exit";
}

TEST_P(RuntimeContract, stopping_what_never_was_is_fine) {
  EXPECT_TRUE(stop({SessionKey("demo", "nobody"), 5}));
}

TEST_P(RuntimeContract, uid_is_never_used_again) {
  const Pod first = start(bench->good("ada")).value();
  ASSERT_TRUE(stop(first.name));
  EXPECT_NE(start(bench->good("ada"))->uid, first.uid);
}

TEST_P(RuntimeContract, stop_during_a_start_cancels_it) {
  std::optional<Result<Pod>> result;
  const PodSpec spec = bench->never_ready("ada", Millis{60'000});
  start_aside(spec, result);
  ASSERT_TRUE(test::run_until(context, [&] { return !list().empty(); }));
  const SteadyTime begun = SteadyClock::now();
  ASSERT_TRUE(test::run_until(context, [&] { return SteadyClock::now() - begun > Millis{50}; }));
  EXPECT_FALSE(result);
  EXPECT_TRUE(stop(spec.name));
  ASSERT_TRUE(test::run_until(context, [&] { return result.has_value(); }));
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, Errc::cancelled);
  EXPECT_TRUE(list().empty());
}

TEST_P(RuntimeContract, start_that_misses_its_deadline_fails_with_a_reason_and_leaves_nothing) {
  const Result<Pod> pod = start(bench->never_ready("ada", Millis{400}));
  ASSERT_FALSE(pod);
  EXPECT_EQ(pod.error().code, Errc::failed);
  EXPECT_NE(pod.error().text.find("was not ready within 0.4 s"), std::string::npos) << pod.error().text;
  EXPECT_TRUE(list().empty());
  EXPECT_TRUE(start(bench->good("ada"))) << "the next start of the same name is a fresh one";
}

// For runtimes that watch their pods: what the static one hands out is not its own to watch.
class WatchingRuntimeContract : public RuntimeContract {};

TEST_P(WatchingRuntimeContract, pod_that_ends_by_itself_is_told_once_with_its_uid_and_reason) {
  const Pod pod = start(bench->good("ada")).value();
  std::vector<PodExit> exits;
  runtime.on_exit([&](const PodExit& exit) { exits.push_back(exit); });
  ASSERT_TRUE(bench->kill(pod));
  ASSERT_TRUE(test::run_until(context, [&] { return !exits.empty(); }));
  EXPECT_EQ(exits.front().uid, pod.uid);
  EXPECT_EQ(exits.front().name, pod.name);
  EXPECT_NE(exits.front().reason.find("SIGKILL"), std::string::npos) << exits.front().reason;
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(exits.size(), 1U);
}

TEST_P(RuntimeContract, sees_its_own_pods) {
  const Pod pod = start(bench->good("ada")).value();
  Session session;
  session.key = pod.name.key;
  session.generation = pod.name.generation;
  session.pod_uid = pod.uid;
  session.endpoint = pod.endpoint;
  EXPECT_TRUE(runtime.sees(session));
}

std::vector<Maker> watching_makers() {
  std::vector<Maker> all{{"local", [] { return std::make_unique<LocalRuntimeBench>(); }}};
  if (test::has_cluster())
    all.push_back({"kubernetes", [] { return std::make_unique<ClusterRuntimeBench>(); }});
  return all;
}

std::vector<Maker> all_makers() {
  std::vector<Maker> all = watching_makers();
  all.push_back({"static", [] { return std::make_unique<StaticRuntimeBench>(); }});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, RuntimeContract, testing::ValuesIn(all_makers()),
                         [](const auto& maker) { return std::string(maker.param.name); });
INSTANTIATE_TEST_SUITE_P(All, WatchingRuntimeContract, testing::ValuesIn(watching_makers()),
                         [](const auto& maker) { return std::string(maker.param.name); });

class StaticRuntimeTest : public testing::Test {
 protected:
  void make(bool shared, int count = 2) {
    StaticRuntimeSettings settings;
    settings.shared = shared;
    for (int i = 0; i < count; ++i) {
      acceptors.push_back(
          std::make_unique<Acceptor>(context.get_executor(), Endpoint(asio::ip::address_v4::loopback(), 0)));
      settings.endpoints.push_back(acceptors.back()->local_endpoint());
    }
    runtime = make_static_runtime(settings, context.get_executor());
  }
  Result<Pod> start(const std::string& user, Generation generation = 1) {
    PodSpec spec;
    spec.name = {SessionKey("demo", user), generation};
    spec.user = user;
    spec.app.name = "demo";
    return test::run(context, runtime->start(std::move(spec))).value();
  }

  asio::io_context context{1};
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  std::unique_ptr<Runtime> runtime;
};

TEST_F(StaticRuntimeTest, all_taken_is_said_with_their_number) {
  make(false);
  ASSERT_TRUE(start("ada"));
  ASSERT_TRUE(start("grace"));
  const Result<Pod> third = start("edsger");
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Errc::failed);
  EXPECT_EQ(third.error().text, "all 2 endpoints are taken");
}

TEST_F(StaticRuntimeTest, shared_endpoints_go_to_whoever_has_fewest) {
  make(true);
  std::map<Endpoint, int> uses;
  std::set<std::string> uids;
  for (const char* user : {"a", "b", "c", "d"}) {
    const Pod pod = start(user).value();
    ++uses[pod.endpoint];
    uids.insert(pod.uid);
  }
  EXPECT_EQ(uses.size(), 2U);
  for (const auto& [endpoint, count] : uses) EXPECT_EQ(count, 2);
  EXPECT_EQ(uids.size(), 4U) << "the fence needs a UID for each handing-out";
}

TEST_F(StaticRuntimeTest, endpoint_that_was_just_given_back_waits_longest) {
  make(false, 3);
  const Endpoint first = start("ada")->endpoint;
  runtime->released({SessionKey("demo", "ada"), 1});
  EXPECT_NE(start("b")->endpoint, first);
  EXPECT_NE(start("c")->endpoint, first);
  EXPECT_EQ(start("d")->endpoint, first);
}

TEST_F(StaticRuntimeTest, what_a_reaper_elsewhere_has_ended_is_free_again) {
  make(false, 1);
  ASSERT_TRUE(start("ada", 3));
  runtime->released({SessionKey("demo", "ada"), 2});
  EXPECT_FALSE(start("grace")) << "that was about an older one";
  runtime->released({SessionKey("demo", "ada"), 3});
  EXPECT_TRUE(start("grace"));
}

TEST_F(StaticRuntimeTest, what_the_store_holds_is_not_handed_out_after_a_restart) {
  make(false, 2);
  Session held;
  held.key = SessionKey("demo", "ada");
  held.generation = 4;
  held.pod_uid = "static-old";
  held.endpoint = acceptors.front()->local_endpoint();
  runtime->adopted(held);
  runtime->adopted(held);
  EXPECT_EQ(start("grace")->endpoint, acceptors.back()->local_endpoint());
  EXPECT_FALSE(start("edsger"));
  const std::vector<Pod> pods = test::run(context, runtime->list()).value().value();
  EXPECT_EQ(pods.size(), 2U);
}

TEST_F(StaticRuntimeTest, endpoint_that_does_not_answer_is_named) {
  make(false, 1);
  const std::string text = to_string(acceptors.front()->local_endpoint());
  acceptors.clear();
  PodSpec spec;
  spec.name = {SessionKey("demo", "ada"), 1};
  spec.app.start_timeout = Millis{100};
  const Result<Pod> pod = test::run(context, runtime->start(std::move(spec))).value();
  ASSERT_FALSE(pod);
  EXPECT_NE(pod.error().text.find("endpoint " + text + " was not ready"), std::string::npos)
      << pod.error().text;
}

}  // namespace
}  // namespace alcove
