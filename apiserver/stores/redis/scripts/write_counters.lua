-- ARGV: indices... Answers {RUN, write counter and visible counter ('' if unknown) of each index}.
local answer = {RUN}
for i = 1, #ARGV do
  answer[2 * i] = redis.call('GET', RUN .. 'written:' .. ARGV[i]) or '0'
  answer[2 * i + 1] = redis.call('GET', RUN .. 'visible:' .. ARGV[i]) or ''
end
return answer
