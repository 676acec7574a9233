// Texts that live as long as one request (rewritten heads, what the log will tell), in strings that keep
// their space for the next one. Called by exchange and relay. Thread: the worker's.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace alcove::proxy {

class TextPool {
 public:
  // A new text has room for `usual` bytes.
  explicit TextPool(std::size_t usual = 0) : usual_(usual) {}

  std::string take() {
    if (free_.empty()) {
      std::string text;
      text.reserve(usual_);
      return text;
    }
    std::string text = std::move(free_.back());
    free_.pop_back();
    return text;
  }
  void give(std::string text) {
    if (free_.size() >= kMostFree || text.capacity() > kMostKept) return;
    if (text.capacity() <= std::string().capacity()) return;  // no space to keep: it was given back before
    text.clear();
    free_.push_back(std::move(text));
  }

 private:
  static constexpr std::size_t kMostFree = 256;       // last in, first out: the text on top is warm
  static constexpr std::size_t kMostKept = 4 * 1024;  // bytes: a longer head is rare
  std::size_t usual_;
  std::vector<std::string> free_;
};

// A text of the pool's for as long as this lives.
class PooledText {
 public:
  explicit PooledText(TextPool& pool) : pool_(pool), text_(pool.take()) {}
  ~PooledText() { pool_.give(std::move(text_)); }
  PooledText(const PooledText&) = delete;
  PooledText& operator=(const PooledText&) = delete;

  std::string& operator*() { return text_; }
  std::string* operator->() { return &text_; }
  // Empty from now on, and no longer held.
  void release() { pool_.give(std::exchange(text_, {})); }

 private:
  TextPool& pool_;
  std::string text_;
};

}  // namespace alcove::proxy
