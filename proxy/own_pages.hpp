// Own pages: what Alcove itself serves under /.alcove/ on the hosts of apps: sign-in and sign-out of the dev
// provider, the account page, and the waiting page's event stream. Called by exchange. Thread: the worker's.
//
//   GET  /.alcove/sign-in?to=PATH     POST /.alcove/sign-in   (form: user, to)
//   GET  /.alcove/account             POST /.alcove/sign-out
//   GET  /.alcove/signed-out          GET  /.alcove/wait?app=APP | ?session=SCOPE/NAME   (text/event-stream)
#pragma once

#include "proxy/exchange.hpp"

#include <optional>
#include <string>

namespace alcove::proxy {

// What is kept of a request for one of our own pages once its head's buffer is reused.
struct OwnRequest {
  std::string path;  // without query
  std::string query;
  bool post = false;
  bool get = false;  // or HEAD
  bool same_origin =
      true;          // by Origin and Sec-Fetch-Site: a form of another site cannot sign anybody in or out
  std::string user;  // signed in as, empty: nobody
  std::string session_name;
  std::string app;  // that the host names, or empty
};

class OwnPages {
 public:
  explicit OwnPages(Exchange& exchange) : exchange_(exchange) {}
  Awaitable<Exchange::After> serve(OwnRequest request);

 private:
  Awaitable<Exchange::After> sign_in(OwnRequest request);
  Awaitable<Exchange::After> sign_out();
  Awaitable<Exchange::After> wait_events(OwnRequest request);
  Awaitable<std::optional<std::string>> read_form();  // small, or nothing
  Awaitable<Exchange::After> page(int status, std::string html, std::string csp);
  Awaitable<Exchange::After> go(std::string to, std::string set_cookie);

  Exchange& exchange_;
};

}  // namespace alcove::proxy
