"""`python -m tests.servers`: both servers, until Ctrl-C."""

import signal

from tests.servers import ElasticsearchServer, RedisServer


def main() -> None:
    search, redis = ElasticsearchServer(), RedisServer()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        redis.start()
        search.start()
        print(f"export TIDEMARK_TEST_ELASTICSEARCH={search.url} TIDEMARK_TEST_REDIS={redis.url}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        search.close()
        redis.close()


main()
