-- claim: the next start for this provisioner.
--   a claim is past its end       that session again, same generation, new owner (whatever the limit: it is counted)
--   as many claims as the limit   {'ok'}
--   something queued              pending -> starting: the first of the scope whose turn it is
--   nothing queued                {'ok'}
-- ARGV: provisioner, max_in_progress, lease in ms
local function give(r)
  r.owner = ARGV[1]
  commit(r)
  redis.call('ZADD', P .. 'claims', int(now + tonumber(ARGV[3])), r.id)
  return answer(r)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'claims', '-inf', int(now), 'LIMIT', 0, 100)) do
  local r = load(id)
  if r.state == 'starting' then return give(r) end
  redis.call('ZREM', P .. 'claims', id)  -- its record was lost
end

if redis.call('ZCARD', P .. 'claims') >= tonumber(ARGV[2]) then return {'ok'} end

for _ = 1, 100 do
  local scope = redis.call('LINDEX', P .. 'ring', 0)
  if not scope then return {'ok'} end
  local id = redis.call('LINDEX', P .. 'q:' .. scope, 0)
  if not id then
    redis.call('LPOP', P .. 'ring')
  else
    local r = load(id)
    if r.state == 'pending' then
      redis.call('LMOVE', P .. 'ring', P .. 'ring', 'LEFT', 'RIGHT')
      r.state = 'starting'
      r.changed = now
      return give(r)
    end
    dequeue(id)  -- its record was lost
  end
end
return {'ok'}
