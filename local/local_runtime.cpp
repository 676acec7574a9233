#include "local/local_runtime.hpp"

#include "local/local_guest.hpp"
#include "local/local_owner.hpp"

#include <stdlib.h>

#include <stdexcept>

namespace alcove {

std::string state_directory(const LocalRuntimeSettings& settings) {
  if (!settings.directory.empty()) return settings.directory;
  if (const char* state = ::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return std::string(state) + "/alcove";
  if (const char* home = ::getenv("HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/.local/state/alcove";
  return "/tmp/alcove-state";
}

std::unique_ptr<Runtime> make_local_runtime(const LocalRuntimeSettings& settings, asio::io_context& context,
                                            LocalMode mode) {
  Result<std::unique_ptr<StateDir>> dir = StateDir::open(state_directory(settings));
  if (!dir) throw std::runtime_error(dir.error().text);
  if (mode == LocalMode::guest) return std::make_unique<LocalGuest>(context.get_executor(), std::move(*dir));

  Result<AddressPool> addresses = AddressPool::parse(settings.network);
  if (!addresses) throw std::runtime_error(addresses.error().text);
  if (const Result<void> locked = (*dir)->lock(); !locked) throw std::runtime_error(locked.error().text);
  (*dir)->clean_up();
  return std::make_unique<LocalOwner>(context, std::move(*dir), std::move(*addresses));
}

}  // namespace alcove
