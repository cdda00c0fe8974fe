-- Compare and set: the value that was read is the version.
-- ARGV: key, value as read, new value, milliseconds to live. Answers 0: no such state, 1: changed since, 2: set.
local now = redis.call('GET', PREFIX .. ARGV[1])
if not now then return 0 end
if now ~= ARGV[2] then return 1 end
put(company_of(ARGV[1]), ARGV[1], ARGV[3], ARGV[4])
return 2
