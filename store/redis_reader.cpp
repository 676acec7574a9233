#include "store/redis_reader.hpp"

#include <hiredis/hiredis.h>

#include <new>

namespace alcove {
namespace {

// hiredis makes room for a list when it has read only its length. No answer of ours is near this.
constexpr int kMostElements = 100'000;

// hiredis builds the tree through these; the elements of a list lie in their parent, only the root is on the
// heap.
void* put(const redisReadTask* task, RedisReply&& value) {
  if (task->parent == nullptr) return new RedisReply(std::move(value));
  auto* parent = static_cast<RedisReply*>(task->parent->obj);
  RedisReply& element = parent->elements[static_cast<std::size_t>(task->idx)];
  element = std::move(value);
  return &element;
}

void* create_string(const redisReadTask* task, char* text, size_t size) {
  RedisReply reply;
  reply.kind = task->type == REDIS_REPLY_ERROR ? RedisReply::Kind::error : RedisReply::Kind::string;
  reply.text.assign(text, size);
  return put(task, std::move(reply));
}

void* create_array(const redisReadTask* task, int elements) {
  if (elements > kMostElements) return nullptr;
  RedisReply reply;
  reply.kind = RedisReply::Kind::array;
  reply.elements.resize(static_cast<std::size_t>(elements));
  return put(task, std::move(reply));
}

void* create_integer(const redisReadTask* task, long long value) {
  RedisReply reply;
  reply.kind = RedisReply::Kind::integer;
  reply.integer = value;
  return put(task, std::move(reply));
}

void* create_nil(const redisReadTask* task) {
  return put(task, RedisReply());
}

void free_object(void* reply) {
  delete static_cast<RedisReply*>(reply);
}

redisReplyObjectFunctions object_functions{create_string, create_array, create_integer, create_nil,
                                           free_object};

}  // namespace

std::string format_redis_command(const RedisArgv& argv) {
  std::vector<const char*> words;
  std::vector<std::size_t> sizes;
  for (const std::string& word : argv) {
    words.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* formatted = nullptr;
  const int size =
      redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), words.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();
  std::string command(formatted, static_cast<std::size_t>(size));
  redisFreeCommand(formatted);
  return command;
}

RedisReader::RedisReader() : reader_(redisReaderCreateWithFunctions(&object_functions)) {
  if (!reader_) throw std::bad_alloc();
}

void RedisReader::Free::operator()(redisReader* reader) const {
  redisReaderFree(reader);
}

void RedisReader::feed(std::string_view bytes) {
  redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

Result<std::optional<RedisReply>> RedisReader::next() {
  void* object = nullptr;
  if (redisReaderGetReply(reader_.get(), &object) != REDIS_OK)
    return Error{Errc::unavailable, std::string("this is not Redis: ") + reader_->errstr};
  if (object == nullptr) return std::optional<RedisReply>();
  const std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(object));
  return std::optional<RedisReply>(std::move(*reply));
}

}  // namespace alcove
