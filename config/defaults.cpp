#include "config/defaults.hpp"

#include <filesystem>

namespace alcove {

Endpoint default_listen() {
  return {boost::asio::ip::address_v4::loopback(), 8080};
}

SettingsPtr default_settings(const std::string& executable) {
  auto out = std::make_shared<Settings>();
  out->listen.push_back({default_listen(), std::nullopt});
  out->identity.emplace_back(
      TrustedHeaderIdentity{"X-User-ID", {*Cidr::parse("127.0.0.0/8"), *Cidr::parse("::1/128")}});
  out->identity.emplace_back(DevIdentity{});
  out->runtime = LocalRuntimeSettings{};
  // Pods and sessions end with this process: nobody is served better by a long farewell, and an open page of
  // the demo would make Ctrl-C wait for all of it.
  out->timeouts.drain = Millis{2'000};
  AppSettings& demo = out->apps.emplace_back();
  demo.name = "demo";
  demo.command = {(std::filesystem::path(executable).parent_path() / "alcove-demo").string(), "--listen",
                  "{address}:{port}"};
  return out;
}

}  // namespace alcove
