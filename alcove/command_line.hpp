// The command line: what was asked for, as data. Parsing and help texts are CLI11's. No I/O but reading the
// environment. Called by: main. Fails with: CommandLine::exit is set: end with that code, the text was
// printed.
#pragma once

#include "alcove/configuration.hpp"

#include <optional>
#include <string>
#include <vector>

namespace alcove {

enum class Command : std::uint8_t {
  up,
  gateway,
  provisioner,
  reaper,
  api,
  check,
  version,
  ls,
  show,
  start,
  stop,
  pin,
  unpin,
  busy,
  logs
};

struct CommandLine {
  std::optional<int> exit;  // nothing to run: help was asked for, or the usage is wrong
  Command command = Command::up;

  std::string config;  // -c; empty: built in
  Overrides overrides;
  bool take_over = false;  // gateway: from the process that runs now

  bool server = false;  // check: ask the cluster too
  bool json = false;
  std::string admin;  // address of the admin listener to ask
  std::string token;
  std::string name;  // KEY; start: APP or KEY; ls: APP or empty
  std::string user;  // start: USER, or empty
  std::string time;  // busy: for how long
  bool no_wait = false;
  bool follow = false;
};

CommandLine parse_command_line(int argc, char** argv);

}  // namespace alcove
