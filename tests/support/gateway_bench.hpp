// A gateway in this process on a free port, its memory store, and a listener that plays the pod, so that a
// test holds both ends of the wire. One worker, short time limits. The session demo/ada can be made ready at
// once.
#pragma once

#include "proxy/gateway.hpp"
#include "store/memory_store.hpp"
#include "tests/support/raw_socket.hpp"

#include <functional>
#include <memory>
#include <string>

namespace alcove::test {

class GatewayBench {
 public:
  explicit GatewayBench(const std::function<void(Settings&)>& change = {}) {
    Settings settings;
    settings.workers = 1;
    settings.listen.push_back({parse_endpoint("127.0.0.1:0").value(), std::nullopt});
    TrustedHeaderIdentity trusted;
    trusted.from.push_back(Cidr::parse("127.0.0.0/8").value());
    settings.identity.emplace_back(trusted);
    settings.activity_interval = Millis{50};
    settings.timeouts.linger = Millis{500};
    settings.timeouts.drain = Millis{2'000};
    settings.log.access = false;
    AppSettings app;
    app.name = "demo";
    app.hold_timeout = Millis{5'000};
    settings.apps.push_back(app);
    if (change) change(settings);
    backend = std::make_shared<MemoryBackend>();
    const auto factory = [this](asio::io_context& io) {
      return make_memory_store(backend, io.get_executor());
    };
    gateway = std::make_unique<proxy::Gateway>(std::make_shared<const Settings>(settings), factory, nullptr);
    gateway->start().value();
  }

  std::uint16_t port() const { return gateway->endpoints().front().port(); }
  RawSocket client() const { return RawSocket::connect(port()); }

  // As the provisioner would: claims what is queued and says that this pod is ready.
  void make_ready(std::uint16_t pod_port, const std::string& uid = "pod-1") {
    ClaimRequest claim;
    claim.provisioner = "test";
    for (int tries = 0; tries < 2'000; ++tries) {
      if (const auto session = backend->claim(claim)) {
        backend
            ->publish_ready(session->key, session->generation,
                            Endpoint(asio::ip::address_v4::loopback(), pod_port), uid)
            .value();
        return;
      }
      Timer pause(io_.get_executor(), Millis{5});
      boost::system::error_code ignored;
      pause.wait(ignored);
    }
    throw std::runtime_error("no start was asked for");
  }
  // The session user/demo is ready before anybody asks.
  void ready_before(const std::string& user, std::uint16_t pod_port, const std::string& uid = "pod-1") {
    backend->acquire({SessionKey("demo", user), "demo", user, SessionPolicy{}}).value();
    make_ready(pod_port, uid);
  }
  // Waits until so many requests are held; throws if it does not come to that.
  void wait_for_holds(std::uint64_t count) {
    for (int tries = 0; tries < 2'000; ++tries) {
      if (gateway->metrics().front()->holds_now.get() == count) return;
      Timer pause(io_.get_executor(), Millis{5});
      boost::system::error_code ignored;
      pause.wait(ignored);
    }
    throw std::runtime_error("the number of held requests never became " + std::to_string(count));
  }
  static std::string get(const std::string& user, const std::string& path, const std::string& more = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: " + user + "\r\n" + more + "\r\n";
  }

  std::shared_ptr<MemoryBackend> backend;
  std::unique_ptr<proxy::Gateway> gateway;
  RawListener pod;

 private:
  asio::io_context io_;
};

}  // namespace alcove::test
