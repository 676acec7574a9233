-- publish_ready: the pod of a claimed start can be reached.
--   starting, same generation                                     -> ready
--   ready or draining (idle), same generation, endpoint and UID   told again: as it is
--   anything else                                                 stale
-- ARGV: key, generation, endpoint, pod UID
local r = load(ARGV[1])
if int(r.gen) ~= ARGV[2] then return stale(r, ARGV[2]) end
if (r.state == 'ready' or rescuable(r)) and r.ep == ARGV[3] and r.uid == ARGV[4] then return answer(r) end
if r.state ~= 'starting' then return stale(r, ARGV[2]) end
become_ready(r, ARGV[3], ARGV[4])
commit(r)
return answer(r)
