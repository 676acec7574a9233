// Buffer: a read buffer of fixed capacity, borrowed from the worker's pool while bytes are in it or expected,
// given back while its connection is idle. Called by client_conn, pod_pool, relay. Thread: the worker's.
// Never reallocates: views into it stay good until consume() or compact().
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace alcove::proxy {

class BufferPool {
 public:
  explicit BufferPool(std::size_t block_bytes) : block_bytes_(block_bytes) {}

  std::unique_ptr<char[]> take() {
    if (free_.empty()) return std::unique_ptr<char[]>(new char[block_bytes_]);  // not zeroed
    auto block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  void give(std::unique_ptr<char[]> block) {
    if (free_.size() < kMostFree) free_.push_back(std::move(block));
  }
  std::size_t block_bytes() const { return block_bytes_; }

 private:
  static constexpr std::size_t kMostFree = 64;  // last in, first out: the block on top is warm
  std::size_t block_bytes_;
  std::vector<std::unique_ptr<char[]>> free_;
};

class Buffer {
 public:
  explicit Buffer(BufferPool& pool) : pool_(&pool) {}
  ~Buffer() { release(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::string_view view() const { return {block_.get() + begin_, end_ - begin_}; }
  char* data() { return block_.get() + begin_; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  bool full() const { return size() == pool_->block_bytes(); }

  // Free space behind the content, after making sure that there is a block. compact() first if it is short.
  char* space() {
    if (!block_) block_ = pool_->take();
    return block_.get() + end_;
  }
  std::size_t space_size() const { return pool_->block_bytes() - end_; }
  void commit(std::size_t n) { end_ += n; }
  void consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void compact() {
    if (begin_ == 0) return;
    std::memmove(block_.get(), block_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // Gives the block back if nothing is in it.
  void release_if_empty() {
    if (empty()) release();
  }

 private:
  void release() {
    if (block_) pool_->give(std::move(block_));
    begin_ = end_ = 0;
  }

  BufferPool* pool_;
  std::unique_ptr<char[]> block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace alcove::proxy
