// The files of demo/assets, compiled in. Called by server and pod. Constant, any thread.
#pragma once

#include <string_view>

namespace alcove::demo {

extern const std::string_view kPage;  // a template: {{user}} and so on are filled by pod.cpp
extern const std::string_view kStyle;
extern const std::string_view kScript;
extern const std::string_view kIcon;

}  // namespace alcove::demo
