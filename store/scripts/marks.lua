-- marks: activity of many sessions, from a gateway's beat. Each mark counts for its generation only.
--   ready               last activity moves forward, never back; due with it
--   draining (idle)     -> ready (rescued), if the mark is later than the last activity
--   anything else       left alone
-- ARGV: key, generation, age in ms, what; key, generation, ...
for i = 1, #ARGV, 4 do
  local id, gen, when = ARGV[i], ARGV[i + 1], now - math.max(0, tonumber(ARGV[i + 2]))
  -- Reads the few fields that a mark needs: a full load for each of hundreds would hold up the server.
  local hash = P .. 's:' .. id
  local head = redis.call('HMGET', hash, 'gen', 'state', 'active', 'cause')
  if head[1] == gen and when > tonumber(head[3]) then
    if head[2] == 'ready' then
      redis.call('HSET', hash, 'active', int(when), 'what', ARGV[i + 3])
      local life = redis.call('HMGET', hash, 'idle', 'life', 'pinned', 'ready', 'due')
      local r = {state = 'ready', active = when, idle = tonumber(life[1]), life = tonumber(life[2]),
                 pinned = tonumber(life[3]), ready = tonumber(life[4])}
      local due = due_at(r)
      if due ~= tonumber(life[5]) then
        redis.call('HSET', hash, 'due', int(due))
        redis.call('ZADD', P .. 'due', int(due), id)
      end
    elseif head[2] == 'draining' and head[4] == 'idle' then
      local r = load(id)
      touch(r, ARGV[i + 3], when)
      set_ready(r)
      commit(r)
    end
  end
end
return {'ok'}
