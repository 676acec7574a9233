-- lost: the pod died by itself. The UID must be the record's, if the record has one.
--   ready, draining (idle)         -> absent, cause lost
--   draining (forced), stopping    as gone: -> absent with its cause, or pending if wanted
--   anything else                  stale
-- ARGV: key, generation, pod UID, reason
local r = load(ARGV[1])
local has_pod = r.state == 'ready' or r.state == 'draining' or r.state == 'stopping'
if not has_pod or int(r.gen) ~= ARGV[2] or (r.uid ~= '' and r.uid ~= ARGV[3]) then return stale(r, ARGV[2]) end
if r.state == 'ready' or rescuable(r) then
  become_absent(r, 'lost', ARGV[4])
else
  end_or_begin_next(r, ARGV[4])
end
commit(r)
return answer(r)
