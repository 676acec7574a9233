-- busy: the app or an operator says that the session is in use for so long, whatever else is seen of it.
--   absent                       not_found
--   draining (idle), not over    -> ready (rescued)
--   ready                        due again, with the time at which it is no longer busy
--   anything else                remembered
-- ARGV: key, for how long in ms (0: no longer busy)
local r = load(ARGV[1])
if r.state == 'absent' then return {'not_found', 'no session ' .. r.id} end
set_busy(r, now, tonumber(ARGV[2]))
if r.busy > now and rescuable(r) then
  set_ready(r)
elseif r.state == 'ready' then
  r.due = due_at(r)
end
commit(r)
return answer(r)
