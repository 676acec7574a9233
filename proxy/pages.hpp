// Pages: the HTML that Alcove shows itself. Pure functions to text; the templates are in pages.cpp,
// self-contained (no other file is asked for), readable without JavaScript, dark and light, and under a
// strict Content-Security-Policy. Text from outside is escaped here. Thread: any.
#pragma once

#include <string>
#include <string_view>

namespace alcove::proxy {

struct Page {
  std::string html;
  std::string csp;  // value for Content-Security-Policy (with the nonce or hash of its script and style)
};

// The waiting page. Its script listens to `events_url` (SSE, events named "state" whose data is JSON
//   {"state":"pending|starting|ready|failed", "place":3, "queued":12, "reason":"...", "retry_in_s":4})
// and when ready loads the page's own address again, which is the deep link (and its fragment) first asked
// for.
Page waiting_page(std::string_view app, std::string_view user, std::string_view events_url);

// Sign-in: asks for a name only, and says that this is the dev provider. `to`: local path to go to afterwards
// (already checked). `problem`: shown above the form if not empty.
Page sign_in_page(std::string_view to, std::string_view problem);
// "You are signed in as ada" with the sign-out button (POST to /.alcove/sign-out).
Page account_page(std::string_view user);
Page signed_out_page();
Page error_page(int status, std::string_view title, std::string_view text, std::string_view end_code,
                std::string_view request_id);

// A path of this host that can be gone to after sign-in: begins with one '/', no control characters, no
// backslash.
bool is_local_path(std::string_view to);

}  // namespace alcove::proxy
