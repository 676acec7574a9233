// The chunked decoder (RFC 9112 7.1; rule 4) against one that is written as the grammar is: takes the whole
// text, looks for line ends, and knows no state. The two agree on what is a body, on its bytes and on where
// it ends, however the text is cut; and what the product frames anew is read back as it was.
#include "proxy/body.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/wire.hpp"

#include <vector>

namespace alcove::fuzz {
namespace {

using Status = proxy::ChunkDecoder::Status;

// The bounds that the decoder's header promises.
constexpr std::size_t kMostDigits = 16;
constexpr std::uint64_t kMostSize = std::uint64_t{1} << 60;
constexpr std::size_t kMostExtension = 512;
constexpr std::size_t kMostTrailers = 8 * 1024;

struct Decoded {
  Status status = Status::more;
  std::string payload;
  std::size_t consumed = 0;
};

bool is_text(std::string_view text) {
  for (const char c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) return false;
  return true;
}

// Status::more means here only that no line, chunk or trailer is malformed that has come to its end.
Decoded decode_by_grammar(std::string_view text) {
  Decoded out;
  const auto bad = [&out] {
    out.status = Status::bad;
    return out;
  };
  std::string_view rest = text;
  std::size_t trailers = 0;
  bool last = false;
  for (;;) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) return out;
    std::string_view line = rest.substr(0, end);
    if (!line.ends_with('\r')) return bad();
    line.remove_suffix(1);
    rest.remove_prefix(end + 1);
    if (!is_text(line)) return bad();
    if (last) {
      if (line.empty()) break;
      const auto colon = line.find(':');
      if (colon == std::string_view::npos || colon == 0) return bad();
      if (line.substr(0, colon).find_first_of(" \t") != std::string_view::npos) return bad();
      trailers += line.size();
      if (trailers > kMostTrailers) return bad();
      continue;
    }
    const auto digits = std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
    if (digits == 0 || digits > kMostDigits || (digits < line.size() && line[digits] != ';')) return bad();
    if (line.size() - digits > kMostExtension + 1) return bad();
    const std::uint64_t size = std::stoull(std::string(line.substr(0, digits)), nullptr, 16);
    if (size >= kMostSize) return bad();
    if (size == 0) {
      last = true;
      continue;
    }
    out.payload += rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(size, rest.size())));
    if (rest.size() < size + 2)
      return std::string_view("\r\n").starts_with(rest.substr(std::min<std::uint64_t>(size, rest.size())))
                 ? out
                 : bad();
    if (rest.substr(size, 2) != "\r\n") return bad();
    rest.remove_prefix(size + 2);
  }
  out.status = Status::done;
  out.consumed = text.size() - rest.size();
  return out;
}

Decoded decode(std::string_view text, Cuts cuts) {
  proxy::ChunkDecoder decoder;
  Decoded out;
  while (out.status == Status::more && out.consumed < text.size()) {
    // A block of its own, so that AddressSanitizer sees a step beyond it.
    const std::string_view cut = text.substr(out.consumed, cuts.next(text.size() - out.consumed));
    std::vector<char> piece(cut.begin(), cut.end());
    const auto step = decoder.decode(piece.data(), piece.size());
    require(step.payload <= step.consumed && step.consumed <= piece.size(), "a step stays in its piece");
    if (step.status == Status::more) require(step.consumed == piece.size(), "all of a piece is taken");
    out.payload.append(piece.data(), step.payload);
    out.consumed += step.consumed;
    out.status = step.status;
  }
  return out;
}

std::string_view name_of(Status status) {
  return status == Status::more ? "more" : status == Status::done ? "done" : "bad";
}

// As relay would send it on: framed anew in other pieces.
std::string encode(std::string_view payload, Cuts cuts) {
  std::string wire;
  proxy::ChunkSizeText size_text;
  std::size_t at = 0;
  do {
    const std::size_t size = at == payload.size() ? 0 : cuts.next(payload.size() - at);
    proxy::Gather parts;
    add_piece(parts, payload.data() + at, size, true, at + size == payload.size(), size_text);
    append(wire, parts);
    at += size;
  } while (at < payload.size());
  return wire;
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  const Input input(data, size);
  const Decoded at_once = decode(input.text(), Cuts());
  const Decoded in_pieces = decode(input.text(), input.cuts());
  require(at_once.status == in_pieces.status && at_once.payload == in_pieces.payload &&
              at_once.consumed == in_pieces.consumed,
          "pieces change nothing", name_of(at_once.status), at_once.payload, name_of(in_pieces.status),
          in_pieces.payload);

  const Decoded reference = decode_by_grammar(input.text());
  // The decoder sees at once what the reference sees at the end of the line.
  const bool early = reference.status == Status::more && at_once.status == Status::bad;
  require(early || at_once.status == reference.status, "the decoder agrees with the grammar",
          name_of(at_once.status), name_of(reference.status), input.text());
  if (at_once.status != Status::bad)
    require(at_once.payload == reference.payload, "the decoder agrees about the bytes", at_once.payload,
            reference.payload, input.text());
  if (at_once.status == Status::done)
    require(at_once.consumed == reference.consumed, "the decoder agrees about the end", input.text());

  const std::string wire = encode(input.text(), input.cuts());
  for (const Cuts& cuts : {Cuts(), input.cuts()}) {
    const Decoded back = decode(wire + "next", cuts);
    require(back.status == Status::done && back.payload == input.text() && back.consumed == wire.size(),
            "what is framed anew is read back", wire);
  }
  require(decode_by_grammar(wire).payload == input.text(), "by the grammar too", wire);
  return 0;
}
