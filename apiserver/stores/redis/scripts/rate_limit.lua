-- A sliding window in 100 slots. A hit leaves when its slot has left the window, so the count is at most 1 % of the window late.
-- ARGV: key, limit, window (s), weight. Answers {1 if allowed, hits in the window, seconds until the first of them leaves}.
local key, limit, window, weight = PREFIX .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local width = window / 100
local slots = redis.call('HGETALL', key)
local used, first = 0, nil
for i = 1, #slots, 2 do
  local leaves = (tonumber(slots[i]) + 1) * width + window
  if leaves <= now then
    redis.call('HDEL', key, slots[i])
  else
    used = used + tonumber(slots[i + 1])
    if not first or leaves < first then first = leaves end
  end
end
local allowed = used + weight <= limit
if allowed then
  local slot = math.floor(now / width)
  redis.call('HINCRBY', key, string.format('%.0f', slot), weight)
  redis.call('PEXPIRE', key, math.ceil((window + width) * 1000))
  used = used + weight
  first = first or (slot + 1) * width + window
end
return {allowed and 1 or 0, used, tostring(first and math.max(first - now, 0) or 0)}
