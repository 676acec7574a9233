#include "k8s/token_source.hpp"

#include "base/log.hpp"
#include "config/files.hpp"

#include <sys/stat.h>

#include <utility>

namespace alcove::k8s {

TokenSource::TokenSource(std::string token, std::string file)
    : token_(std::move(token)), file_(std::move(file)) {}

const std::string& TokenSource::current() {
  if (file_.empty()) return token_;
  struct stat info {};
  if (::stat(file_.c_str(), &info) != 0) return token_;
  const Mark now{info.st_ino, info.st_size, info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec};
  if (!(now == mark_)) {
    mark_ = now;
    read();
  }
  return token_;
}

bool TokenSource::read_again() {
  return !file_.empty() && read();
}

bool TokenSource::read() {
  auto read = read_secret_file(file_);
  if (!read) {
    spdlog::warn("the token of the Kubernetes API: {}", read.error().text);
    return false;
  }
  if (*read == token_) return false;
  token_ = std::move(*read);
  return true;
}

}  // namespace alcove::k8s
