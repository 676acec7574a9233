-- renew: keeps the claims of these sessions.
--   starting and claimed by this provisioner   its claim ends later
--   anything else                              listed in the answer: {'ok', key, ...}
-- ARGV: provisioner, lease in ms, key, ...
local answers = {'ok'}
for i = 3, #ARGV do
  local found = redis.call('HMGET', P .. 's:' .. ARGV[i], 'state', 'owner')
  if found[1] == 'starting' and found[2] == ARGV[1] then
    redis.call('ZADD', P .. 'claims', int(now + tonumber(ARGV[2])), ARGV[i])
  else
    answers[#answers + 1] = ARGV[i]
  end
end
return answers
