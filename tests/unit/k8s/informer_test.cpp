// An informer against the stand-in: it is told everything once, whatever happens to its watch.
#include "k8s/informer.hpp"

#include "base/log.hpp"
#include "tests/support/api_stand_in.hpp"
#include "tests/support/run_awaitable.hpp"

#include <map>

namespace alcove::k8s {
namespace {

using test::ApiStandIn;

const std::string kMaps = collection("configmaps", "test");
const test::ApiCollection kIn{"configmaps", "test"};

std::string config_map(const std::string& name, const std::string& label = "a") {
  return Json{{"apiVersion", "v1"},
              {"kind", "ConfigMap"},
              {"metadata", {{"name", name}, {"labels", {{"who", label}}}}}}
      .dump();
}

class InformerTest : public testing::Test, public InformerSink {
 protected:
  InformerTest() { spdlog::set_level(spdlog::level::off); }
  ~InformerTest() override {
    if (!informer) return;
    informer->stop();
    EXPECT_TRUE(test::run_until(context, [&] { return ended; }));
  }
  void start(Millis watch_least = Millis{60'000}) {
    Informer::Limits limits;
    limits.page = 2;
    limits.watch_least = watch_least;
    limits.retry_first = Millis{10};
    limits.retry_most = Millis{50};
    Selection selection;
    selection.labels = "who=a";
    informer =
        std::make_unique<Informer>(context.get_executor(), client, kMaps, selection, *this, metrics, limits);
    launch(context, informer->run(), [this](const std::exception_ptr& thrown) {
      EXPECT_FALSE(thrown);
      ended = true;
    });
  }
  // Until what the informer told is what there is.
  bool caught_up() {
    return test::run_until(context, [&] {
      if (!informer->in_step() || seen.size() != count_here()) return false;
      for (const auto& [name, version] : seen) {
        const auto object = api.objects().find(kIn, name);
        if (!object || text_at(*object, {"metadata", "resourceVersion"}) != version) return false;
      }
      return true;
    });
  }
  std::size_t count_here() {
    const test::ApiAnswer all = api.objects().list(kIn, {{"labelSelector", "who=a"}});
    return all.body.at("items").size();
  }
  void create(const std::string& name, const std::string& label = "a") {
    ASSERT_EQ(api.objects().create(kIn, config_map(name, label)).status, 201);
  }
  void change(const std::string& name) {
    static int count = 0;
    const Json patch{{"data", {{"n", std::to_string(++count)}}}};
    ASSERT_EQ(api.objects().patch(kIn, name, "application/merge-patch+json", patch.dump()).status, 200);
  }

  void on_list(ObjectList all) override {
    ++lists;
    seen.clear();
    for (const Object& object : all.items) seen[object.name()] = object.version();
  }
  void on_change(const WatchEvent& event) override {
    ++changes;
    if (event.change == Change::deleted)
      seen.erase(event.object.name());
    else
      seen[event.object.name()] = event.object.version();
  }

  ApiStandIn api;
  asio::io_context context{1};
  std::shared_ptr<ApiMetrics> metrics = std::make_shared<ApiMetrics>();
  ApiClient client{context.get_executor(), api.access(), metrics};
  std::unique_ptr<Informer> informer;
  std::map<std::string, std::string> seen;
  int lists = 0;
  int changes = 0;
  bool ended = false;
};

TEST_F(InformerTest, lists_page_by_page_then_watches) {
  for (int i = 0; i < 5; ++i) create("m" + std::to_string(i));
  create("other", "b");
  start();
  ASSERT_TRUE(caught_up());
  EXPECT_EQ(seen.size(), 5U);
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  EXPECT_EQ(api.count("GET"), 4U) << "three pages and a watch";
  create("later");
  create("not-ours", "b");
  change("m0");
  api.objects().remove(kIn, "m1", "");
  ASSERT_TRUE(caught_up());
  EXPECT_EQ(changes, 3);
  EXPECT_EQ(lists, 1);
}

TEST_F(InformerTest, resumes_a_watch_that_breaks_off_without_listing_again) {
  create("a");
  start();
  ASSERT_TRUE(caught_up());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
    if (i % 2 == 0)
      api.cut_watches();
    else
      api.end_watches();
    create("n" + std::to_string(i));
    change("a");
    ASSERT_TRUE(caught_up()) << i;
  }
  EXPECT_EQ(lists, 1);
}

TEST_F(InformerTest, resumes_from_a_bookmark_that_is_newer_than_its_last_event) {
  create("a");
  start();
  ASSERT_TRUE(caught_up());
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  for (int i = 0; i < 5; ++i) create("foreign" + std::to_string(i), "b");  // moves the version on, unseen
  api.end_watches();
  ASSERT_TRUE(test::run_until(context, [&] {
    return api.requests().back().query.at("resourceVersion") == std::to_string(api.objects().version());
  }));
  EXPECT_EQ(lists, 1);
}

TEST_F(InformerTest, lists_anew_when_its_version_is_too_old) {
  create("a");
  create("b");
  start();
  ASSERT_TRUE(caught_up());
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  api.hang(true);
  api.cut_watches();
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 0; }));
  api.objects().remove(kIn, "a", "");
  create("c");
  api.objects().compact();
  api.hang(false);
  ASSERT_TRUE(caught_up());
  EXPECT_EQ(lists, 2);
  EXPECT_FALSE(seen.contains("a")) << "what was deleted unseen is not there any more";
}

TEST_F(InformerTest, begins_when_the_api_comes_up_late) {
  api.fail_next(5, {});
  start();
  EXPECT_FALSE(test::run(context, informer->wait_in_step(SteadyClock::now() + Millis{5})).value());
  EXPECT_TRUE(test::run(context, informer->wait_in_step(SteadyClock::now() + Millis{10'000})).value());
  create("a");
  ASSERT_TRUE(caught_up());
}

TEST_F(InformerTest, does_not_hurry_when_the_api_refuses_it) {
  api.set_token("another");
  start();
  ASSERT_TRUE(test::run_until(context, [&] { return api.count("GET") >= 5; }));
  EXPECT_FALSE(informer->in_step());
  EXPECT_NE(informer->trouble(), "");
  api.set_token("let-me-in");
  ASSERT_TRUE(caught_up());
  EXPECT_EQ(informer->trouble(), "");
}

}  // namespace
}  // namespace alcove::k8s
