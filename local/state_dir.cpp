#include "local/state_dir.hpp"

#include "base/crypto.hpp"
#include "base/log.hpp"
#include "local/log_file.hpp"

#include <boost/asio/post.hpp>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

namespace alcove {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRecordExtension = ".jsonl";
constexpr std::size_t kLogsKept = 3;  // pods of a session whose output is kept
constexpr auto kOldLog = std::chrono::hours(24 * 7);
constexpr auto kLockWait = std::chrono::seconds(8);  // an orphaned guard needs about a second

Error failed(std::string text) {
  return {Errc::failed, std::move(text)};
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<void> write_small(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed(fmt::format("{} cannot be written: {}", path, ::strerror(errno)));
  const ssize_t n = ::write(fd, text.data(), text.size());
  const int error = errno;
  ::close(fd);
  if (n == static_cast<ssize_t>(text.size())) return {};
  ::unlink(path.c_str());
  return failed(fmt::format("{} cannot be written: {}", path, ::strerror(n < 0 ? error : ENOSPC)));
}

// With what is above it. Fails with errno.
bool make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return true;
  if (errno == ENOENT && path.size() > 1)
    return make_directory(path.substr(0, path.rfind('/'))) && ::mkdir(path.c_str(), 0700) == 0;
  struct stat there {};
  if (errno != EEXIST || ::stat(path.c_str(), &there) != 0) return false;
  errno = ENOTDIR;
  return S_ISDIR(there.st_mode);
}

std::optional<Generation> generation_in(std::string_view text) {
  Generation value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// "12.jsonl", "12.0.log", "12": the generation that a file belongs to.
std::optional<Generation> generation_of_file(const fs::path& file) {
  const std::string name = file.filename().string();
  return generation_in(std::string_view(name).substr(0, name.find('.')));
}

template <class Visit>
void for_each_entry(const fs::path& directory, Visit visit) {
  std::error_code ec;
  std::vector<fs::path> entries;  // first all, then the visits, which may remove some
  for (fs::directory_iterator entry(directory, ec), end; !ec && entry != end; entry.increment(ec))
    entries.push_back(entry->path());
  for (const fs::path& entry : entries) visit(entry);
}

// pods/SCOPE/NAME
template <class Visit>
void for_each_session(const std::string& path, Visit visit) {
  for_each_entry(path + "/pods", [&](const fs::path& scope) {
    for_each_entry(scope, [&](const fs::path& name) { visit(name); });
  });
}

// A directory that an app has made unreadable is still removed: it is ours.
void remove_tree(const std::string& path) {
  std::error_code ec;
  fs::remove_all(path, ec);
  if (!ec) return;
  for (fs::recursive_directory_iterator entry(path, ec), end; !ec && entry != end; entry.increment(ec)) {
    if (!entry->is_directory(ec) || entry->is_symlink(ec)) continue;
    ::chmod(entry->path().c_str(), 0700);
  }
  fs::remove_all(path, ec);
  if (ec) spdlog::warn("{} cannot be removed: {}", path, ec.message());
}

}  // namespace

Result<std::unique_ptr<StateDir>> StateDir::open(std::string path) {
  std::error_code ec;
  path = fs::absolute(path, ec).lexically_normal().string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::unique_ptr<StateDir> dir(new StateDir(path));
  for (const char* below : {"", "/pods", "/trash"}) {
    fs::create_directories(path + below, ec);
    if (ec)
      return failed(fmt::format(
          "the state directory {}{} cannot be made: {}; set runtime.local.directory to one that can", path,
          below, ec.message()));
  }
  ::chmod(path.c_str(), 0700);
  const std::string id_path = path + "/id";
  dir->id_ = read_text(id_path).substr(0, 16);
  if (dir->id_.size() != 16) {
    // Two processes may come here at once: the first link wins, both read it.
    const std::string mine = fmt::format("{}.{}", id_path, ::getpid());
    if (auto written = write_small(mine, hex(random_bytes(8)) + "\n"); !written) return written.error();
    [[maybe_unused]] const int linked = ::link(mine.c_str(), id_path.c_str());
    ::unlink(mine.c_str());
    dir->id_ = read_text(id_path).substr(0, 16);
    if (dir->id_.size() != 16) return failed(fmt::format("{} cannot be read", id_path));
  }
  return dir;
}

StateDir::StateDir(std::string path) : path_(std::move(path)) {}

StateDir::~StateDir() {
  remover_.join();
  if (lock_ >= 0) ::close(lock_);
}

Result<void> StateDir::lock() {
  const std::string path = path_ + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return failed(fmt::format("{} cannot be opened: {}", path, ::strerror(errno)));
  const auto until = std::chrono::steady_clock::now() + kLockWait;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const std::string text = read_text(path);
    pid_t pid = 0;
    std::from_chars(text.data(), text.data() + text.size(), pid);
    const bool lives = pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
    if (lives || std::chrono::steady_clock::now() >= until) {
      ::close(fd);
      return failed(fmt::format(
          "the state directory {} is in use by another alcove (pid {}): stop that one, or give this one "
          "a directory of its own with runtime.local.directory",
          path_, pid));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string mine = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, mine.data(), mine.size(), 0) < 0)
    spdlog::warn("{} cannot be written: {}", path, ::strerror(errno));
  lock_ = fd;
  return {};
}

