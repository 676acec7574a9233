#include "alcove/app.hpp"

#include "alcove/greeting.hpp"
#include "alcove/process_metrics.hpp"
#include "base/log.hpp"
#include "config/reload.hpp"

#include <boost/asio/post.hpp>

#include <signal.h>
#include <unistd.h>

#include <cstdio>

namespace alcove {
namespace {

constexpr Millis kLookEvery{20};
constexpr Millis kTellAfter{5'000};

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

}  // namespace

App::App(SettingsPtr settings, Roles roles, Reconfigure reconfigure, bool take_over)
    : signals_(io_.get_executor()),
      settings_(std::move(settings)),
      roles_(roles),
      reconfigure_(std::move(reconfigure)),
      take_over_(take_over),
      stores_(settings_->store) {}

App::~App() = default;

AdminServer::Parts App::admin_parts() {
  AdminServer::Parts parts;
  parts.settings = settings_;
  parts.logs = control_.get();
  parts.count_sessions = roles_.provisioner;
  parts.checks.push_back({"process", [this]() -> std::optional<std::string> {
                            if (ending_) return "shutting down";
                            if (!started_) return "starting";
                            return std::nullopt;
                          }});
  parts.metrics.push_back(collect_process());
  if (control_) {
    parts.checks.push_back({"control", [control = control_.get()]() -> std::optional<std::string> {
                              if (control->connected()) return std::nullopt;
                              return "not connected to the store";
                            }});
    parts.metrics.push_back(collect_lifecycle(control_->metrics()));
    if (std::holds_alternative<KubernetesRuntimeSettings>(settings_->runtime))
      parts.metrics.push_back(k8s::collect_api(control_->api_metrics()));
  }
  if (gateway_) {
    parts.checks.push_back({"gateway", [gateway = gateway_.get()]() -> std::optional<std::string> {
                              if (gateway->ready()) return std::nullopt;
                              return "not accepting, or not connected to the store";
                            }});
    parts.metrics.push_back(proxy::collect_workers(gateway_->metrics()));
  }
  return parts;
}

Result<void> App::begin() {
  Inheritance inheritance;
  if (take_over_) {
    if (auto inherited = inherit(); !inherited) return inherited;
    if (successor_) inheritance = std::move(successor_->inheritance);
  }
  // What can be in use by others comes first, so that a second start by mistake touches nothing.
  if (roles_.gateway)
    if (auto opened = begin_gateway(std::move(inheritance.gateway)); !opened) return opened;
  if (roles_.runs_control()) control_ = std::make_unique<Control>(settings_, roles_, stores_);
  admin_ = std::make_unique<Admin>(admin_parts(), stores_);
  ListeningSocket for_admin;
  if (!inheritance.admin.empty()) for_admin = std::move(inheritance.admin.front());
  if (auto bound = admin_->bind(std::move(for_admin)); !bound) return bound;
  if (control_)
    if (auto started = control_->start(); !started) return started;
  if (successor_)
    launch(io_, succeed());
  else
    accept();
  return {};
}

Result<void> App::begin_gateway(std::vector<ListeningSocket> inherited) {
  if (settings_->log.access) {
    using Format = proxy::AccessLogWriter::Format;
    access_log_ = std::make_unique<proxy::AccessLogWriter>(settings_->log.json ? Format::json : Format::human,
                                                           STDOUT_FILENO);
  }
  gateway_ = std::make_unique<proxy::Gateway>(
      settings_, [this](asio::io_context& io) { return stores_.make(io); }, access_log_.get());
  if (auto opened = gateway_->open(std::move(inherited)); !opened) {
    Error error = opened.error();
    if (!settings_->takeover.empty() && !take_over_)
      error.text += "; to replace a gateway that runs, start this one with --take-over";
    return error;
  }
  // What also runs pods does not end because another gateway has come.
  if (settings_->takeover.empty() || roles_.runs_control()) return {};
  const auto copy = [this]() -> Result<Inheritance> {
    if (ending_) return Error{Errc::unavailable, "this process is ending"};
    Inheritance out;
    auto sockets = gateway_->listening_sockets();
    if (!sockets) return sockets.error();
    out.gateway = std::move(*sockets);
    auto admin = admin_->duplicate();
    if (!admin) return admin.error();
    out.admin.push_back(std::move(*admin));
    return out;
  };
  for_successor_ = std::make_unique<Predecessor>(io_.get_executor(), copy, [this] { taken_over(); });
  return for_successor_->open(settings_->takeover);
}

Result<void> App::inherit() {
  auto connected = Successor::connect(settings_->takeover);
  if (connected) {
    successor_ = std::move(*connected);
    return {};
  }
  if (connected.error().code != Errc::not_found) return connected.error();
  spdlog::info("{}: nobody to take over from, starting afresh", connected.error().text);
  return {};
}

void App::accept() {
  if (gateway_) gateway_->accept();
  admin_->start();
  started_ = true;
  if (!for_successor_) return;
  if (auto published = for_successor_->publish(); !published) spdlog::error("{}", published.error().text);
}

// The predecessor serves until we can: a configuration or a store that does not work takes nothing down.
Awaitable<void> App::succeed() {
  Timer timer(io_.get_executor());
  const SteadyTime began = SteadyClock::now();
  bool told = false;
  while (!ending_ && !gateway_->ready() && !successor_->predecessor_gone()) {
    if (!told && SteadyClock::now() - began > kTellAfter) {
      spdlog::warn("takeover: not ready yet ({} cannot be reached?); the other process goes on until we are",
                   stores_.where());
      told = true;
    }
    timer.expires_after(kLookEvery);
    co_await timer.async_wait(kTuple);
  }
  if (ending_) co_return;
  accept();
  successor_->say_accepting();
  successor_.reset();
  spdlog::info("takeover: accepting in place of the other process");
}

void App::taken_over() {
  if (ending_.exchange(true)) return;
  spdlog::info("takeover: another process accepts now; ending in order");
  admin_->stop_accepting();
  launch(io_, end(true));
}

int App::run() {
  // A reader of our output that goes away must not take us with it.
  ::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) signals_.add(number);
  Result<void> begun;
  try {
    begun = begin();
  } catch (const std::exception& error) {
    begun = Error{Errc::internal, error.what()};
  }
  if (!begun) {
    spdlog::error("{}", begun.error().text);
    return 1;
  }
  greet();
  launch(io_, signals());
  io_.run();
  spdlog::info("ended");
  return 0;
}

void App::greet() const {
  const std::vector<Endpoint> listening = gateway_ ? gateway_->endpoints() : std::vector<Endpoint>{};
  for (std::size_t i = 0; i < listening.size(); ++i)
    spdlog::info("gateway: listening on {}{}", to_string(listening[i]),
                 settings_->listen[i].tls ? " (TLS)" : "");
  spdlog::info("admin: listening on {}; store: {}", to_string(admin_->endpoint()), stores_.where());
  if (settings_->log.json || !roles_.all()) return;
  std::fputs(greeting(*settings_, listening, admin_->endpoint()).c_str(), stdout);
  std::fflush(stdout);
}

Awaitable<void> App::signals() {
  while (true) {
    auto [ec, number] = co_await signals_.async_wait(kTuple);
    if (ec) co_return;
    if (number == SIGHUP) {
      if (!ending_) reload();
      continue;
    }
    if (signalled_) {
      spdlog::warn("a second signal: ending at once");
      ::_exit(128 + number);
    }
    signalled_ = true;
    spdlog::info("{}: ending in order; a second signal ends at once",
                 number == SIGINT ? "SIGINT" : "SIGTERM");
    if (ending_.exchange(true)) continue;  // a successor has taken over before
    launch(io_, end(false));
  }
}

Awaitable<void> App::end(bool handed_over) {
  if (for_successor_) for_successor_->close();
  // Joining blocks, and the next signal must still be heard: it is done on the side.
  Event done(io_.get_executor());
  bool gateway_ended = gateway_ == nullptr;
  std::thread joiner;
  if (gateway_) {
    if (handed_over)
      gateway_->hand_over();
    else
      gateway_->drain();
    joiner = std::thread([this, &done, &gateway_ended] {
      gateway_->join();
      asio::post(io_, [&done, &gateway_ended] {
        gateway_ended = true;
        done.notify();
      });
    });
  }
  while (!gateway_ended) co_await done.wait();
  if (joiner.joinable()) joiner.join();

  bool control_ended = control_ == nullptr;
  if (control_) {
    control_->stop([this, &done, &control_ended] {
      asio::post(io_, [&done, &control_ended] {
        control_ended = true;
        done.notify();
      });
    });
  }
  while (!control_ended) co_await done.wait();
  admin_->stop();
  if (control_) control_->join();
  signals_.cancel();
}

void App::reload() {
  Configuration next = reconfigure_();
  for (const std::string& fault : next.faults) spdlog::error("reload: {}", fault);
  if (!next.settings) {
    spdlog::error("reload: nothing was changed");
    return;
  }
  for (const std::string& warning : next.warnings) spdlog::warn("reload: {}", warning);
  const ReloadPlan plan = plan_reload(*settings_, *next.settings);
  settings_ = plan.settings;
  spdlog::default_logger()->set_level(spdlog::level::from_str(settings_->log.level));
  if (gateway_) gateway_->reload(settings_);
  if (control_) control_->reload(settings_);
  admin_->reload(settings_);
  spdlog::info("reload: {}",
               plan.applied.empty() ? "nothing has changed" : "changed: " + joined(plan.applied));
  if (!plan.ignored.empty())
    spdlog::warn("reload: needs a restart, ignored until then: {}", joined(plan.ignored));
}

}  // namespace alcove
