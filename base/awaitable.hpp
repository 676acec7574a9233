// Awaitable<T>: what a coroutine of this project returns; launch() starts one on an io_context. A coroutine
// runs on the thread of the io_context that it was launched on and never moves. It can await another
// Awaitable and every Asio operation that is started with kTuple (net.hpp).
//
// asio::awaitable does the same for any executor, with cancellation slots and a stack of frames of its own;
// that costs a request about 4,000 instructions (bench/NOTES.md). Here awaiting an Awaitable is a call, a
// frame comes from a list of frames of its size, and nothing is locked.
//
// Ownership: an Awaitable owns its frame until it has been awaited; a launched one owns itself. A coroutine
// that waits for an Asio operation is destroyed with the operation, when the io_context is.
// Errors: an exception goes to who awaits. One that leaves a launched coroutine goes to its handler, or, if
// there is none, into the log.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace alcove {

using Executor = boost::asio::io_context::executor_type;

template <class T>
class Awaitable;

namespace coroutine {

// Frames are taken and given back all the time in the same few sizes. Any thread, each has its own lists.
void* take_frame(std::size_t bytes);
void give_frame(void* frame, std::size_t bytes) noexcept;

void report(const std::exception_ptr& thrown) noexcept;

class Promise;

// Waits for an Asio operation. The operation's handler holds the waiting coroutine: invoked, it resumes it;
// destroyed without that (its io_context ends), it destroys the coroutine with all that await it.
template <class Results, class Operation>
class OperationAwaiter {
 public:
  OperationAwaiter(Operation operation, Promise& promise)
      : operation_(std::move(operation)), promise_(&promise) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    std::move(operation_)(Handler(this));
  }
  Results await_resume() { return std::move(*results_); }

 private:
  class Handler {
   public:
    explicit Handler(OperationAwaiter* awaiter) : awaiter_(awaiter) {}
    Handler(Handler&& other) noexcept : awaiter_(std::exchange(other.awaiter_, nullptr)) {}
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;
    Handler& operator=(Handler&&) = delete;
    ~Handler();
    void operator()(Results results) {
      OperationAwaiter* const awaiter = std::exchange(awaiter_, nullptr);
      awaiter->results_.emplace(std::move(results));
      awaiter->waiting_.resume();
    }

   private:
    OperationAwaiter* awaiter_;
  };

  Operation operation_;
  Promise* promise_;
  std::coroutine_handle<> waiting_;
  std::optional<Results> results_;
};

// What all promises of a chain of awaiting coroutines have in common.
class Promise {
 public:
  static void* operator new(std::size_t bytes) { return take_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { give_frame(frame, bytes); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  template <class... Results, class Initiation, class... Arguments>
  auto await_transform(
      boost::asio::deferred_async_operation<void(std::tuple<Results...>), Initiation, Arguments...>
          operation) {
    return OperationAwaiter<std::tuple<Results...>, decltype(operation)>(std::move(operation), *this);
  }
  template <class Other>
  Other&& await_transform(Other&& other) {
    return std::forward<Other>(other);
  }

  std::coroutine_handle<> self() const { return self_; }
  // The launched coroutine that this one works for.
  Promise& root() {
    Promise* promise = this;
    while (promise->awaited_by_ != nullptr) promise = promise->awaited_by_;
    return *promise;
  }

 protected:
  std::coroutine_handle<> self_;
  Promise* awaited_by_ = nullptr;

  template <class T>
  friend class alcove::Awaitable;
};

template <class Results, class Operation>
OperationAwaiter<Results, Operation>::Handler::~Handler() {
  if (awaiter_ != nullptr) awaiter_->promise_->root().self().destroy();
}

// The promise of an Awaitable.
class ChildPromise : public Promise {
 public:
  void unhandled_exception() noexcept { thrown_ = std::current_exception(); }

  auto final_suspend() const noexcept {
    struct Final {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
        if (promise->parent_waits_) return promise->awaited_by_->self();
        return std::noop_coroutine();  // still within the parent's call, which sees that we are done
      }
      void await_resume() const noexcept {}
      const ChildPromise* promise;
    };
    return Final{this};
  }

 private:
  std::exception_ptr thrown_;
  bool parent_waits_ = false;
  bool begun_ = false;

  template <class T>
  friend class alcove::Awaitable;
};

template <class T>
class ValuePromise : public ChildPromise {
 public:
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
};

template <>
class ValuePromise<void> : public ChildPromise {
 public:
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace coroutine

template <class T>
class [[nodiscard]] Awaitable {
 public:
  class promise_type : public coroutine::ValuePromise<T> {
   public:
    Awaitable get_return_object() {
      const auto self = std::coroutine_handle<promise_type>::from_promise(*this);
      this->self_ = self;
      return Awaitable(self);
    }
  };
  using value_type = T;

