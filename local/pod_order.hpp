// What to execute for a pod: command, environment and files of the app with their placeholders replaced. No
// shell. Called by: local runtime (owner). Pure but for the search of the program in PATH. Any thread. Fails:
// Errc::failed with the reason that people see.
#pragma once

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "lifecycle/runtime.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alcove {

struct PodPlace {
  Endpoint endpoint;
  std::string directory;  // absolute
  std::string uid;
};

struct PodOrder {
  std::string program;  // absolute path
  std::vector<std::string> arguments;
  std::vector<std::string> environment;                    // NAME=value
  std::vector<std::pair<std::string, std::string>> files;  // path below the directory, content
};

// {address} {port} {user} {session} {dir}; other braces stay as they are.
std::string fill_in(std::string_view text, const PodSpec& spec, const PodPlace& place);

Result<PodOrder> order_for(const PodSpec& spec, const PodPlace& place);

// Writes the order's files below the directory. Errc::failed names the file.
Result<void> write_files(const PodOrder& order, const std::string& directory);

}  // namespace alcove
