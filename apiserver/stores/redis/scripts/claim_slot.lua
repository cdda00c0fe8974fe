-- Slots are members of a sorted set, scored by the time when they expire.
-- ARGV: key, holder, limit, milliseconds to live. Answers 1 if the holder has a slot now.
local key, holder, limit, ttl = PREFIX .. ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
if not redis.call('ZSCORE', key, holder) and redis.call('ZCARD', key) >= limit then return 0 end
redis.call('ZADD', key, now + ttl, holder)
redis.call('PEXPIRE', key, ttl)
return 1
