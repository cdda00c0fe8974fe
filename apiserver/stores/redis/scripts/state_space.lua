-- What the states of each company take. A state is a string: its company, a NUL, its value.
-- state-used:<company> is a sorted set, key -> time of last use; state-sizes:<company> a hash, key -> bytes; state-sizes a sorted set,
-- company -> bytes; state-size the sum. Accounts of states that expired are closed when they are the least recently used ones.
local USED, SIZES, BY_COMPANY, SIZE = PREFIX .. 'state-used:', PREFIX .. 'state-sizes:', PREFIX .. 'state-sizes', PREFIX .. 'state-size'

local function company_of(key)
  return redis.call('GETRANGE', PREFIX .. key, 0, MAX_COMPANY):match('^([^%z]*)%z')
end

local function account(company, key, change)
  local size = redis.call('ZINCRBY', BY_COMPANY, change, company)
  redis.call('INCRBY', SIZE, change)
  if tonumber(size) <= 0 then redis.call('ZREM', BY_COMPANY, company) end
end

local function forget(company, key)
  local size = redis.call('HGET', SIZES .. company, key)
  redis.call('DEL', PREFIX .. key)
  redis.call('ZREM', USED .. company, key)
  redis.call('HDEL', SIZES .. company, key)
  if size then account(company, key, -size) end
end

local function mark_used(company, key)
  local time = redis.call('TIME')
  redis.call('ZADD', USED .. company, string.format('%.0f', time[1] * 1000000 + time[2]), key)
end

local function first_of(company)
  return redis.call('ZRANGE', USED .. company, 0, 0)[1]
end

local function drop_expired(company)
  local first = first_of(company)
  while first and redis.call('EXISTS', PREFIX .. first) == 0 do
    forget(company, first)
    first = first_of(company)
  end
end

-- Keep a value and make room for it; it is the last one that would go.
local function put(company, key, value, ttl)
  local size = #value + OVERHEAD
  local before = redis.call('HGET', SIZES .. company, key) or 0
  redis.call('SET', PREFIX .. key, value, 'PX', ttl)
  redis.call('HSET', SIZES .. company, key, size)
  account(company, key, size - before)
  mark_used(company, key)
  drop_expired(company)
  while tonumber(redis.call('ZSCORE', BY_COMPANY, company)) > COMPANY_BYTES do forget(company, first_of(company)) end
  while tonumber(redis.call('GET', SIZE)) > TOTAL_BYTES do
    local largest = redis.call('ZREVRANGE', BY_COMPANY, 0, 1)
    if first_of(largest[1]) == key then largest[1] = largest[2] end
    if not largest[1] then return end
    forget(largest[1], first_of(largest[1]))
  end
end
