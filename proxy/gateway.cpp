#include "proxy/gateway.hpp"

#include "base/crypto.hpp"
#include "base/log.hpp"
#include "proxy/client_conn.hpp"
#include "proxy/worker.hpp"

#include <thread>

namespace alcove::proxy {

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
  for (const ListenSettings& listen : settings_->listen) {
    std::shared_ptr<TlsContext> tls;
    if (listen.tls) {
      auto loaded = TlsContext::load(*listen.tls);
      if (!loaded) return loaded.error();
      tls = *loaded;
    }
    if (auto free = check_free(listen.endpoint); !free) return free;
    tls_.push_back(std::move(tls));
    endpoints_.push_back(listen.endpoint);
  }
  const unsigned count =
      settings_->workers > 0 ? settings_->workers : std::max(1U, std::thread::hardware_concurrency());
  const std::string name = "gateway-" + hex(random_bytes(6));
  for (unsigned number = 0; number < count; ++number) {
    auto worker = std::make_unique<Worker>(number, name, settings_, factory_, *shared_, access_log_,
                                           std::make_shared<WorkerMetrics>());
    for (std::size_t i = 0; i < settings_->listen.size(); ++i) {
      // Port 0 is chosen once and then shared by all workers.
      ListenSettings listen = settings_->listen[i];
      listen.endpoint = endpoints_[i];
      if (auto opened = worker->listen(i, listen, tls_[i]); !opened) return opened;
      endpoints_[i] = worker->endpoint(i);
    }
    workers_.push_back(std::move(worker));
  }
  for (const auto& worker : workers_) worker->start();
  return {};
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

void Gateway::drain() {
  for (const auto& worker : workers_) worker->drain();
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
