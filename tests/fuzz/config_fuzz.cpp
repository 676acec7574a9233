// The config loader: any text gives settings, or faults that a person can act upon.
//   - settings or faults, never both and never neither, and the same ones again from the same text;
//   - each fault names the file, a line that the text has (or none, for what is missing), a key, and what
//     is wrong, in one printable line;
//   - no fault tells what stands under a secret key;
//   - settings that were accepted are judged to be right, once more, and stay so.
// The text is the file. ${SECRET} and ${HOST} are in the environment, nothing else is.
#include "config/loader.hpp"
#include "tests/fuzz/check.hpp"

#include <algorithm>

namespace alcove::fuzz {
namespace {

constexpr std::string_view kFile = "alcove.yaml";
constexpr std::string_view kSecret = "zq8xSECRETx8qz";

std::optional<std::string> environment(const std::string& name) {
  if (name == "SECRET") return std::string(kSecret);
  if (name == "HOST") return "example.com";
  return std::nullopt;
}

bool is_secret(std::string_view key) {
  const auto last = key.substr(std::min(key.find_last_of('.') + 1, key.size()));
  return last == "secret" || last == "token" || last == "password" || last == "url" || key == "store";
}

void check_fault(const LoadError& fault, long lines, std::string_view text) {
  const std::string shown = to_string(fault);
  require(fault.file == kFile, "a fault names the file", shown);
  require(fault.line >= 0 && fault.line <= lines, "a fault names a line that is there", shown, text);
  require(!fault.text.empty(), "a fault says what is wrong", shown);
  require(fault.line > 0 || !fault.key.empty() || fault.text.find("document") != std::string::npos ||
              fault.text.find("UTF-8") != std::string::npos || fault.text.find("YAML") != std::string::npos ||
              fault.text.find("mapping") != std::string::npos,
          "a fault without line and key is about the whole file", shown, text);
  require(shown.find('\n') == std::string::npos && printable(shown, shown.size()) == shown,
          "a fault is one printable line", shown);
  // Behind "file:" stands a path, which is no secret.
  if (is_secret(fault.key) && text.find("file:") == std::string_view::npos)
    require(shown.find(kSecret) == std::string::npos, "a fault tells no secret", shown);
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  using namespace alcove;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const LoadResult loaded = load_settings_text(text, std::string(kFile), environment);
  require((loaded.settings != nullptr) == loaded.faults.empty(), "there are settings or faults", text);

  const auto lines =
      1 + std::count(text.begin(), text.end(), '\n') + std::count(text.begin(), text.end(), '\r');
  for (const LoadError& fault : loaded.faults) check_fault(fault, lines, text);
  for (const LoadError& warning : loaded.warnings) check_fault(warning, lines, text);
  require(std::is_sorted(loaded.faults.begin(), loaded.faults.end(),
                         [](const LoadError& a, const LoadError& b) { return a.line < b.line; }),
          "faults come in the order of lines", text);

  if (loaded.settings == nullptr) return 0;
  const LoadResult again = load_settings_text(text, std::string(kFile), environment);
  require(again.settings != nullptr && *again.settings == *loaded.settings,
          "the same text is the same settings", text);
  const Judgement judged = judge_settings(*loaded.settings, std::string(kFile));
  require(judged.faults.empty(), "what was accepted is right",
          judged.faults.empty() ? "" : judged.faults[0].text, text);
  return 0;
}
