-- Something is stored: raises the write counters of its indices and the revisions of its tasks, and finishes its pending batch.
-- ARGV: company, token or '', random, JSON [[task, indices...], ...], JSON [index, ...], index of statistics, JSON {task: [document, ...]}.
-- The key pending:company:task holds document -> write counter of its last write, '#' -> the highest counter in it, and '*' -> the counter up
-- to which documents are missing from it.
local company, token, random, statistics = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local time = redis.call('TIME')

if token ~= '' then
  local batches, finished = RUN .. 'pending-batches:' .. company, RUN .. 'finished-batches:' .. company
  redis.call('HDEL', batches, token)
  redis.call('ZADD', finished, time[1] .. '.' .. string.format('%06d', time[2]), token)
  redis.call('ZREMRANGEBYSCORE', finished, '-inf', time[1] - FINISHED_SECONDS)
  redis.call('EXPIRE', finished, TASK_SECONDS)
  if redis.call('HLEN', batches) > 100 then
    local all = redis.call('HGETALL', batches)
    for i = 1, #all, 2 do
      if tonumber(string.match(all[i + 1], '%d+')) + BATCH_SECONDS < tonumber(time[1]) then redis.call('HDEL', batches, all[i]) end
    end
  end
end

local changes = RUN .. 'changes:' .. company
local function list_changed_document(task)
  local number = redis.call('INCR', changes .. ':last')
  redis.call('ZADD', changes, number, task)
  redis.call('EXPIRE', changes, TASK_SECONDS)
  local extra = redis.call('ZCARD', changes) - MAX_CHANGES
  if extra > 0 then
    redis.call('SET', changes .. ':forgotten', redis.call('ZRANGE', changes, extra - 1, extra - 1, 'WITHSCORES')[2])
    redis.call('ZREMRANGEBYRANK', changes, 0, extra - 1)
  end
end

local counters = {}
local function raise_counter(index)
  if not counters[index] then counters[index] = string.format('%.0f', redis.call('INCR', RUN .. 'written:' .. index)) end
  return counters[index]
end

local documents_of = cjson.decode(ARGV[7])
local function list_pending_documents(task, counter)
  local key = RUN .. 'pending:' .. company .. ':' .. task
  local last, visible = redis.call('HGET', key, '#'), redis.call('GET', RUN .. 'visible:' .. statistics)
  if last and visible and tonumber(visible) >= tonumber(last) then redis.call('DEL', key) end
  local documents = documents_of[task]
  if documents and redis.call('HLEN', key) + #documents <= MAX_PENDING then
    for _, document in ipairs(documents) do redis.call('HSET', key, document, counter) end
    redis.call('HSET', key, '#', counter)
  else
    redis.call('DEL', key)
    redis.call('HSET', key, '*', counter, '#', counter)
  end
  redis.call('EXPIRE', key, TASK_SECONDS)
end

for _, entry in ipairs(cjson.decode(ARGV[4])) do
  local task = entry[1]
  local key = RUN .. 'task:' .. company .. ':' .. task
  redis.call('HSETNX', key, 'events', random)
  redis.call('HINCRBY', key, 'events', 1)
  for i = 2, #entry do
    local index = entry[i]
    if index == DOCUMENT then
      redis.call('HSETNX', key, 'document', random)
      redis.call('HINCRBY', key, 'document', 1)
      list_changed_document(task)
    else
      redis.call('HSET', key, 'written:' .. index, raise_counter(index))
      if index == statistics then list_pending_documents(task, raise_counter(index)) end
    end
  end
  redis.call('EXPIRE', key, TASK_SECONDS)
end
for _, index in ipairs(cjson.decode(ARGV[5])) do raise_counter(index) end
return 1
