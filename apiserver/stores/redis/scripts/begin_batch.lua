-- Arrival numbers for a batch, and its entry among the pending batches.
-- ARGV: company, now (ms), lines, tasks... Answers {ms, offset, generation or false of each task}.
-- Lua's numbers are doubles: the two halves of an arrival number are kept apart.
local now, lines = tonumber(ARGV[2]), tonumber(ARGV[3])
local last = redis.call('HMGET', RUN .. 'seq', 'ms', 'off')
local ms, off = tonumber(last[1] or 0), tonumber(last[2] or 0)
if now > ms then ms, off = now, 0 end
if off + lines > SEQS_PER_MS then ms, off = ms + 1, 0 end
local next = off + lines
local next_ms = string.format('%.0f', ms + math.floor(next / SEQS_PER_MS))
redis.call('HSET', RUN .. 'seq', 'ms', next_ms, 'off', string.format('%.0f', next % SEQS_PER_MS))
local token = string.format('%.0f:%.0f:%.0f', ms, off, lines)
-- The entry: when it began and, if they are few, its tasks, one a line (an id has no line breaks).
local entry = redis.call('TIME')[1]
if #ARGV <= 3 + MAX_TASKS then entry = table.concat({entry, unpack(ARGV, 4)}, '\n') end
redis.call('HSET', RUN .. 'pending-batches:' .. ARGV[1], token, entry)
local answer = {string.format('%.0f', ms), string.format('%.0f', off)}
for i = 4, #ARGV do answer[#answer + 1] = redis.call('HGET', RUN .. 'task:' .. ARGV[1] .. ':' .. ARGV[i], 'generation') end
return answer
