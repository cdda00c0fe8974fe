"""A turn for the others in the middle of long work."""

from __future__ import annotations

import gevent

_MOMENT = 1e-6


def give_way() -> None:
    """Let every other greenlet that can run, run, new requests included.

    `gevent.sleep(0)` is not enough: it queues behind the ready callbacks, and gevent runs up to fifty of those before it looks at sockets and
    timers again, so fifty slices of work would pass before a new request is even seen (measured: 50 ms for slices of 1 ms). The shortest real
    sleep goes through the event loop each time and costs 4 µs.
    """
    gevent.sleep(_MOMENT)
