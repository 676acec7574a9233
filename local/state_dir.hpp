// The state directory of the local runtime (layout: local_runtime.hpp): who owns it, which pods there are,
// their logs. Called by: local runtime, both modes. Thread: the control thread; working directories are
// removed on a thread of
//   their own, since an app may have filled one. Owns: the lock, if lock() was called.
// Fails: open() and lock() with Errc::failed and what to do; the rest as said.
#pragma once

#include "base/result.hpp"
#include "lifecycle/runtime.hpp"
#include "local/pod_record.hpp"

#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace alcove {

class StateDir {
 public:
  static Result<std::unique_ptr<StateDir>> open(std::string path);
  ~StateDir();
  StateDir(const StateDir&) = delete;
  StateDir& operator=(const StateDir&) = delete;

  // For the owner. Waits some seconds for the guard of an owner that has died; an owner that lives is named.
  Result<void> lock();
  int lock_descriptor() const { return lock_; }
  bool has_owner() const;  // somebody else holds the lock

  const std::string& path() const { return path_; }
  const std::string& id() const { return id_; }
  std::string new_uid() const;  // "local-ID-RANDOM"
  bool is_ours(std::string_view uid) const;

  std::string working_directory(const PodName& name) const;
  std::string log_stem(const PodName& name) const;
  Result<void> make_working_directory(const PodName& name) const;

  Result<void> write(const PodRecord& record) const;  // its next state; whole or not at all
  std::optional<PodRecord> read(const PodName& name) const;
  std::vector<PodRecord> records() const;
  // The pod has ended: its record and working directory go, logs of the session's last few pods stay.
  void remove(const PodName& name);
  // The generation of the session that has a record; else the one whose output was last written to; 0: none.
  Generation latest(const SessionKey& key) const;
  // Kills what earlier owners left and removes its files. Blocks while processes die. Only with the lock.
  void clean_up();

 private:
  explicit StateDir(std::string path);
  std::string session_directory(const SessionKey& key) const;
  std::string record_path(const PodName& name) const;
  void discard(const std::string& directory);
  void keep_few_logs(const SessionKey& key) const;

  std::string path_;
  std::string id_;
  int lock_ = -1;
  std::uint64_t discarded_ = 0;
  asio::thread_pool remover_{1};
};

}  // namespace alcove
