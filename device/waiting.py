"""What came from the broker and waits for the loop."""

from __future__ import annotations

import logging
import queue
from collections import deque
from collections.abc import Iterable, Iterator

from firmware_config.broker import Incoming

log = logging.getLogger("latchkey.waiting")


class Waiting(queue.Queue[Incoming]):
    """Messages in order. Any thread may put them in, one takes them out.

    Rules for a document where there are too many messages, or too many bytes, for it to wait as any other:
    - older ones on its topic go: nobody sends the newest once more, and it says all that they do;
    - the number of messages is nothing to it then, their bytes are: a document that gives way goes too, or else the
      newest stays out and all is as before.
    As long as there is room none replaces another: somebody's noise must not take the place of a list.
    """

    @property
    def waiting_bytes(self) -> int:
        """Of all that wait."""
        with self.mutex:
            return _size(self.queue)

    def put_document(self, document: Incoming, most: int, giving_way: str = "") -> bool:
        """most: bytes that may wait in all. giving_way: the topic of a document that goes where there is no room
        otherwise. False: no room."""
        with self.mutex:
            waiting = [*self.queue, document]
            if self._qsize() >= self.maxsize or _size(waiting) > most:
                waiting = [*(message for message in self.queue if message.topic != document.topic), document]
            if _size(waiting) > most:
                waiting = [message for message in waiting if message.topic != giving_way]
            if _size(waiting) > most:
                return False
            if len(waiting) <= len(self.queue):
                log.error("The loop does not keep up: older documents than one on %s go.", document.topic)
            self.queue = deque(waiting)
            self.not_empty.notify()
            return True

    def some(self, most: int) -> Iterator[Incoming]:
        """Those that wait now, one by one, `most` of them at most."""
        for _ in range(min(self.qsize(), most)):
            try:
                message = self.get_nowait()
            except queue.Empty:  # documents went meanwhile
                return
            yield message


def _size(messages: Iterable[Incoming]) -> int:
    return sum(len(message.payload) for message in messages)
