-- ARGV: random, company, tasks... Answers {RUN, revision of the events and of the document of each task}.
-- A task without revisions gets random ones, so that what is cached for it can be used again.
local answer = {RUN}
for i = 3, #ARGV do
  local key = RUN .. 'task:' .. ARGV[2] .. ':' .. ARGV[i]
  if redis.call('HSETNX', key, 'events', ARGV[1]) + redis.call('HSETNX', key, 'document', ARGV[1]) > 0 then
    redis.call('EXPIRE', key, TASK_SECONDS)
  end
  local found = redis.call('HMGET', key, 'events', 'document')
  answer[2 * i - 4], answer[2 * i - 3] = found[1], found[2]
end
return answer
