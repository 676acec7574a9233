-- due: what the reaper has to do now: {'ok', {key, record}, ...}.
--   ready, draining   listed as long as it is due
--   stopping          listed, and again only after stop_grace and some more: whoever asked has that long to stop it
--   anything else     no longer due
-- ARGV: limit
local answers = {'ok'}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', int(now), 'LIMIT', 0, tonumber(ARGV[1]))) do
  local r = load(id)
  if r.state == 'stopping' then
    r.due = now + r.stop + kStopSlack
    commit(r)
  end
  if r.state == 'ready' or r.state == 'draining' or r.state == 'stopping' then
    answers[#answers + 1] = {id, flat(r)}
  else
    redis.call('ZREM', P .. 'due', id)  -- its record was lost
  end
end
return answers
