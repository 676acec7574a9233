// Wake: may this request start a pod that is at rest? A person who opens a page may, and so may a program
// that is no browser; the background requests of a forgotten tab, a link preview or a monitor may not, or
// pods would never rest. What runs is used by all of them. Step 4 of the way of a request, before the store
// is asked. Called by exchange. Pure; any thread. Source: Fetch Metadata (W3C) for what browsers say about a
// request.
#pragma once

#include "base/failure.hpp"
#include "config/settings.hpp"
#include "proxy/head.hpp"

#include <cstdint>
#include <string_view>

namespace alcove::proxy {

// Why a request may not wake a pod.
enum class Sleep : std::uint8_t {
  none,        // it may
  background,  // a page's script, image or WebSocket
  prefetch,    // a browser's guess that somebody may want the page
  bot,         // a crawler, preview or monitor by its User-Agent
  count_
};
std::string_view name_of(Sleep why);

Sleep why_not_wake(const RequestHead& head, const WakeSettings& wake);

// 424: what the request depends on is not there, and asking again soon will not help.
Failure not_woken(Sleep why);

}  // namespace alcove::proxy
