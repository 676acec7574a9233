// Rare: an optional that weighs a pointer while it is empty, for what few requests ever have and thousands at
// rest would carry. Used by exchange and hold.
#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace alcove::proxy {

template <class T>
class Rare {
 public:
  Rare() = default;
  Rare& operator=(T value) {
    value_ = std::make_unique<T>(std::move(value));
    return *this;
  }
  Rare& operator=(std::optional<T> value) {
    if (!value) {
      value_.reset();
      return *this;
    }
    return *this = std::move(*value);
  }
  void reset() { value_.reset(); }

  explicit operator bool() const { return value_ != nullptr; }
  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace alcove::proxy
