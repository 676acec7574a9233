-- What every script begins with (put before it at build time): the time, a record in and out, and everything
-- that follows from a record's change. The rules are those of store/transitions.cpp, under the same names.
--
-- KEYS[1] is the prefix P = "{alcove}:". Its hash tag keeps all keys on one slot of a Redis Cluster:
--   P s:<key>      hash    the record
--   P present      zset    keys that are not absent, score 0: read in the order of the names
--   P due          zset    key -> when the reaper looks at it next
--   P q:<scope>    list    keys that wait for a provisioner
--   P ring         list    scopes that have such a list, in the order in which they are served
--   P queued       number  of keys in all these lists
--   P claims       zset    key -> end of the claim
--   P drains       zset    key#generation -> epoch: exactly what is draining now
--   P epoch        number  grows with every drain
--   P gateways     zset    gateway -> end of its lease
--   P seen         hash    gateway -> epoch of drains that it has followed
--   P transitions  channel one tab-separated line each, see publish() below
--
-- Answers: {'ok', ...} or {<name of Errc>, <text for people>}.
local P = KEYS[1]
local kRemember = 7 * 24 * 3600 * 1000
local kStopSlack = 30000

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function int(n) return string.format('%.0f', n) end
local function scope_of(id) return string.match(id, '^[^/]*') end

-- The epoch of the last drain. It begins with the time, not with 0, so that it never falls behind what gateways have
-- seen of a server that was emptied since.
local function epoch()
  local found = redis.call('GET', P .. 'epoch')
  if not found then
    found = int(now)
    redis.call('SET', P .. 'epoch', found)
  end
  return found
end

local kTexts = {'app', 'user', 'state', 'ep', 'uid', 'cause', 'reason', 'what', 'owner'}
local kNumbers = {'gen', 'wanted', 'pinned', 'busy', 'fails', 'idle', 'life', 'grace', 'stop', 'created', 'ready', 'changed',
                  'active', 'retry', 'due', 'epoch'}

-- A record that is not there is absent in generation 0.
local function load(id)
  local r = {}
  local flat = redis.call('HGETALL', P .. 's:' .. id)
  for i = 1, #flat, 2 do r[flat[i]] = flat[i + 1] end
  for _, field in ipairs(kTexts) do r[field] = r[field] or '' end
  for _, field in ipairs(kNumbers) do r[field] = tonumber(r[field]) or 0 end
  if r.state == '' then r.state = 'absent' end
  if r.cause == '' then r.cause = 'none' end
  r.id = id
  r.was = {state = r.state, gen = r.gen, cause = r.cause, due = r.due, epoch = r.epoch}
  return r
end

