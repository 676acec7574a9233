// From the command line to an exit code: 0 fine, 1 failed, 2 wrong usage or configuration.
#include "alcove/app.hpp"
#include "alcove/check.hpp"
#include "alcove/command_line.hpp"
#include "alcove/people.hpp"
#include "base/log.hpp"
#include "local/guard.hpp"

#include <fmt/core.h>

#include <sys/resource.h>

#include <filesystem>

namespace {

using namespace alcove;

constexpr int kWrongConfig = 2;

std::string executable() {
  std::error_code ec;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", ec);
  return ec ? "alcove" : path.string();
}

Roles roles_of(Command command) {
  const bool up = command == Command::up;
  return {up || command == Command::gateway, up || command == Command::provisioner,
          up || command == Command::reaper, up || command == Command::api};
}

// Every client and every pod connection is a descriptor, and the soft limit is often 1024.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run_roles(const CommandLine& line) {
  const Roles roles = roles_of(line.command);
  const auto read = [line, roles] { return configure(line.config, executable(), line.overrides, roles); };
  const Configuration configuration = read();
  for (const std::string& fault : configuration.faults) fmt::print(stderr, "{}\n", fault);
  if (!configuration.settings) return kWrongConfig;
  const LogSettings& log = configuration.settings->log;
  start_log(log.json ? LogFormat::json : LogFormat::human, spdlog::level::from_str(log.level));
  for (const std::string& warning : configuration.warnings) spdlog::warn("{}", warning);
  raise_file_limit();
  if (line.take_over && configuration.settings->takeover.empty()) {
    fmt::print(stderr,
               "command line: --take-over: needs `takeover: /path/of/a/socket` in {}, the same for both\n",
               line.config);
    return kWrongConfig;
  }
  App app(configuration.settings, roles, read, line.take_over);
  return app.run();
}

int print_version(const CommandLine& line) {
  if (line.json)
    fmt::print("{{\"version\": \"{}\"}}\n", ALCOVE_VERSION);
  else
    fmt::print("alcove {}\n", ALCOVE_VERSION);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (is_local_guard(argc, argv)) return run_local_guard(argc, argv);
  try {
    const CommandLine line = parse_command_line(argc, argv);
    if (line.exit) return *line.exit;
    switch (line.command) {
      case Command::up:
      case Command::gateway:
      case Command::provisioner:
      case Command::reaper:
      case Command::api:
        return run_roles(line);
      case Command::check:
        return run_check(line);
      case Command::version:
        return print_version(line);
      case Command::ls:
      case Command::show:
      case Command::start:
      case Command::stop:
      case Command::pin:
      case Command::unpin:
      case Command::busy:
      case Command::logs:
        return run_for_people(line);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "alcove: {}\n", error.what());
  }
  return 1;
}
