"""`python -m tests.servers`: both servers, until Ctrl-C."""

import argparse
import signal

from tests.servers import ElasticsearchServer, RedisServer


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers",
        description="Start an Elasticsearch and a Redis for tests and benchmarks, print the two settings that name them, and stop both with Ctrl-C.",
        epilog="TIDEMARK_TEST_ELASTICSEARCH_VERSION=9 starts Elasticsearch 9.",
    )
    parser.add_argument("--heap", default="1g", help="Elasticsearch's heap (default: %(default)s)")
    heap = parser.parse_args().heap
    search, redis = ElasticsearchServer(heap=heap), RedisServer()
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
