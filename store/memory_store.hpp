// MemoryStore: the Store inside one process, the default on one machine. Calls complete in place; pushes are
// posted to the executor, in order. Made by: alcove/ and tests, one for each io_context, all on one
// MemoryBackend. Thread: its executor's. Owns its place among the backend's clients. Fails with: as the Store
// says, never unavailable.
#pragma once

#include "store/memory_backend.hpp"
#include "store/store.hpp"

#include <memory>

namespace alcove {

std::unique_ptr<Store> make_memory_store(std::shared_ptr<MemoryBackend> backend, Executor executor);

class MemoryStore : public Store {
 public:
  MemoryStore(std::shared_ptr<MemoryBackend> backend, Executor executor);
  ~MemoryStore() override;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  Awaitable<Result<Session>> acquire(AcquireRequest request) override;
  Awaitable<Result<Session>> lookup(SessionKey key) override;
  Awaitable<Result<QueuePlace>> place(SessionKey key) override;
  Awaitable<Result<BeatReply>> beat(Beat beat) override;
  Awaitable<Result<void>> leave(std::string gateway) override;
  Awaitable<Result<std::optional<Session>>> claim(ClaimRequest request) override;
  Awaitable<Result<std::vector<SessionKey>>> renew(std::string provisioner, Millis lease,
                                                   std::vector<SessionKey> keys) override;
  Awaitable<Result<Session>> publish_ready(SessionKey key, Generation generation, Endpoint endpoint,
                                           std::string pod_uid) override;
  Awaitable<Result<Session>> publish_failed(SessionKey key, Generation generation, std::string reason,
                                            Millis retry_in) override;
  Awaitable<Result<Session>> lost(SessionKey key, Generation generation, std::string pod_uid,
                                  std::string reason) override;
  Awaitable<Result<Session>> adopt(Session session) override;
  Awaitable<Result<std::vector<Due>>> due(std::uint32_t limit) override;
  Awaitable<Result<Session>> drain(SessionKey key, Generation generation, EndCause cause) override;
  Awaitable<Result<Session>> begin_stop(SessionKey key, Generation generation) override;
  Awaitable<Result<Session>> gone(SessionKey key, Generation generation) override;
  Awaitable<Result<Page>> list(std::string cursor, std::uint32_t limit) override;
  Awaitable<Result<Session>> pin(SessionKey key, bool pinned) override;
  Awaitable<Result<Session>> busy(SessionKey key, Millis busy_for) override;
  void subscribe(Subscriber* subscriber) override;
  void unsubscribe(Subscriber* subscriber) override;
  bool connected() const override;
  void close() override;

 private:
  std::shared_ptr<MemoryBackend> backend_;
  std::shared_ptr<MemoryBackend::Client> client_;
};

}  // namespace alcove
