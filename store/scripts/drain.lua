-- drain: the end begins. Every drain gets an epoch of its own, which the gateways follow.
--   cause      state                       becomes
--   idle       ready                       draining, if the idle time is over and it is not pinned, else busy
--   lifetime   ready, draining (idle)      draining (lifetime): cannot be rescued
--   deleted    ready, draining (idle)      draining (deleted)
--   deleted    draining (lifetime)         draining (deleted), the same drain
--   deleted    pending, failed             absent
--   deleted    starting                    stopping: the provisioner sees it and gives up
--   anything else                          stale
-- ARGV: key, generation, cause
local r = load(ARGV[1])
local cause = ARGV[3]
if int(r.gen) ~= ARGV[2] then return stale(r, ARGV[2]) end
if r.state == 'ready' and cause == 'idle' then
  local idle = idle_at(r)
  if idle == 0 then return {'busy', r.id .. ' never gets idle'} end
  if now < idle then return {'busy', r.id .. ' is idle in ' .. int(idle - now) .. ' ms'} end
end
if r.state == 'ready' or (cause ~= 'idle' and rescuable(r)) then
  r.state = 'draining'
  r.cause = cause
  r.changed = now
  epoch()
  r.epoch = redis.call('INCR', P .. 'epoch')
  r.due = due_at(r)
elseif cause ~= 'deleted' then
  return stale(r, ARGV[2])
elseif r.state == 'draining' and r.cause ~= 'deleted' then
  r.cause = 'deleted'
elseif r.state == 'pending' or r.state == 'failed' then
  become_absent(r, 'deleted', '')
elseif r.state == 'starting' then
  become_stopping(r, 'deleted')
else
  return stale(r, ARGV[2])
end
commit(r)
return answer(r)
