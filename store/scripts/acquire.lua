-- acquire: finds the session or creates it and queues its start; rescues it; marks activity.
--   absent, failed after retry_at      -> pending, next generation, queued, with this policy
--   failed before retry_at             as it is
--   pending, starting, ready           activity marked
--   draining (idle)                    -> ready (rescued), activity marked
--   draining (forced), stopping        wanted, with this policy for the next generation
--   may_start is 0: absent at rest, draining (forced) and stopping stay as they are
-- ARGV: key, app, user, idle_timeout, max_lifetime, drain_grace, stop_grace, may_start
local r = load(ARGV[1])
local may_start = ARGV[8] == '1'

local function take_order()
  r.app, r.user = ARGV[2], ARGV[3]
  r.idle, r.life, r.grace, r.stop = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
end

if r.state == 'failed' and now < r.retry then
  return answer(r)
elseif r.state == 'absent' or r.state == 'failed' then
  if not may_start and at_rest(r) then return answer(r) end
  take_order()
  become_pending(r)
elseif r.state == 'pending' or r.state == 'starting' or r.state == 'ready' then
  touch(r, 'acquire', now)
  r.due = due_at(r)
elseif rescuable(r) then
  touch(r, 'acquire', now)
  set_ready(r)
else
  if not may_start then return answer(r) end
  take_order()
  r.wanted = 1
end
commit(r)
return answer(r)
