-- ARGV: company, tasks... Answers the tokens of the batches that are pending and name one of these tasks, or none at all.
local wanted = {}
for i = 2, #ARGV do wanted[ARGV[i]] = true end
local answer = {}
local all = redis.call('HGETALL', RUN .. 'pending-batches:' .. ARGV[1])
for i = 1, #all, 2 do
  local named, chosen = false, false
  for task in string.gmatch(all[i + 1], '\n([^\n]+)') do
    named, chosen = true, chosen or wanted[task]
  end
  if chosen or not named then answer[#answer + 1] = all[i] end
end
return answer
