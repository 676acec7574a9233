#include "local/log_file.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <vector>

namespace alcove {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLeastHalf = 2'048;

struct Part {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
  std::string path;
};

std::string part_path(const std::string& stem, std::uint64_t begin) {
  return fmt::format("{}.{}.log", stem, begin);
}

// STEM.OFFSET.log, oldest first.
std::vector<Part> parts_of(const std::string& stem) {
  std::vector<Part> parts;
  const fs::path path(stem);
  const std::string prefix = path.filename().string() + ".";
  std::error_code ec;
  for (fs::directory_iterator entry(path.parent_path(), ec), end; !ec && entry != end; entry.increment(ec)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".log") || name.size() < prefix.size() + 5) continue;
    Part part;
    const char* first = name.data() + prefix.size();
    const char* last = name.data() + name.size() - 4;
    const auto [stop, error] = std::from_chars(first, last, part.begin);
    if (error != std::errc{} || stop != last) continue;
    std::error_code size_ec;
    part.size = entry->file_size(size_ec);
    if (size_ec) continue;
    part.path = entry->path().string();
    parts.push_back(std::move(part));
  }
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.begin < b.begin; });
  return parts;
}

std::string read_part(const std::string& path, std::uint64_t from, std::size_t most) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  text.resize(most);
  const ssize_t n = ::pread(fd, text.data(), most, static_cast<off_t>(from));
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  ::close(fd);
  return text;
}

}  // namespace

LogWriter::LogWriter(std::string stem, std::uint64_t limit)
    : stem_(std::move(stem)), half_(std::max(limit / 2, kLeastHalf)) {}

LogWriter::~LogWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void LogWriter::write(std::string_view text) {
  if (dropped_ > 0) {
    const std::uint64_t told = dropped_;
    const std::string notice = fmt::format("\n[alcove: {} bytes of output were dropped here]\n", told);
    const std::uint64_t before = dropped_;
    write_some(notice);
    if (dropped_ != before) {  // still no room: the notice itself is no output
      dropped_in_all_ -= dropped_ - before;
      dropped_ = before;
    } else {
      dropped_ -= told;
    }
  }
  while (!text.empty()) {
    const std::size_t piece = std::min<std::size_t>(text.size(), half_);
    write_some(text.substr(0, piece));
    text.remove_prefix(piece);
  }
}

void LogWriter::write_some(std::string_view text) {
  const bool fits = fd_ >= 0 && size_ + text.size() <= half_;
  if (!fits && !open_next()) {
    dropped_ += text.size();
    dropped_in_all_ += text.size();
    return;
  }
  while (!text.empty()) {
    const ssize_t n = ::write(fd_, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      dropped_ += text.size();
      dropped_in_all_ += text.size();
      return;
    }
    size_ += static_cast<std::uint64_t>(n);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// The oldest half goes before the new one comes, so that the limit holds at every moment.
bool LogWriter::open_next() {
  if (fd_ >= 0 && size_ == 0) return true;
  const std::uint64_t begin = begin_ + size_;
  std::string path = part_path(stem_, begin);
  if (!previous_.empty()) {
    ::unlink(previous_.c_str());
    previous_.clear();
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  if (fd_ >= 0) {
    ::close(fd_);
    previous_ = current_;
  }
  fd_ = fd;
  begin_ = begin;
  size_ = 0;
  current_ = std::move(path);
  return true;
}

Result<LogText> read_log(const std::string& stem, std::uint64_t offset, std::size_t most) {
  const std::vector<Part> parts = parts_of(stem);
  if (parts.empty()) return Error{Errc::not_found, "no output is kept of this pod"};
  LogText result;
  result.next = std::max(offset, parts.front().begin);
  for (const Part& part : parts) {
    if (result.next < part.begin || result.next >= part.begin + part.size) continue;
    if (result.text.size() >= most) break;
    std::string piece = read_part(part.path, result.next - part.begin, most - result.text.size());
    result.next += piece.size();
    result.text += piece;
  }
  const std::uint64_t end = parts.back().begin + parts.back().size;
  result.at_end = result.next >= end;
  return result;
}

std::uint64_t log_tail_offset(const std::string& stem, std::uint64_t bytes) {
  const std::vector<Part> parts = parts_of(stem);
  if (parts.empty()) return 0;
  const std::uint64_t end = parts.back().begin + parts.back().size;
  return std::max(end > bytes ? end - bytes : 0, parts.front().begin);
}

std::string last_lines(const std::string& stem, std::size_t bytes) {
  const Result<LogText> tail = read_log(stem, log_tail_offset(stem, bytes), bytes);
  if (!tail) return {};
  std::string joined;
  std::string_view rest = tail->text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) continue;
    if (!joined.empty()) joined += " | ";
    joined += line;
  }
  return printable(joined, bytes);
}

void remove_log(const std::string& stem) {
  for (const Part& part : parts_of(stem)) ::unlink(part.path.c_str());
}

}  // namespace alcove
