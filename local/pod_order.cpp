#include "local/pod_order.hpp"

#include "local/guard_protocol.hpp"
#include "local/proc.hpp"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>

namespace alcove {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Error failed(std::string text) {
  return {Errc::failed, std::move(text)};
}

bool is_program(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<std::string> find_in_path(std::string_view name, std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find(':'), path.size());
    const std::string_view directory = path.substr(0, end);
    std::string candidate = fmt::format("{}/{}", directory, name);
    if (directory.starts_with('/') && is_program(candidate)) return candidate;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return std::nullopt;
}

// A name without '/' is searched in PATH. A relative path means a file of the app's own first, then one from
// where alcove was started. One of the app's own files is made executable when it is written, so it is found
// by name here.
Result<std::string> find_program(const std::string& name, std::string_view path, const PodOrder& order,
                                 const std::string& directory) {
  if (name.empty()) return failed("its command is empty");
  if (name.find('/') == std::string::npos) {
    if (auto found = find_in_path(name, path)) return *found;
    return failed(fmt::format("command \"{}\" was not found in PATH ({})", name, path));
  }
  const std::string absolute =
      name.starts_with('/') ? name : (fs::path(directory) / name).lexically_normal().string();
  for (const auto& [file, content] : order.files) {
    if ((fs::path(directory) / file).lexically_normal() == absolute) return absolute;
  }
  if (is_program(absolute)) return absolute;
  if (name.starts_with('/'))
    return failed(fmt::format("command \"{}\" does not exist or is not executable", name));
  std::error_code ec;
  std::string here = (fs::current_path(ec) / name).lexically_normal().string();
  if (is_program(here)) return here;
  return failed(fmt::format("command \"{}\" was found neither among the app's files nor as {}", name, here));
}

bool stays_below(const fs::path& path) {
  if (path.empty() || path.is_absolute()) return false;
  const fs::path normal = path.lexically_normal();
  return normal != "." && *normal.begin() != "..";
}

}  // namespace

std::string fill_in(std::string_view text, const PodSpec& spec, const PodPlace& place) {
  std::string out;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) break;
    text.remove_prefix(open);
    const std::size_t close = text.find('}');
    const std::string_view word =
        close == std::string_view::npos ? std::string_view{} : text.substr(1, close - 1);
    if (word == "address") {
      out += place.endpoint.address().to_string();
    } else if (word == "port") {
      out += std::to_string(place.endpoint.port());
    } else if (word == "user") {
      out += spec.user;
    } else if (word == "session") {
      out += spec.name.key.text();
    } else if (word == "dir") {
      out += place.directory;
    } else {
      out += '{';
      text.remove_prefix(1);
      continue;
    }
    text.remove_prefix(close + 1);
  }
  return out;
}

Result<PodOrder> order_for(const PodSpec& spec, const PodPlace& place) {
  PodOrder order;
  if (spec.app.command.empty())
    return failed(fmt::format("app {} has no command, which the local runtime needs", spec.app.name));

  const char* path = ::getenv("PATH");
  std::map<std::string, std::string> environment{
      {"PATH", path != nullptr && *path != '\0' ? path : std::string(kDefaultPath)},
      {"HOME", place.directory},
      {"LANG", "C.UTF-8"},
      {"ADDRESS", place.endpoint.address().to_string()},
      {"PORT", std::to_string(place.endpoint.port())},
      {"ALCOVE_USER", spec.user},
      {"ALCOVE_SESSION", spec.name.key.text()},
      {"ALCOVE_GENERATION", std::to_string(spec.name.generation)}};
  for (const auto& [name, value] : spec.app.env) environment[name] = fill_in(value, spec, place);
  environment[std::string(kPodMarker)] = place.uid;  // last: the app must not take our mark away
  for (const auto& [name, value] : environment) order.environment.push_back(name + "=" + value);

  for (const auto& [name, content] : spec.app.files) {
    std::string file = fill_in(name, spec, place);
    if (!stays_below(file))
      return failed(
          fmt::format("app {}: file name \"{}\" must be a relative path inside the working directory",
                      spec.app.name, file));
    order.files.emplace_back(std::move(file), fill_in(content, spec, place));
  }

  std::size_t bytes = 0;
  for (const std::string& argument : spec.app.command)
    order.arguments.push_back(fill_in(argument, spec, place));
  for (const std::string& text : order.arguments) bytes += text.size() + 8;
  for (const std::string& text : order.environment) bytes += text.size() + 8;
  constexpr std::size_t kMostBytes = kMostMessageBytes - 16 * 1024;
  if (bytes > kMostBytes)
    return failed(
        fmt::format("command and environment of app {} are longer than {} bytes", spec.app.name, kMostBytes));

  Result<std::string> program =
      find_program(order.arguments.front(), environment["PATH"], order, place.directory);
  if (!program) return program.error();
  order.program = std::move(*program);
  return order;
}

Result<void> write_files(const PodOrder& order, const std::string& directory) {
  for (const auto& [name, content] : order.files) {
    const fs::path path = fs::path(directory) / name;
    std::error_code ec;
    fs::create_directories(path.parent_path(), ec);
    // A script or a program among them can be the command itself.
    const mode_t mode = content.starts_with("#!") || path.lexically_normal() == order.program ? 0700 : 0600;
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    std::string_view rest = content;
    bool good = fd >= 0;
    while (good && !rest.empty()) {
      const ssize_t n = ::write(fd, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      good = n > 0;
      if (good) rest.remove_prefix(static_cast<std::size_t>(n));
    }
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (!good)
      return failed(
          fmt::format("file {} of the app cannot be written: {}", path.string(), ::strerror(error)));
  }
  return {};
}

}  // namespace alcove
