"""The notice that a worker's machine is about to be taken away: SIGTERM to its process.

The worker ends its epochs, hands its trials back with their checkpoints, and leaves.
"""

import os
import signal
from types import FrameType

from search.execution.messages import LEFT


class Notice:
    """The notice that one worker has got, or not.

    Attributes:
        given: True once the signal has come.
        idle: True while the worker has nothing to hand back.
    """

    def __init__(self) -> None:
        self.given, self.idle = False, False
        self._pid = os.getpid()

    def heed(self) -> None:
        """From now on this process listens for the signal."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a fork of the trainer's, such as a loader of data
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        self.given = True
        if self.idle:
            os._exit(LEFT)
