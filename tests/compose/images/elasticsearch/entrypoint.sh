#!/bin/bash
# As the official image does: variables with a dot in their name become settings, ELASTIC_PASSWORD the first password of the user elastic.
set -e
settings=()
while IFS='=' read -r -d '' name value; do
  if [[ $name =~ ^[a-z0-9_]+\.[a-z0-9_.]+$ && -n $value ]]; then settings+=("-E$name=$value"); fi
done < <(env -0)
if [ -n "$ELASTIC_PASSWORD" ]; then
  [ -f config/elasticsearch.keystore ] || bin/elasticsearch-keystore create >/dev/null
  bin/elasticsearch-keystore list | grep -q '^bootstrap.password$' || printf '%s' "$ELASTIC_PASSWORD" | bin/elasticsearch-keystore add -x bootstrap.password
fi
exec bin/elasticsearch "${settings[@]}"
