-- begin_stop: past this point no request can reach the pod.
--   draining (idle), grace not over              busy
--   draining, a gateway whose lease runs has     busy, and which gateway
--     not seen this drain
--   draining                                     -> stopping
--   anything else                                stale
-- Gateways whose lease is over are forgotten: they surely serve from no cached route any more.
-- ARGV: key, generation
local r = load(ARGV[1])
if int(r.gen) ~= ARGV[2] or r.state ~= 'draining' then return stale(r, ARGV[2]) end
if r.cause == 'idle' and now < r.changed + r.grace then
  return {'busy', r.id .. ' can be rescued for ' .. int(r.changed + r.grace - now) .. ' ms more'}
end
for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', P .. 'gateways', '-inf', int(now))) do
  redis.call('ZREM', P .. 'gateways', gateway)
  redis.call('HDEL', P .. 'seen', gateway)
end
for _, gateway in ipairs(redis.call('ZRANGE', P .. 'gateways', 0, -1)) do
  if (tonumber(redis.call('HGET', P .. 'seen', gateway)) or 0) < r.epoch then
    return {'busy', r.id .. ': gateway ' .. gateway .. ' has not seen the drain yet'}
  end
end
become_stopping(r, r.cause)
commit(r)
return answer(r)
