// What goes to Redis and what comes back: arguments of the scripts in store/scripts, their answers, the
// pushes. A server that answers something else is believed nothing: Errc::internal with what was wrong, never
// a crash. Called by: redis_store. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "store/redis_reply.hpp"
#include "store/store.hpp"

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace alcove::redis_codec {

// Arguments of a script, after its name and key.
RedisArgv acquire_args(const AcquireRequest& request);
RedisArgv marks_args(const std::vector<Beat::Mark>& marks, std::size_t from, std::size_t to);
RedisArgv beat_args(const Beat& beat, std::uint32_t most_drains);
RedisArgv claim_args(const ClaimRequest& request);
RedisArgv renew_args(const std::string& provisioner, Millis lease, const std::vector<SessionKey>& keys);
RedisArgv publish_ready_args(const SessionKey& key, Generation generation, const Endpoint& endpoint,
                             const std::string& pod_uid);
RedisArgv publish_failed_args(const SessionKey& key, Generation generation, const std::string& reason,
                              Millis retry_in);
RedisArgv lost_args(const SessionKey& key, Generation generation, const std::string& pod_uid,
                    const std::string& reason);
RedisArgv adopt_args(const Session& pod);
RedisArgv drain_args(const SessionKey& key, Generation generation, EndCause cause);
RedisArgv generation_args(const SessionKey& key, Generation generation);

// Answers. Each also takes a refusal ({"stale", text}) and an error of the server.
Result<void> decode_ok(const RedisReply& reply);
Result<Session> decode_session(const RedisReply& reply);
Result<std::optional<Session>> decode_claim(const RedisReply& reply);  // {"ok"}: none
Result<QueuePlace> decode_place(const RedisReply& reply);
Result<BeatReply> decode_beat(const RedisReply& reply);
Result<std::vector<SessionKey>> decode_keys(const RedisReply& reply);
Result<std::vector<Due>> decode_due(const RedisReply& reply);
Result<Store::Page> decode_page(const RedisReply& reply);
// A plain HGETALL: empty is absent.
Result<Session> decode_record(const SessionKey& key, const RedisReply& fields);

// An error of the server in our words: unavailable if another try may succeed, internal else.
Error decode_error(std::string_view text);
inline bool is_noscript(const RedisReply& reply) {
  return reply.kind == RedisReply::Kind::error && reply.text.starts_with("NOSCRIPT");
}

// What arrives on a subscribed connection.
struct NoPush {};  // a pong, the answer to SUBSCRIBE
using Push = std::variant<NoPush, Transition, Error>;
Push decode_push(const RedisReply& reply);
Result<Transition> decode_transition(std::string_view line);

}  // namespace alcove::redis_codec
