-- ARGV: company, number. Answers {RUN, the last number, the documents changed after ARGV[2], or false if the list does not reach back so far}.
local changes = RUN .. 'changes:' .. ARGV[1]
local last = redis.call('GET', changes .. ':last') or '0'
if tonumber(ARGV[2]) < tonumber(redis.call('GET', changes .. ':forgotten') or '0') then return {RUN, last, false} end
return {RUN, last, redis.call('ZRANGEBYSCORE', changes, '(' .. ARGV[2], '+inf')}
