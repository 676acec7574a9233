-- gone: nothing of the pod is left.
--   stopping, wanted   -> pending, next generation, queued
--   stopping           -> absent
--   anything else      stale
-- ARGV: key, generation
local r = load(ARGV[1])
if int(r.gen) ~= ARGV[2] or r.state ~= 'stopping' then return stale(r, ARGV[2]) end
end_or_begin_next(r, '')
commit(r)
return answer(r)
