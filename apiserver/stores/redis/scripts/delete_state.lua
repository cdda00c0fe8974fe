-- ARGV: key.
local company = company_of(ARGV[1])
if company then forget(company, ARGV[1]) end
return 1