bool StateDir::has_owner() const {
  const int fd = ::open((path_ + "/lock").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  ::close(fd);
  return held;
}

std::string StateDir::new_uid() const {
  return fmt::format("local-{}-{}", id_, hex(random_bytes(16)));
}

bool StateDir::is_ours(std::string_view uid) const {
  return uid.starts_with(fmt::format("local-{}-", id_));
}

std::string StateDir::session_directory(const SessionKey& key) const {
  return fmt::format("{}/pods/{}/{}", path_, key.scope(), key.name());
}

std::string StateDir::working_directory(const PodName& name) const {
  return fmt::format("{}/{}", session_directory(name.key), name.generation);
}

std::string StateDir::log_stem(const PodName& name) const {
  return working_directory(name);
}

std::string StateDir::record_path(const PodName& name) const {
  return working_directory(name) + std::string(kRecordExtension);
}

Result<void> StateDir::make_working_directory(const PodName& name) const {
  const std::string directory = working_directory(name);
  const std::string above = session_directory(name.key);
  const bool first_of_session = ::access(above.c_str(), F_OK) != 0 && errno == ENOENT;
  if ((first_of_session && !make_directory(above)) || !make_directory(directory))
    return failed(fmt::format("the working directory {} cannot be made: {}", directory, ::strerror(errno)));
  if (first_of_session) return {};
  ::chmod(directory.c_str(), 0700);
  remove_log(log_stem(name));  // of an earlier life: a memory store counts its generations from 1 again
  return {};
}

Result<void> StateDir::write(const PodRecord& record) const {
  return append_record(record_path(record.name), record);
}

std::optional<PodRecord> StateDir::read(const PodName& name) const {
  return record_in(read_text(record_path(name)));
}

std::vector<PodRecord> StateDir::records() const {
  std::vector<PodRecord> all;
  for_each_session(path_, [&](const fs::path& session) {
    for_each_entry(session, [&](const fs::path& file) {
      if (file.extension() != kRecordExtension) return;
      if (auto record = record_in(read_text(file.string()))) all.push_back(std::move(*record));
    });
  });
  return all;
}

void StateDir::remove(const PodName& name) {
  discard(working_directory(name));
  ::unlink(record_path(name).c_str());
  keep_few_logs(name.key);
}

Generation StateDir::latest(const SessionKey& key) const {
  Generation recorded = 0;
  Generation written = 0;
  fs::file_time_type newest = fs::file_time_type::min();
  for_each_entry(session_directory(key), [&](const fs::path& file) {
    const auto generation = generation_of_file(file);
    if (!generation) return;
    if (file.extension() == kRecordExtension) recorded = std::max(recorded, *generation);
    if (file.extension() != ".log") return;
    std::error_code ec;
    const auto time = fs::last_write_time(file, ec);
    if (ec || time < newest) return;
    newest = time;
    written = *generation;
  });
  return recorded != 0 ? recorded : written;
}

void StateDir::clean_up() {
  MarkedPods left;
  const std::string boot = boot_id();
  std::error_code unknown;
  const std::string own = fs::weakly_canonical(path_, unknown).string();
  for (const PodRecord& record : records()) {
    if (record.boot_id != boot || record.uid.empty()) continue;
    left.emplace(record.uid, record.leader.start_time);
    kill_group_below(record.leader, own);
  }
  if (!left.empty()) {
    spdlog::warn("{} pods of an earlier run were not ended in order: ending what is left of them",
                 left.size());
    if (!kill_marked(left)) spdlog::error("some processes of an earlier run cannot be ended");
  }
  const auto now = fs::file_time_type::clock::now();
  for_each_session(path_, [&](const fs::path& session) {
    for_each_entry(session, [&](const fs::path& file) {
      std::error_code ec;
      if (fs::is_directory(fs::symlink_status(file, ec))) {
        discard(file.string());
      } else if (file.extension() != ".log" || now - fs::last_write_time(file, ec) > kOldLog) {
        ::unlink(file.c_str());
      }
    });
    ::rmdir(session.c_str());  // fails while logs are in it
    ::rmdir(session.parent_path().c_str());
  });
  for_each_entry(path_ + "/trash", [&](const fs::path& old) {
    const std::string path = old.string();
    asio::post(remover_, [path] { remove_tree(path); });
  });
}

// Moved aside at once, so that the next pod of the name gets a fresh one; removed when there is time.
void StateDir::discard(const std::string& directory) {
  const std::string aside =
      fmt::format("{}/trash/{}-{}-{}", path_, ::getpid(), ++discarded_, hex(random_bytes(4)));
  if (::rename(directory.c_str(), aside.c_str()) != 0) {
    if (errno != ENOENT) spdlog::warn("{} cannot be moved away: {}", directory, ::strerror(errno));
    return;
  }
  asio::post(remover_, [aside] { remove_tree(aside); });
}

void StateDir::keep_few_logs(const SessionKey& key) const {
  std::map<Generation, fs::file_time_type> newest;
  const std::string directory = session_directory(key);
  for_each_entry(directory, [&](const fs::path& file) {
    std::error_code ec;
    const auto generation = generation_of_file(file);
    if (!generation || file.extension() != ".log") return;
    auto& time = newest.emplace(*generation, fs::file_time_type::min()).first->second;
    time = std::max(time, fs::last_write_time(file, ec));
  });
  if (newest.size() <= kLogsKept) return;
  std::vector<std::pair<fs::file_time_type, Generation>> by_time;
  by_time.reserve(newest.size());
  for (const auto& [generation, time] : newest) by_time.emplace_back(time, generation);
  std::sort(by_time.begin(), by_time.end());
  by_time.resize(by_time.size() - kLogsKept);
  for (const auto& [time, generation] : by_time) {
    const PodName old{key, generation};
    if (!fs::exists(record_path(old))) remove_log(log_stem(old));
  }
}

}  // namespace alcove
