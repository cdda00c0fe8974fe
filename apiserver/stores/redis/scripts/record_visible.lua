-- ARGV: RUN as it was when the counters were read, then index, counter... Raises the visible counters; after a restart of Redis nothing is done.
if ARGV[1] ~= RUN then return 0 end
for i = 2, #ARGV, 2 do
  local key = RUN .. 'visible:' .. ARGV[i]
  local now = redis.call('GET', key)
  if not now or tonumber(now) < tonumber(ARGV[i + 1]) then redis.call('SET', key, ARGV[i + 1]) end
end
return 1
