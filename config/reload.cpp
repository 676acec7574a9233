#include "config/reload.hpp"

#include <algorithm>

namespace alcove {
namespace {

// Addresses are bound for life; the certificates on them are not.
void plan_listen(const Settings& running, Settings& next, ReloadPlan& plan) {
  const bool same_shape =
      std::equal(running.listen.begin(), running.listen.end(), next.listen.begin(), next.listen.end(),
                 [](const ListenSettings& a, const ListenSettings& b) {
                   return a.endpoint == b.endpoint && a.tls.has_value() == b.tls.has_value();
                 });
  if (!same_shape) {
    next.listen = running.listen;
    plan.ignored.emplace_back("listen");
  } else if (next.listen != running.listen) {
    plan.applied.emplace_back("listen.tls");
  }
}

void plan_apps(const Settings& running, const Settings& next, ReloadPlan& plan) {
  for (const AppSettings& app : next.apps) {
    const AppSettings* before = running.find_app(app.name);
    if (before == nullptr)
      plan.applied.push_back("apps." + app.name + " (new)");
    else if (*before != app)
      plan.applied.push_back("apps." + app.name);
  }
  for (const AppSettings& app : running.apps)
    if (next.find_app(app.name) == nullptr) plan.applied.push_back("apps." + app.name + " (removed)");
}

}  // namespace

ReloadPlan plan_reload(const Settings& running, const Settings& next) {
  ReloadPlan plan;
  auto merged = std::make_shared<Settings>(next);
  const auto fixed = [&](const char* key, auto member) {
    if ((*merged).*member == running.*member) return;
    (*merged).*member = running.*member;
    plan.ignored.emplace_back(key);
  };
  const auto free = [&](const char* key, auto member) {
    if ((*merged).*member != running.*member) plan.applied.emplace_back(key);
  };
  plan_listen(running, *merged, plan);
  fixed("takeover", &Settings::takeover);
  fixed("workers", &Settings::workers);
  free("domains", &Settings::domains);
  free("identity", &Settings::identity);
  free("trusted_proxies", &Settings::trusted_proxies);
  fixed("store", &Settings::store);
  fixed("runtime", &Settings::runtime);
  free("provisioner", &Settings::provisioner);
  free("reaper", &Settings::reaper);
  free("limits", &Settings::limits);
  free("timeouts", &Settings::timeouts);
  free("outage", &Settings::outage);
  free("activity_interval", &Settings::activity_interval);
  fixed("admin", &Settings::admin);
  if (merged->log.json != running.log.json || merged->log.access != running.log.access) {
    merged->log.json = running.log.json;
    merged->log.access = running.log.access;
    plan.ignored.emplace_back("log.format, log.access");
  }
  if (merged->log.level != running.log.level) plan.applied.emplace_back("log.level");
  plan_apps(running, *merged, plan);
  plan.settings = std::move(merged);
  return plan;
}

}  // namespace alcove
