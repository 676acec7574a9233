#include "base/awaitable.hpp"

#include "base/log.hpp"

#include <array>
#include <new>

namespace alcove::coroutine {
namespace {

// With the sanitizers each frame is an allocation of its own, so that they see the use of one that is gone.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kKeepFrames = false;
#else
constexpr bool kKeepFrames = true;
#endif

constexpr std::size_t kClass = 32;    // bytes: frames are rounded up to a multiple
constexpr std::size_t kClasses = 64;  // up to 2 KiB; larger ones are rare

// Kept of each class for the next: many connections wait in the same step at once. That is 9 MiB of all
// classes at most, for a thread that has needed so many.
constexpr std::size_t kKeptFrames = 128;
constexpr std::size_t kKeptBytes = 32 * 1024;  // of small ones more than that

struct Frames {
  struct Free {
    Free* next;
  };
  struct List {
    Free* first = nullptr;
    std::size_t frames = 0;
  };
  std::array<List, kClasses> lists;

  ~Frames() {
    for (List& list : lists) {
      while (Free* const frame = list.first) {
        list.first = frame->next;
        ::operator delete(frame);
      }
      list.frames = kKeptBytes;  // full: what other thread-locals give back after us goes to the allocator
    }
  }
};
thread_local Frames frames;

std::size_t class_of(std::size_t bytes) {
  return (bytes - 1) / kClass;
}

}  // namespace

void* take_frame(std::size_t bytes) {
  const std::size_t number = class_of(bytes);
  if (!kKeepFrames || number >= kClasses) return ::operator new(bytes);
  Frames::List& list = frames.lists[number];
  if (list.first == nullptr) return ::operator new((number + 1) * kClass);
  Frames::Free* const frame = list.first;
  list.first = frame->next;
  --list.frames;
  return frame;
}

void give_frame(void* frame, std::size_t bytes) noexcept {
  const std::size_t number = class_of(bytes);
  if (!kKeepFrames || number >= kClasses) return ::operator delete(frame);
  Frames::List& list = frames.lists[number];
  if (list.frames >= kKeptFrames && list.frames * (number + 1) * kClass >= kKeptBytes)
    return ::operator delete(frame);
  ++list.frames;
  list.first = new (frame) Frames::Free{list.first};
}

void report(const std::exception_ptr& thrown) noexcept {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    spdlog::critical("a task ended with an exception, which is a defect: {}", error.what());
  } catch (...) {
    spdlog::critical("a task ended with an exception, which is a defect");
  }
}

}  // namespace alcove::coroutine
