-- Before the scripts of the coordination: RUN begins each of their keys. It holds the id of this run of Redis, so that nothing is believed
-- that was written before a restart, even one that brought back an old snapshot.
local RUN = PREFIX .. string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. ':'
