#include "local/pod_record.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace alcove {
namespace {

using nlohmann::json;

void take_back(int fd, ssize_t bytes) {
  struct stat now {};
  if (bytes <= 0 || ::fstat(fd, &now) != 0) return;
  [[maybe_unused]] const int cut = ::ftruncate(fd, now.st_size - bytes);
}

std::optional<PodRecord> record_of_line(std::string_view line) {
  const json j = json::parse(line, nullptr, false);
  if (!j.is_object()) return std::nullopt;
  try {
    PodRecord record;
    const Result<SessionKey> key = SessionKey::parse(j.at("key").get<std::string>());
    const Result<Endpoint> endpoint = parse_endpoint(j.at("endpoint").get<std::string>());
    if (!key || !endpoint) return std::nullopt;
    record.name = {*key, j.at("generation").get<Generation>()};
    record.app = j.at("app").get<std::string>();
    record.user = j.at("user").get<std::string>();
    record.uid = j.at("uid").get<std::string>();
    record.endpoint = *endpoint;
    record.leader = {j.at("pid").get<pid_t>(), j.at("start_time").get<std::uint64_t>()};
    record.boot_id = j.at("boot_id").get<std::string>();
    record.ready = j.at("ready").get<bool>();
    return record;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::string to_line(const PodRecord& record) {
  const json j{{"key", record.name.key.text()},
               {"generation", record.name.generation},
               {"app", record.app},
               {"user", record.user},
               {"uid", record.uid},
               {"endpoint", to_string(record.endpoint)},
               {"pid", record.leader.pid},
               {"start_time", record.leader.start_time},
               {"boot_id", record.boot_id},
               {"ready", record.ready}};
  return j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<PodRecord> record_in(std::string_view lines) {
  for (std::size_t end = lines.rfind('\n'); end != std::string_view::npos; end = lines.rfind('\n')) {
    lines = lines.substr(0, end);
    if (auto record = record_of_line(lines.substr(lines.rfind('\n') + 1))) return record;
  }
  return std::nullopt;
}

Result<void> append_record(const std::string& path, const PodRecord& record) {
  const std::string line = to_line(record);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const ssize_t n = fd < 0 ? -1 : ::write(fd, line.data(), line.size());
  const int error = n < 0 ? errno : ENOSPC;
  const bool whole = n == static_cast<ssize_t>(line.size());
  if (!whole && fd >= 0) take_back(fd, n);
  if (fd >= 0) ::close(fd);
  if (whole) return {};
  return Error{Errc::failed, fmt::format("{} cannot be written: {}", path, ::strerror(error))};
}

}  // namespace alcove
