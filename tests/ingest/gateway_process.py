"""A gateway in a process of its own, to be killed: settings come from the environment."""

import threading

from config.clock import SystemClock
from config.settings import Settings
from gateway.receiver import Receiver
from storage.database import Database


def main() -> None:
    settings = Settings()
    receiver = Receiver(settings, Database(settings.database_url), SystemClock(), lambda *_: None)
    receiver.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
