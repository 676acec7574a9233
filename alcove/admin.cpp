#include "alcove/admin.hpp"

#include <boost/asio/post.hpp>

namespace alcove {

Admin::Admin(AdminServer::Parts parts, const Stores& stores) : store_(stores.make(io_)) {
  parts.store = store_.get();
  parts.checks.push_back(
      {"store", [store = store_.get(), where = stores.where()]() -> std::optional<std::string> {
         if (store->connected()) return std::nullopt;
         return where + " cannot be reached";
       }});
  server_ = std::make_unique<AdminServer>(io_, std::move(parts));
}

Admin::~Admin() {
  stop();
}

Result<void> Admin::bind(ListeningSocket inherited) {
  return server_->bind(std::move(inherited));
}

void Admin::stop_accepting() {
  asio::post(io_, [this] { server_->stop_accepting(); });
}

void Admin::start() {
  server_->start();
  thread_ = std::thread([this] { io_.run(); });
}

void Admin::reload(SettingsPtr settings) {
  asio::post(io_, [this, settings = std::move(settings)] { server_->reload(settings); });
}

void Admin::stop() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    server_->stop();
    store_->close();
  });
  thread_.join();
}

}  // namespace alcove
