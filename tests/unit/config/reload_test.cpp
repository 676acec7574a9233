#include "config/reload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alcove {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Settings base() {
  Settings out;
  out.listen.push_back({Endpoint(boost::asio::ip::address_v4::loopback(), 8080), TlsFiles{"a.crt", "a.key"}});
  out.identity.emplace_back(DevIdentity{});
  out.apps.emplace_back().name = "demo";
  return out;
}

TEST(Reload, of_the_same_settings_changes_nothing) {
  const ReloadPlan plan = plan_reload(base(), base());
  EXPECT_THAT(plan.applied, IsEmpty());
  EXPECT_THAT(plan.ignored, IsEmpty());
}

TEST(Reload, takes_over_apps_limits_timeouts_identity_and_certificates) {
  Settings next = base();
  next.apps[0].idle_timeout = Millis{1};
  next.apps.emplace_back().name = "second";
  next.limits.holds = 1;
  next.timeouts.connect = Millis{1};
  next.identity.clear();
  next.listen[0].tls->certificate = "b.crt";
  const ReloadPlan plan = plan_reload(base(), next);
  EXPECT_THAT(plan.applied, testing::UnorderedElementsAre("listen.tls", "identity", "limits", "timeouts",
                                                          "apps.demo", "apps.second (new)"));
  EXPECT_THAT(plan.ignored, IsEmpty());
  EXPECT_EQ(plan.settings->listen[0].tls->certificate, "b.crt");
  EXPECT_EQ(plan.settings->limits.holds, 1U);
  EXPECT_EQ(plan.settings->apps.size(), 2U);
}

TEST(Reload, keeps_what_needs_a_restart_and_says_so) {
  Settings next = base();
  next.listen[0].endpoint.port(9);
  next.workers = 7;
  next.store = RedisStoreSettings{};
  next.runtime = StaticRuntimeSettings{};
  next.admin.token = "t";
  next.log.json = true;
  next.log.level = "debug";
  const ReloadPlan plan = plan_reload(base(), next);
  EXPECT_THAT(plan.applied, ElementsAre("log.level"));
  EXPECT_THAT(plan.ignored,
              ElementsAre("listen", "workers", "store", "runtime", "admin", "log.format, log.access"));
  EXPECT_EQ(plan.settings->listen, base().listen);
  EXPECT_EQ(plan.settings->workers, base().workers);
  EXPECT_EQ(plan.settings->admin, base().admin);
  EXPECT_EQ(plan.settings->log.level, "debug");
}

TEST(Reload, names_apps_that_are_gone) {
  Settings next = base();
  next.apps[0].name = "other";
  EXPECT_THAT(plan_reload(base(), next).applied, ElementsAre("apps.other (new)", "apps.demo (removed)"));
}

}  // namespace
}  // namespace alcove
