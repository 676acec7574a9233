// AdminConn: one connection to the admin listener: reads a request, sees who may ask, answers, goes on or
// closes. Called by: admin_server. Thread: the admin listener's. Owns: the socket. Outlived by the server.
// Fails with: nothing; what is malformed is answered and closed.
#pragma once

#include "api/admin_server.hpp"

#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace alcove {

class AdminConn {
 public:
  static Awaitable<void> serve(AdminServer& server, Socket socket);
  ~AdminConn();
  AdminConn(const AdminConn&) = delete;
  AdminConn& operator=(const AdminConn&) = delete;

  void close();

 private:
  using Request = boost::beast::http::request<boost::beast::http::string_body>;
  using Stream = boost::beast::basic_stream<tcp, Executor>;

  AdminConn(AdminServer& server, Socket socket);
  Awaitable<void> run();
  Awaitable<bool> read(Request& request);          // false: close
  Awaitable<bool> answer(const Request& request);  // false: close
  Awaitable<Reply> reply_to(const Request& request);
  Awaitable<Reply> sessions(const Request& request, std::string path, std::string query);
  Awaitable<Reply> metrics();
  Reply ready() const;
  Awaitable<bool> send(Reply reply, const Request& request);
  Awaitable<bool> send_logs(const Request& request, SessionKey key, std::string query);
  Awaitable<bool> send_chunk(std::string text);
  bool client_gone();

  AdminServer& server_;
  Stream stream_;
  boost::beast::flat_buffer buffer_;
  Timer pause_;
};

}  // namespace alcove
