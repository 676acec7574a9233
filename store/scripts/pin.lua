-- pin: never idle from now on, or no longer so.
--   absent                   not_found
--   draining (idle), pinned  -> ready (rescued)
--   ready                    due again without, or with, the idle time
--   anything else            remembered
-- ARGV: key, 1 or 0
local r = load(ARGV[1])
if r.state == 'absent' then return {'not_found', 'no session ' .. r.id} end
r.pinned = tonumber(ARGV[2])
if r.pinned == 1 and rescuable(r) then
  set_ready(r)
else
  if r.state == 'ready' then r.due = due_at(r) end
end
commit(r)
return answer(r)
