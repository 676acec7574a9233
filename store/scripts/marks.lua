-- marks: activity of many sessions, from a gateway's beat. Each mark counts for its generation only.
--   ready               last activity moves forward, never back; due with it
--   draining (idle)     -> ready (rescued), if the mark is later than the last activity
--   anything else       left alone
-- With `busy` the session is also busy for so long from the activity on.
-- ARGV: key, generation, age in ms, what, busy in ms or ''; key, generation, ...
for i = 1, #ARGV, 5 do
  local id, gen, when = ARGV[i], ARGV[i + 1], now - math.max(0, tonumber(ARGV[i + 2]))
  -- Reads the few fields that a mark needs: a full load for each of hundreds would hold up the server.
  local hash = P .. 's:' .. id
  local head = redis.call('HMGET', hash, 'gen', 'state', 'active', 'cause')
  local later, busy = when > tonumber(head[3] or 0), tonumber(ARGV[i + 4])
  if head[1] == gen and (later or busy) then
    if head[2] == 'ready' then
      if later then redis.call('HSET', hash, 'active', int(when), 'what', ARGV[i + 3]) end
      local life = redis.call('HMGET', hash, 'active', 'idle', 'life', 'pinned', 'ready', 'due', 'busy')
      local r = {state = 'ready', active = tonumber(life[1]), idle = tonumber(life[2]), life = tonumber(life[3]),
                 pinned = tonumber(life[4]), ready = tonumber(life[5]), busy = tonumber(life[7] or 0)}
      if busy then
        set_busy(r, when, busy)
        redis.call('HSET', hash, 'busy', int(r.busy))
      end
      local due = due_at(r)
      if due ~= tonumber(life[6]) then
        redis.call('HSET', hash, 'due', int(due))
        redis.call('ZADD', P .. 'due', int(due), id)
      end
    elseif head[2] == 'draining' and head[4] == 'idle' then
      local r = load(id)
      if later then touch(r, ARGV[i + 3], when) end
      if busy then set_busy(r, when, busy) end
      if later or r.busy > now then set_ready(r) end
      commit(r)
    end
  end
end
return {'ok'}
