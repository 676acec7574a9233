-- beat: a gateway worker is alive for `lease`, has followed the drains up to `seen`, and has reported every use
-- of their sessions. Its marks went before, in marks.lua, so that what begin_stop concludes from `seen` is true.
--   always   {'ok', epoch, {key#generation, ...}}: the drains after `seen`. The epoch is that of the last one
--            listed if there are too many for one answer.
-- ARGV: gateway, seen, lease in ms, most drains in an answer
redis.call('ZADD', P .. 'gateways', int(now + tonumber(ARGV[3])), ARGV[1])
redis.call('HSET', P .. 'seen', ARGV[1], ARGV[2])
local upto = epoch()
local most = tonumber(ARGV[4])
local found = redis.call('ZRANGEBYSCORE', P .. 'drains', '(' .. ARGV[2], '+inf', 'LIMIT', 0, most + 1)
if #found > most then
  found[#found] = nil
  upto = int(redis.call('ZSCORE', P .. 'drains', found[#found]))
end
return {'ok', upto, found}
