-- publish_failed: a claimed start came to nothing.
--   starting, same generation   -> failed with the reason, one failure more, no new start before now + retry_in
--   anything else               stale
-- ARGV: key, generation, reason, retry_in in ms
local r = load(ARGV[1])
if int(r.gen) ~= ARGV[2] or r.state ~= 'starting' then return stale(r, ARGV[2]) end
r.state = 'failed'
r.cause = 'failed'
r.reason = ARGV[3]
r.fails = r.fails + 1
r.changed = now
r.retry = now + tonumber(ARGV[4])
r.due = 0
r.owner = ''
commit(r)
return answer(r)
