-- place: where a session stands in the start queue when the scopes are served in turn.
--   queued      {'ok', place from 1, queued in all}
--   not queued  {'ok', 0, queued in all}
-- Ahead of position p (from 0) of its own scope: p of its own, and of every other scope as many as get a turn
-- before: p, or p + 1 if the scope's turn comes first in the ring, but no more than wait there.
-- ARGV: key
local id = ARGV[1]
local own = scope_of(id)
local queued = tonumber(redis.call('GET', P .. 'queued')) or 0
local position = redis.call('LPOS', P .. 'q:' .. own, id)
if not position then return {'ok', 0, queued} end

local ahead = position
local before_own_turn = true
for _, scope in ipairs(redis.call('LRANGE', P .. 'ring', 0, -1)) do
  if scope == own then
    before_own_turn = false
  else
    local waiting = redis.call('LLEN', P .. 'q:' .. scope)
    ahead = ahead + math.min(waiting, before_own_turn and position + 1 or position)
  end
end
return {'ok', ahead + 1, queued}
