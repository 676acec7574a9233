// Admin: the admin listener with its thread, io_context and store. Called by: app.
// Thread: made and asked by the main thread. Fails with: as AdminServer::bind.
#pragma once

#include "alcove/stores.hpp"
#include "api/admin_server.hpp"

#include <memory>
#include <thread>

namespace alcove {

class Admin {
 public:
  // `parts` without a store: it has its own, whose link is one of the checks of /readyz.
  Admin(AdminServer::Parts parts, const Stores& stores);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // So that a port in use is known before anything else begins. `inherited`: a predecessor's socket, or none.
  Result<void> bind(ListeningSocket inherited);
  void start();
  Result<ListeningSocket> duplicate() const { return server_->duplicate(); }
  void stop_accepting();  // a successor does
  void reload(SettingsPtr settings);
  void stop();  // returns when the thread has ended
  Endpoint endpoint() const { return server_->endpoint(); }

 private:
  asio::io_context io_{1};
  std::unique_ptr<Store> store_;
  std::unique_ptr<AdminServer> server_;
  std::thread thread_;
};

}  // namespace alcove
