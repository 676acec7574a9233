#include "store/memory_store.hpp"

#include <algorithm>

namespace alcove {
namespace {

Error closed_error() {
  return {Errc::cancelled, "the store is closed"};
}

}  // namespace

std::unique_ptr<Store> make_memory_store(std::shared_ptr<MemoryBackend> backend, Executor executor) {
  return std::make_unique<MemoryStore>(std::move(backend), executor);
}

MemoryStore::MemoryStore(std::shared_ptr<MemoryBackend> backend, Executor executor)
    : backend_(std::move(backend)), client_(std::make_shared<MemoryBackend::Client>(executor)) {}

MemoryStore::~MemoryStore() {
  close();
}

Awaitable<Result<Session>> MemoryStore::acquire(AcquireRequest request) {
  if (client_->closed) co_return closed_error();
  co_return backend_->acquire(request);
}

Awaitable<Result<Session>> MemoryStore::lookup(SessionKey key) {
  if (client_->closed) co_return closed_error();
  co_return backend_->lookup(key);
}

Awaitable<Result<QueuePlace>> MemoryStore::place(SessionKey key) {
  if (client_->closed) co_return closed_error();
  co_return backend_->place(key);
}

Awaitable<Result<BeatReply>> MemoryStore::beat(Beat beat) {
  if (client_->closed) co_return closed_error();
  co_return backend_->beat(beat);
}

Awaitable<Result<void>> MemoryStore::leave(std::string gateway) {
  if (client_->closed) co_return closed_error();
  backend_->leave(gateway);
  co_return Result<void>();
}

Awaitable<Result<std::optional<Session>>> MemoryStore::claim(ClaimRequest request) {
  if (client_->closed) co_return closed_error();
  co_return backend_->claim(request);
}

Awaitable<Result<std::vector<SessionKey>>> MemoryStore::renew(std::string provisioner, Millis lease,
                                                              std::vector<SessionKey> keys) {
  if (client_->closed) co_return closed_error();
  co_return backend_->renew(provisioner, lease, keys);
}

Awaitable<Result<Session>> MemoryStore::publish_ready(SessionKey key, Generation generation,
                                                      Endpoint endpoint, std::string pod_uid) {
  if (client_->closed) co_return closed_error();
  co_return backend_->publish_ready(key, generation, endpoint, pod_uid);
}

Awaitable<Result<Session>> MemoryStore::publish_failed(SessionKey key, Generation generation,
                                                       std::string reason, Millis retry_in) {
  if (client_->closed) co_return closed_error();
  co_return backend_->publish_failed(key, generation, reason, retry_in);
}

Awaitable<Result<Session>> MemoryStore::lost(SessionKey key, Generation generation, std::string pod_uid,
                                             std::string reason) {
  if (client_->closed) co_return closed_error();
  co_return backend_->lost(key, generation, pod_uid, reason);
}

Awaitable<Result<Session>> MemoryStore::adopt(Session session) {
  if (client_->closed) co_return closed_error();
  co_return backend_->adopt(session);
}

Awaitable<Result<std::vector<Due>>> MemoryStore::due(std::uint32_t limit) {
  if (client_->closed) co_return closed_error();
  co_return backend_->due(limit);
}

Awaitable<Result<Session>> MemoryStore::drain(SessionKey key, Generation generation, EndCause cause) {
  if (client_->closed) co_return closed_error();
  co_return backend_->drain(key, generation, cause);
}

Awaitable<Result<Session>> MemoryStore::begin_stop(SessionKey key, Generation generation) {
  if (client_->closed) co_return closed_error();
  co_return backend_->begin_stop(key, generation);
}

Awaitable<Result<Session>> MemoryStore::gone(SessionKey key, Generation generation) {
  if (client_->closed) co_return closed_error();
  co_return backend_->gone(key, generation);
}

Awaitable<Result<Store::Page>> MemoryStore::list(std::string cursor, std::uint32_t limit) {
  if (client_->closed) co_return closed_error();
  co_return backend_->list(cursor, limit);
}

Awaitable<Result<Session>> MemoryStore::pin(SessionKey key, bool pinned) {
  if (client_->closed) co_return closed_error();
  co_return backend_->pin(key, pinned);
}

Awaitable<Result<Session>> MemoryStore::busy(SessionKey key, Millis busy_for) {
  if (client_->closed) co_return closed_error();
  co_return backend_->busy(key, busy_for);
}

void MemoryStore::subscribe(Subscriber* subscriber) {
  if (client_->subscribers.empty() && !client_->closed) backend_->attach(client_);
  client_->subscribers.push_back(subscriber);
}

void MemoryStore::unsubscribe(Subscriber* subscriber) {
  std::erase(client_->subscribers, subscriber);
  if (client_->subscribers.empty()) backend_->detach(client_);
}

bool MemoryStore::connected() const {
  return !client_->closed;
}

void MemoryStore::close() {
  client_->closed = true;
  backend_->detach(client_);
}

}  // namespace alcove
