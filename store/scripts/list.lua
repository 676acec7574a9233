-- list: a page of the sessions that are not absent, in the order of their keys.
--   always   {'ok', cursor, {key, record}, ...}: the cursor is '' at the end
-- ARGV: cursor ('' at first), limit
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local ids = redis.call('ZRANGEBYLEX', P .. 'present', from, '+', 'LIMIT', 0, tonumber(ARGV[2]) + 1)
local cursor = ''
if #ids > tonumber(ARGV[2]) then
  ids[#ids] = nil
  cursor = ids[#ids] or ''
end
local answers = {'ok', cursor}
for _, id in ipairs(ids) do
  local r = load(id)
  if r.state == 'absent' then
    redis.call('ZREM', P .. 'present', id)  -- its record was forgotten or lost
  else
    answers[#answers + 1] = {id, flat(r)}
  end
end
return answers
