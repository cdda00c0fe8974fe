#!/bin/sh
# `make up`: writes .env once (passwords and keys, readable by you alone), then starts compose.
set -eu
cd "$(dirname "$0")/.."

secret() { od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

if [ ! -e .env ]; then
    umask 077
    {
        echo "# Written by make up. Keep it: Elasticsearch takes its password from here at its first start."
        echo "ELASTIC_PASSWORD=$(secret 16)"
        echo "REDIS_PASSWORD=$(secret 16)"
        echo "TIDEMARK_ACCESS_KEY=$(secret 10)"
        echo "TIDEMARK_SECRET_KEY=$(secret 24)"
    } > .env.new
    mv .env.new .env
    echo "Wrote .env."
fi
[ "${1:-}" = "--env-only" ] && exit 0

if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
else
    echo "make up needs Docker with Compose v2 (docker compose; docker-compose 1.x can't read this file). Without Docker: make run (docs/operations.md)." >&2
    exit 2
fi

# With too few memory maps Elasticsearch fails under load.
maps=$(cat /proc/sys/vm/max_map_count 2>/dev/null || echo 262144)
[ "$maps" -ge 262144 ] || echo "vm.max_map_count is $maps; Elasticsearch needs 262144: sudo sysctl -w vm.max_map_count=262144" >&2

# A new volume belongs to root, and Elasticsearch writes its snapshots as user 1000.
$compose run --rm --no-deps --user root --cap-add CHOWN --entrypoint chown elasticsearch 1000:0 /usr/share/elasticsearch/backup

$compose up -d --build "$@"

. ./.env
address=${TIDEMARK_PUBLISH:-127.0.0.1:8008}
case $address in 0.0.0.0:*) address=127.0.0.1:${address##*:} ;; *:*) ;; *) address=127.0.0.1:$address ;; esac
cat <<END

Tidemark starts on http://$address ($compose ps tells when it is healthy).

export CLEARML_API_HOST=http://$address
export CLEARML_WEB_HOST=http://$address
export CLEARML_FILES_HOST=http://$address/files
export CLEARML_API_ACCESS_KEY=$TIDEMARK_ACCESS_KEY
export CLEARML_API_SECRET_KEY=$TIDEMARK_SECRET_KEY
END
