#include "config/files.hpp"

#include "base/text.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace alcove {
namespace {

constexpr std::size_t kMostSecret = 64 * 1024;

std::string shown(const std::string& path) {
  return printable(path, 300);
}

Error cannot_read(const std::string& path, int code) {
  const std::string why = std::generic_category().message(code);
  const Errc errc = code == ENOENT ? Errc::not_found : code == EACCES ? Errc::denied : Errc::invalid;
  return {errc, "cannot read " + shown(path) + ": " + why};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t most_bytes) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) return cannot_read(path, errno);
  std::string content;
  std::array<char, 16 * 1024> block{};
  while (true) {
    const std::size_t n = std::fread(block.data(), 1, block.size(), file.get());
    if (n == 0) break;
    content.append(block.data(), n);
    if (content.size() > most_bytes)
      return Error{Errc::invalid, shown(path) + " is larger than " + std::to_string(most_bytes) + " bytes"};
  }
  if (std::ferror(file.get()) != 0) return cannot_read(path, errno);
  return content;
}

Result<std::string> read_secret_file(const std::string& path) {
  if (!path.starts_with('/'))
    return Error{Errc::invalid,
                 "file: must be followed by an absolute path, such as file:/run/secrets/token"};
  auto content = read_file(path, kMostSecret);
  if (!content) return content;
  while (content->ends_with('\n') || content->ends_with('\r')) content->pop_back();
  if (content->empty()) return Error{Errc::invalid, shown(path) + " is empty"};
  return content;
}

}  // namespace alcove
