#include "alcove/greeting.hpp"

#include "config/units.hpp"

namespace alcove {
namespace {

std::string address_of_app(const Settings& settings, const std::vector<Endpoint>& listening,
                           const AppSettings& app) {
  const bool tls = settings.listen.front().tls.has_value();
  const unsigned port = listening.front().port();
  std::string out = (tls ? "https://" : "http://") + app.name + "." + settings.domains.front();
  if (port != (tls ? 443U : 80U)) out += ":" + std::to_string(port);
  return out + "/";
}

}  // namespace

std::string greeting(const Settings& settings, const std::vector<Endpoint>& listening,
                     const Endpoint& admin) {
  if (listening.empty() || settings.apps.empty()) return {};
  const TrustedHeaderIdentity* header = nullptr;
  const DevIdentity* dev = nullptr;
  for (const IdentitySettings& identity : settings.identity) {
    if (header == nullptr) header = std::get_if<TrustedHeaderIdentity>(&identity);
    if (dev == nullptr) dev = std::get_if<DevIdentity>(&identity);
  }
  std::string out = "\n  Alcove is running. Every user gets a pod of their own.\n\n";
  for (const AppSettings& app : settings.apps) {
    const std::string address = address_of_app(settings, listening, app);
    out += dev != nullptr ? "  Open    " + address + "   and sign in with any name\n"
                          : "  App     " + address + "\n";
    if (header != nullptr) out += "  Type    curl -H '" + header->header + ": ada' " + address + "\n";
  }
  if (header != nullptr)
    out +=
        "          The first call starts ada's pod and waits for it, the second is served at once; grace "
        "gets another pod.\n";
  const std::string idle = format_duration(settings.apps.front().idle_timeout);
  out +=
      "  See     alcove ls" + (admin.port() == 8081 ? std::string{} : " --admin " + to_string(admin)) +
      "   and watch a pod go " +
      (settings.apps.front().idle_timeout > Millis{0} ? idle + " after its last use" : "when it is stopped") +
      "\n  End     Ctrl-C\n\n";
  return out;
}

}  // namespace alcove
