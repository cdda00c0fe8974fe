-- ARGV: key, milliseconds to live. Answers 1 if there is such a state.
if redis.call('PEXPIRE', PREFIX .. ARGV[1], ARGV[2]) == 0 then return 0 end
mark_used(company_of(ARGV[1]), ARGV[1])
return 1
