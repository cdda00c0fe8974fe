-- ARGV: company, index of statistics, tasks... Answers {RUN, visible counter or '', the pending documents of each task}.
local answer = {RUN, redis.call('GET', RUN .. 'visible:' .. ARGV[2]) or ''}
for i = 3, #ARGV do answer[i] = redis.call('HGETALL', RUN .. 'pending:' .. ARGV[1] .. ':' .. ARGV[i]) end
return answer