local function flat(r)
  local fields = {}
  for _, field in ipairs(kTexts) do
    fields[#fields + 1] = field
    fields[#fields + 1] = r[field]
  end
  for _, field in ipairs(kNumbers) do
    fields[#fields + 1] = field
    fields[#fields + 1] = int(r[field])
  end
  return fields
end

local function answer(r) return {'ok', r.id, flat(r)} end

local function stale(r, meant)
  return {'stale', r.id .. ' is ' .. r.state .. ' in generation ' .. int(r.gen) .. ', not as generation ' .. meant ..
                   ' was known'}
end

local function enqueue(id)
  local scope = scope_of(id)
  if redis.call('RPUSH', P .. 'q:' .. scope, id) == 1 then redis.call('RPUSH', P .. 'ring', scope) end
  redis.call('INCR', P .. 'queued')
end

local function dequeue(id)
  local scope = scope_of(id)
  if redis.call('LREM', P .. 'q:' .. scope, 1, id) == 1 then redis.call('DECR', P .. 'queued') end
  if redis.call('LLEN', P .. 'q:' .. scope) == 0 then redis.call('LREM', P .. 'ring', 0, scope) end
end

local function publish(r)
  local ready = r.state == 'ready'
  redis.call('PUBLISH', P .. 'transitions', table.concat({
    '1', r.id, int(r.gen), r.state, r.cause, ready and r.ep or '', ready and r.uid or '',
    r.state == 'failed' and r.reason or ''}, '\t'))
end

-- Writes the record and brings everything in line that follows from it; pushes the transition if it is one.
local function commit(r)
  local was = r.was
  local hash = P .. 's:' .. r.id
  redis.call('HSET', hash, unpack(flat(r)))
  if r.state ~= was.state then
    if was.state == 'pending' then dequeue(r.id) end
    if r.state == 'pending' then enqueue(r.id) end
    if was.state == 'starting' then redis.call('ZREM', P .. 'claims', r.id) end
    if r.state == 'absent' then
      redis.call('ZREM', P .. 'present', r.id)
    else
      redis.call('ZADD', P .. 'present', 0, r.id)
    end
    if r.state == 'absent' or r.state == 'failed' then
      redis.call('PEXPIRE', hash, kRemember)
    else
      redis.call('PERSIST', hash)
    end
  end
  if r.epoch ~= was.epoch then
    if was.epoch ~= 0 then redis.call('ZREM', P .. 'drains', r.id .. '#' .. int(was.gen)) end
    if r.epoch ~= 0 then redis.call('ZADD', P .. 'drains', int(r.epoch), r.id .. '#' .. int(r.gen)) end
  end
  if r.due ~= was.due then
    if r.due == 0 then
      redis.call('ZREM', P .. 'due', r.id)
    else
      redis.call('ZADD', P .. 'due', int(r.due), r.id)
    end
  end
  if r.state ~= was.state or r.gen ~= was.gen or r.cause ~= was.cause then publish(r) end
end

local function rescuable(r) return r.state == 'draining' and r.cause == 'idle' end

-- Where the idle time ends. 0: never.
local function idle_at(r)
  if r.pinned == 1 or r.idle == 0 then return 0 end
  return math.max(math.max(r.active, r.ready) + r.idle, r.busy)
end

-- When the reaper has to look at it next. 0: never.
local function due_at(r)
  if r.state == 'draining' then return r.cause == 'idle' and r.changed + r.grace or r.changed end
  if r.state ~= 'ready' then return 0 end
  local idle = idle_at(r)
  if r.life == 0 then return idle end
  local lifetime = r.ready + r.life
  return idle == 0 and lifetime or math.min(idle, lifetime)
end

local function touch(r, what, when)
  r.active = when
  r.what = what
end

local function set_busy(r, from, busy_for) r.busy = busy_for > 0 and from + busy_for or 0 end

-- Put to rest, or never there. What was lost while it was in use is not: its user is still there.
local function at_rest(r)
  if r.cause ~= 'lost' and r.cause ~= 'failed' then return true end
  return r.idle > 0 and now >= r.active + r.idle
end

local function set_ready(r)
  r.state = 'ready'
  r.cause = 'none'
  r.reason = ''
  r.changed = now
  r.epoch = 0
  r.due = due_at(r)
end

local function become_ready(r, endpoint, uid)
  r.ep = endpoint
  r.uid = uid
  r.ready = now
  r.fails = 0
  r.owner = ''
  set_ready(r)
end

local function become_pending(r)
  r.gen = r.gen + 1
  r.state = 'pending'
  r.cause = 'none'
  r.reason = ''
  r.ep = ''
  r.uid = ''
  r.wanted = 0
  r.created = now
  r.changed = now
  r.ready = 0
  r.retry = 0
  r.busy = 0
  r.due = 0
  r.epoch = 0
  touch(r, 'acquire', now)
end

local function become_stopping(r, cause)
  r.state = 'stopping'
  r.cause = cause
  r.changed = now
  r.due = now + r.stop + kStopSlack
  r.epoch = 0
  r.owner = ''
end

local function become_absent(r, cause, reason)
  r.state = 'absent'
  r.cause = cause
  r.reason = reason
  r.ep = ''
  r.uid = ''
  r.wanted = 0
  r.changed = now
  r.retry = 0
  r.due = 0
  r.epoch = 0
  if cause == 'deleted' then
    r.pinned = 0
    r.fails = 0
  end
end

local function end_or_begin_next(r, reason)
  if r.wanted == 1 then
    become_pending(r)
  else
    become_absent(r, r.cause, reason)
  end
end
