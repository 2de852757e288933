"""A worker on another machine than its conductor ends when the conductor is gone.

Also in the middle of an epoch: nobody waits for it, and others may need its GPU.
"""

import os
import select
import socket
import threading
import time

FAREWELL = 5.0  # time to end in order, once the connection has ended [s]
GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


def end_with(connection: socket.socket) -> None:
    """Has this process end `FAREWELL` seconds after the connection."""
    threading.Thread(target=_watch, args=(connection,), daemon=True).start()


def _watch(connection: socket.socket) -> None:
    poll = select.poll()
    poll.register(connection, GONE)
    poll.poll()
    time.sleep(FAREWELL)
    os._exit(1)
