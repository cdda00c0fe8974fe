-- ARGV: company, tasks... Answers {RUN, the fields of each task}.
local answer = {RUN}
for i = 2, #ARGV do answer[i] = redis.call('HGETALL', RUN .. 'task:' .. ARGV[1] .. ':' .. ARGV[i]) end
return answer
