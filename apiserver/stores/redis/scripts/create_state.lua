-- ARGV: company, key, company and value, milliseconds to live.
put(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
