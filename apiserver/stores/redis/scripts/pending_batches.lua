-- ARGV: company, time. Answers the tokens of the batches that are pending, and of those that were finished since then.
local answer = redis.call('HKEYS', RUN .. 'pending-batches:' .. ARGV[1])
for _, token in ipairs(redis.call('ZRANGEBYSCORE', RUN .. 'finished-batches:' .. ARGV[1], ARGV[2], '+inf')) do answer[#answer + 1] = token end
return answer
