"""A training that is asked to stop finishes its step, saves, and says so."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether and by which signal a stop was asked for."""

    def __init__(self) -> None:
        """Not yet."""
        self.signal_number: int | None = None

    def ask(self, signal_number: int, _frame: FrameType | None = None) -> None:
        """Ask for it: a signal handler. A second Ctrl-C no longer waits.

        Raises:
            KeyboardInterrupt: Ctrl-C was asked for before.
        """
        if signal_number == signal.SIGINT == self.signal_number:
            raise KeyboardInterrupt
        self.signal_number = signal_number

    @property
    def name(self) -> str | None:
        """The signal's name, such as SIGTERM; None where none came."""
        return None if self.signal_number is None else signal.Signals(self.signal_number).name


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Inside, SIGTERM and Ctrl-C ask for a stop; outside they do what they did before.

    In another thread than the main one signals cannot be had, and nothing is asked for.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    names = (signal.SIGTERM, signal.SIGINT)
    before = {name: signal.signal(name, request.ask) for name in names}
    try:
        yield request
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