  Awaitable(Awaitable&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Awaitable(const Awaitable&) = delete;
  Awaitable& operator=(const Awaitable&) = delete;
  Awaitable& operator=(Awaitable&&) = delete;
  ~Awaitable() {
    if (frame_) frame_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  // Runs the coroutine until it waits for something or ends. A coroutine that ends at once resumes nobody, so
  // that a loop over such ones needs no stack.
  template <class ParentPromise>
  bool await_suspend(std::coroutine_handle<ParentPromise> parent) {
    promise_type& promise = frame_.promise();
    if (!promise.begun_) begin(parent.promise());
    if (frame_.done()) return false;
    promise.parent_waits_ = true;
    return true;
  }
  T await_resume() {
    promise_type& promise = frame_.promise();
    if (promise.thrown_) std::rethrow_exception(promise.thrown_);
    return promise.take();
  }

  // `co_await other.beside();` begins it now, and it runs beside who awaits this; who does must await `other`
  // itself before it ends. One of the two at most may be waiting for an operation of Asio's when its
  // io_context is destroyed: the others are destroyed with it.
  struct Beside {
    bool await_ready() const noexcept { return false; }
    template <class ParentPromise>
    bool await_suspend(std::coroutine_handle<ParentPromise> parent) const {
      awaitable.begin(parent.promise());
      return false;
    }
    void await_resume() const noexcept {}
    Awaitable& awaitable;
  };
  Beside beside() { return {*this}; }

 private:
  explicit Awaitable(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

  void begin(coroutine::Promise& parent) {
    promise_type& promise = frame_.promise();
    promise.awaited_by_ = &parent;
    promise.begun_ = true;
    frame_.resume();
  }

  std::coroutine_handle<promise_type> frame_;
};

namespace coroutine {

// A launched coroutine: it keeps its io_context running and destroys itself at its end.
class Launched {
 public:
  class promise_type : public Promise {
   public:
    template <class... More>
    explicit promise_type(const Executor& on, More&&...) : executor(on) {}
    Launched get_return_object() {
      const auto self = std::coroutine_handle<promise_type>::from_promise(*this);
      self_ = self;
      return Launched(self);
    }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    // A handler has thrown: that is its io_context's matter, as it would be from any other handler.
    void unhandled_exception() const { throw; }
    const Executor executor;
    bool starting = true;
  };

  // Answers whether this coroutine has not waited for anything yet.
  struct IsStarting {
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<promise_type> self) noexcept {
      starting = self.promise().starting;
      return false;
    }
    bool await_resume() const noexcept { return starting; }
    bool starting = true;
  };

  void start() {
    frame_.resume();
    frame_.promise().starting = false;  // alive: who ends at once comes back later (launched)
  }

 private:
  explicit Launched(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

template <class T, class Handler>
Launched launched(Executor executor, Awaitable<T> awaitable, Handler handler) {
  const auto work = boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked);
  std::exception_ptr thrown;
  if constexpr (std::is_void_v<T>) {
    try {
      co_await std::move(awaitable);
    } catch (...) {
      thrown = std::current_exception();
    }
    // The handler is never called from within launch().
    if (co_await Launched::IsStarting{})
      co_await boost::asio::post(executor, boost::asio::as_tuple(boost::asio::deferred));
    handler(thrown);
  } else {
    std::optional<T> value;
    try {
      value.emplace(co_await std::move(awaitable));
    } catch (...) {
      thrown = std::current_exception();
    }
    if (co_await Launched::IsStarting{})
      co_await boost::asio::post(executor, boost::asio::as_tuple(boost::asio::deferred));
    handler(thrown, value ? std::move(*value) : T());
  }
}

// Answers the executor that the coroutine was launched on.
struct ThisExecutor {
  bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> self) noexcept {
    executor = &static_cast<Launched::promise_type&>(self.promise().root()).executor;
    return false;
  }
  Executor await_resume() const noexcept { return *executor; }
  const Executor* executor = nullptr;
};

struct Report {
  template <class... Value>
  void operator()(const std::exception_ptr& thrown, Value&&...) const {
    if (thrown) report(thrown);
  }
};

}  // namespace coroutine

// Starts a coroutine on an io_context: at once if this is its thread, else as soon as that gets to it.
// `handler`: void(std::exception_ptr) or void(std::exception_ptr, T), called on that thread at the end, never
// within this call.
template <class T, class Handler = coroutine::Report>
void launch(Executor executor, Awaitable<T> awaitable, Handler handler = {}) {
  boost::asio::dispatch(executor,
                        [executor, awaitable = std::move(awaitable), handler = std::move(handler)]() mutable {
                          coroutine::launched(executor, std::move(awaitable), std::move(handler)).start();
                        });
}
template <class T, class Handler = coroutine::Report>
void launch(boost::asio::io_context& io, Awaitable<T> awaitable, Handler handler = {}) {
  launch(io.get_executor(), std::move(awaitable), std::move(handler));
}

// Runs `awaitable` on the thread of another io_context; who awaits this goes on where it was.
template <class T>
Awaitable<T> run_on(boost::asio::io_context& there, Awaitable<T> awaitable) {
  const Executor here = co_await coroutine::ThisExecutor{};
  auto [thrown, value] =
      co_await boost::asio::async_initiate<const boost::asio::as_tuple_t<boost::asio::deferred_t>,
                                           void(std::exception_ptr, std::optional<T>)>(
          [here, &there](auto handler, Awaitable<T> moved) {
            // Its work keeps `here` running although nothing of it is waited for there.
            auto work = boost::asio::prefer(here, boost::asio::execution::outstanding_work.tracked);
            launch(there, std::move(moved),
                   [work, handler = std::move(handler)](std::exception_ptr e, T result) mutable {
                     boost::asio::post(work, [e = std::move(e), result = std::move(result),
                                              handler = std::move(handler)]() mutable {
                       std::move(handler)(std::move(e), std::optional<T>(std::move(result)));
                     });
                   });
          },
          boost::asio::as_tuple(boost::asio::deferred), std::move(awaitable));
  if (thrown) std::rethrow_exception(thrown);
  co_return std::move(*value);
}

}  // namespace alcove
