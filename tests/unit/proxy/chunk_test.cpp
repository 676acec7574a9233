// Chunked coding taken apart, whole and byte by byte: rules 4 and 8 of the HTTP rules.
#include "proxy/chunk.hpp"

#include <gtest/gtest.h>

#include <string>

namespace alcove::proxy {
namespace {

struct Decoded {
  ChunkDecoder::Status status = ChunkDecoder::Status::more;
  std::string payload;
  std::size_t consumed = 0;
};

// Feeds `text` in pieces of `step` bytes.
Decoded decode(const std::string& text, std::size_t step) {
  ChunkDecoder decoder;
  Decoded out;
  for (std::size_t at = 0; at < text.size() && out.status == ChunkDecoder::Status::more; at += step) {
    std::string piece = text.substr(at, step);
    const ChunkDecoder::Step got = decoder.decode(piece.data(), piece.size());
    out.status = got.status;
    out.payload += piece.substr(0, got.payload);
    out.consumed += got.consumed;
  }
  return out;
}

TEST(Chunk, decodes_the_same_in_any_pieces) {
  const std::string text = "5;a=b\r\nhello\r\nA\r\n, world of \r\n6 \r\n";
  const std::string good = "5;a=b\r\nhello\r\nb\r\n, world of \r\n3\r\nall\r\n0\r\nTrailer: x\r\n\r\n";
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, good.size()}) {
    const Decoded out = decode(good, step);
    EXPECT_EQ(out.status, ChunkDecoder::Status::done) << step;
    EXPECT_EQ(out.payload, "hello, world of all") << step;
    EXPECT_EQ(out.consumed, good.size()) << step;
    EXPECT_EQ(decode(text, step).status, ChunkDecoder::Status::bad) << step;
  }
}

TEST(Chunk, leaves_what_follows_the_end) {
  const Decoded out = decode("1\r\nx\r\n0\r\n\r\nGET /", 1000);
  EXPECT_EQ(out.status, ChunkDecoder::Status::done);
  EXPECT_EQ(out.consumed, 11U);
}

TEST(Chunk, refuses_what_is_not_exactly_chunked) {
  for (const char* text : {"\r\n",
                           "g\r\n",
                           "-1\r\n",
                           "+1\r\n",
                           "0x1\r\n",
                           " 1\r\n",
                           "1 \r\n",
                           "1\nx",
                           "1\r\nxx",
                           "1\r\nx\n",
                           "1\r\nx\r\r",
                           "1;a\nb\r\n",
                           "1;a\rb\r\n",
                           "1000000000000000\r\n",
                           "fffffffffffffffff\r\n",
                           "0\r\nno colon\r\n",
                           "0\r\n: x\r\n",
                           "0\r\n folded: x\r\n",
                           "0\r\na b: x\r\n",
                           "0\r\nA: b\n",
                           "0\n\n"})
    EXPECT_EQ(decode(text, 1).status, ChunkDecoder::Status::bad) << text;
}

TEST(Chunk, bounds_sizes_extensions_and_trailers) {
  EXPECT_EQ(decode(std::string(15, '0') + "1\r\nx\r\n0\r\n\r\n", 100).status, ChunkDecoder::Status::done);
  EXPECT_EQ(decode(std::string(17, '0'), 1).status, ChunkDecoder::Status::bad);
  EXPECT_EQ(decode("1;" + std::string(2'000, 'x'), 100).status, ChunkDecoder::Status::bad);
  EXPECT_EQ(decode("0\r\nA: " + std::string(20'000, 'x'), 100).status, ChunkDecoder::Status::bad);
}

TEST(Chunk, sizes_are_written_in_hexadecimal) {
  char out[20];
  EXPECT_EQ(std::string(out, write_chunk_size(out, 500)), "1f4\r\n");
  EXPECT_EQ(std::string(out, write_chunk_size(out, SIZE_MAX)), "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace alcove::proxy
