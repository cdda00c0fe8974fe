#!/bin/sh
# Replaces the Tidemark servers behind the proxy (proxy.yml) one after the other, with the image and the settings of now: no call fails.
#   docker compose build tidemark && sh deploy/compose/rolling-restart.sh
set -eu
cd "$(dirname "$0")/../.."

wait_until_healthy() {
    tries=0
    for server in $(docker compose ps -q tidemark); do
        until [ "$(docker inspect -f '{{.State.Health.Status}}' "$server")" = healthy ]; do
            tries=$((tries + 1))
            [ "$tries" -lt 120 ] || { echo "a server is not healthy after two minutes: docker compose logs tidemark" >&2; exit 1; }
            sleep 1
        done
    done
}

wait_until_healthy
for server in $(docker compose ps -q tidemark); do
    echo "Replacing $(docker inspect -f '{{.Name}}' "$server")."
    docker stop -t 40 "$server" >/dev/null
    docker rm "$server" >/dev/null
    docker compose up -d --no-deps --no-build --no-recreate tidemark
    wait_until_healthy
    sleep 2 # until the proxy has found it
done
