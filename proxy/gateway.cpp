#include "proxy/gateway.hpp"

#include "base/crypto.hpp"
#include "base/log.hpp"
#include "proxy/client_conn.hpp"
#include "proxy/worker.hpp"

#include <algorithm>
#include <thread>

namespace alcove::proxy {
namespace {

std::vector<ListeningSocket> take_those_of(const Endpoint& endpoint, std::vector<ListeningSocket>& from) {
  std::vector<ListeningSocket> out;
  for (ListeningSocket& socket : from)
    if (socket.fd && socket.endpoint == endpoint) out.push_back(std::move(socket));
  return out;
}

}  // namespace

Gateway::Gateway(SettingsPtr settings, StoreFactory factory, AccessLogWriter* access_log)
    : settings_(std::move(settings)),
      factory_(std::move(factory)),
      access_log_(access_log),
      shared_(std::make_unique<Shared>()) {}

Gateway::~Gateway() {
  stop();
  join();
}

Result<void> Gateway::start() {
  if (auto opened = open({}); !opened) return opened;
  accept();
  return {};
}

Result<void> Gateway::open(std::vector<ListeningSocket> inherited) {
  for (const ListenSettings& listen : settings_->listen) {
    std::shared_ptr<TlsContext> tls;
    if (listen.tls) {
      auto loaded = TlsContext::load(*listen.tls);
      if (!loaded) return loaded.error();
      tls = *loaded;
    }
    tls_.push_back(std::move(tls));
    endpoints_.push_back(listen.endpoint);
  }
  const unsigned count =
      settings_->workers > 0 ? settings_->workers : std::max(1U, std::thread::hardware_concurrency());
  const std::string name = "gateway-" + hex(random_bytes(6));
  for (unsigned number = 0; number < count; ++number)
    workers_.push_back(std::make_unique<Worker>(number, name, settings_, factory_, *shared_, access_log_,
                                                std::make_shared<WorkerMetrics>()));
  for (std::size_t i = 0; i < endpoints_.size(); ++i)
    if (auto listening = listen_at(i, take_those_of(endpoints_[i], inherited)); !listening) return listening;
  for (const auto& worker : workers_) worker->start();
  return {};
}

// One socket a worker, in a group that shares the port. What was inherited is used whole, even if its former
// owner had more workers: clients may wait in any of them.
Result<void> Gateway::listen_at(std::size_t index, std::vector<ListeningSocket> inherited) {
  if (inherited.empty())
    if (auto free = check_free(endpoints_[index]); !free) return free;
  for (std::size_t i = 0; i < inherited.size(); ++i) {
    Worker& worker = *workers_[i % workers_.size()];
    if (auto adopted = worker.adopt(std::move(inherited[i]), tls_[index]); !adopted) return adopted;
  }
  for (std::size_t i = inherited.size(); i < workers_.size(); ++i) {
    auto opened = workers_[i]->listen(endpoints_[index], tls_[index]);
    if (!opened) return opened.error();
    endpoints_[index] = *opened;  // port 0 is chosen once and then shared by all workers
  }
  return {};
}

void Gateway::accept() {
  for (const auto& worker : workers_) worker->accept();
}

void Gateway::reload(SettingsPtr settings) {
  for (std::size_t i = 0; i < tls_.size() && i < settings->listen.size(); ++i) {
    if (tls_[i] == nullptr || !settings->listen[i].tls) continue;
    if (auto loaded = tls_[i]->reload(*settings->listen[i].tls); !loaded)
      spdlog::error("{}; the certificate that was in use stays in use", loaded.error().text);
  }
  settings_ = settings;
  for (const auto& worker : workers_) worker->reload(settings);
}

Result<std::vector<ListeningSocket>> Gateway::listening_sockets() const {
  std::vector<ListeningSocket> out;
  for (const auto& worker : workers_)
    if (auto copied = worker->duplicate(out); !copied) return copied.error();
  return out;
}

void Gateway::drain() {
  for (const auto& worker : workers_) worker->drain(settings_->timeouts.drain_delay);
}

void Gateway::hand_over() {
  for (const auto& worker : workers_) worker->drain(Millis{0});
}

void Gateway::stop() {
  for (const auto& worker : workers_) worker->stop();
}

void Gateway::join() {
  for (const auto& worker : workers_) worker->join();
}

bool Gateway::ready() const {
  for (const auto& worker : workers_)
    if (!worker->ready()) return false;
  return !workers_.empty();
}

std::vector<Endpoint> Gateway::endpoints() const {
  return endpoints_;
}

std::vector<std::shared_ptr<const WorkerMetrics>> Gateway::metrics() const {
  std::vector<std::shared_ptr<const WorkerMetrics>> all;
  for (const auto& worker : workers_) all.push_back(worker->metrics_owner);
  return all;
}

}  // namespace alcove::proxy
