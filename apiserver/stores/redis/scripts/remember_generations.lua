-- ARGV: company, then task, generation ('' to forget it)...
for i = 2, #ARGV, 2 do
  local key = RUN .. 'task:' .. ARGV[1] .. ':' .. ARGV[i]
  if ARGV[i + 1] == '' then redis.call('HDEL', key, 'generation') else redis.call('HSET', key, 'generation', ARGV[i + 1]) end
  redis.call('HSETNX', key, 'events', math.random(1000000000))
  redis.call('EXPIRE', key, TASK_SECONDS)
end
return 1
