-- adopt: a running pod whose record was lost. Generations only grow, so a record of an earlier one was begun anew by
-- somebody who came before the pod was found again.
--   absent, failed, starting in an earlier generation    -> ready in the pod's generation; what starts will be stale
--   pending in an earlier generation or this one         -> the same: nobody has started it yet
--   ready, same generation and UID                       told again: as it is
--   anything else                                        stale: the pod is an orphan
-- ARGV: key, generation, app, user, endpoint, pod UID, idle_timeout, max_lifetime, drain_grace, stop_grace
local r = load(ARGV[1])
local gen = tonumber(ARGV[2])
if r.state == 'ready' and r.gen == gen and r.uid == ARGV[6] then return answer(r) end
local behind = r.gen < gen and (r.state == 'absent' or r.state == 'failed' or r.state == 'starting')
if not behind and not (r.state == 'pending' and r.gen <= gen) then return stale(r, ARGV[2]) end
r.wanted, r.retry = 0, 0
r.app, r.user, r.gen, r.created = ARGV[3], ARGV[4], gen, now
r.idle, r.life, r.grace, r.stop = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
touch(r, 'adopt', now)
become_ready(r, ARGV[5], ARGV[6])
commit(r)
return answer(r)
