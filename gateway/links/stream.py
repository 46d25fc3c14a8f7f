"""A byte stream to the broker, with or without TLS, that one thread reads while others may write.

The law: a write goes out whole or the stream is at its end; nothing waits longer than its limit; and a close waits
for the other side, because a socket that is closed with something unread takes back what was written last.
"""

import select
import socket
import ssl
import threading
import time

from gateway.links.link import LinkError
from gateway.mqtt import Address, tls_context

CONNECT_SECONDS = 10.0
WRITE_SECONDS = 30.0
"""How long a write may wait for a broker that does not read."""
OVER = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
"""What the kernel reports of a connection that the other side has ended; the first is Linux's alone."""
FAREWELL_SECONDS = 2.0
"""How long a close waits for the broker to have read everything and to end the connection."""
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""Asked of the kernel, so that what follows arrives while a batch is committed."""


class Stream:
    """An open connection. Raises LinkError, with one sentence, from every method but `wake` and `close`."""

    def __init__(self, address: Address, connection: socket.socket | None = None) -> None:
        """Connect, or go on with a connection that was made already."""
        where = f"{address.host}:{address.port}"
        try:
            self._socket = connection or socket.create_connection((address.host, address.port), CONNECT_SECONDS)
        except OSError as error:
            raise LinkError(f"nothing answers at {where} ({error})") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.setblocking(False)
        self._writing = threading.Lock()
        self._waker, self._woken = socket.socketpair()
        self._tls: _Tls | None = None
        if address.tls:
            try:
                self._tls = _Tls(address, self._socket, self._woken)
            except (OSError, ValueError) as error:
                self._release()
                raise LinkError(f"no TLS with {where} ({_first_sentence(error)})") from None

    def read(self, size: int, seconds: float | None) -> bytes:
        """What has arrived, at most about `size` bytes; waits up to `seconds` for the first, or until it is woken.

        Empty when none came. With `seconds` None it does not wait at all. Raises LinkError at the end of the stream.
        """
        try:
            if self._tls is not None:
                return self._tls.read(size, seconds)
            return _take(self._socket, size, seconds, self._woken)
        except (OSError, ValueError) as error:
            raise LinkError(f"the connection failed ({_first_sentence(error)})") from None

    def write(self, data: bytes) -> None:
        """Send all of it."""
        try:
            with self._writing:
                sealed = data if self._tls is None else self._tls.seal(data)
                _send(self._socket, sealed)
        except (OSError, ValueError) as error:
            raise LinkError(f"the connection failed ({_first_sentence(error)})") from None

    def is_over(self) -> bool:
        """Whether the other side has closed it; what came before may still be unread. Does not wait."""
        try:
            poll = select.poll()
            poll.register(self._socket, OVER)
            return bool(poll.poll(0))
        except (OSError, ValueError):
            return True  # we closed it

    def wake(self) -> None:
        """Make a `read` that waits, and every later one, return what is there without waiting."""
        try:
            self._waker.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it is closed already

    def close(self) -> None:
        """Let the broker read all that was written, then close; never raises."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + FAREWELL_SECONDS
            while (left := deadline - time.monotonic()) > 0 and _wait(self._socket, select.POLLIN, left):
                if not self._socket.recv(65536):
                    break
        except OSError:
            pass  # the other side was faster
        finally:
            self._release()

    def _release(self) -> None:
        for one in (self._socket, self._waker, self._woken):
            one.close()


def _take(connection: socket.socket, size: int, seconds: float | None, woken: socket.socket) -> bytes:
    """Read without waiting; where nothing is there, wait and read once more. Raises LinkError at the end."""
    for wait in (seconds, None):
        try:
            data = connection.recv(size)
        except BlockingIOError:
            if wait is None or not _wait(connection, select.POLLIN, wait, woken):
                return b""
        else:
            if not data:
                raise LinkError("the broker closed the connection")
            return data
    return b""


def _send(connection: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[connection.send(view) :]
        except BlockingIOError:
            if not _wait(connection, select.POLLOUT, WRITE_SECONDS):
                raise TimeoutError(f"the broker did not read for {WRITE_SECONDS:g} s") from None


def _wait(connection: socket.socket, event: int, seconds: float, woken: socket.socket | None = None) -> bool:
    """Whether it became ready in time; being woken ends the wait too."""
    poll = select.poll()
    poll.register(connection, event)
    if woken is not None:
        poll.register(woken, select.POLLIN)
    return any(file == connection.fileno() for file, _ in poll.poll(seconds * 1000))


def _first_sentence(error: Exception) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return str(text).strip() or type(error).__name__


class _Tls:
    """TLS by memory buffers: the session is entered under a lock, the socket is waited for outside of it."""

    def __init__(self, address: Address, connection: socket.socket, woken: socket.socket) -> None:
        self._socket, self._woken = connection, woken
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = tls_context(address).wrap_bio(self._in, self._out, server_hostname=address.host)
        self._lock = threading.Lock()
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                _send(connection, self._out.read())
                piece = _take(connection, 65536, CONNECT_SECONDS, woken)
                if not piece:
                    raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from None
                self._in.write(piece)
            else:
                _send(connection, self._out.read())
                return

    def read(self, size: int, seconds: float | None) -> bytes:
        if data := self._opened(size):
            return data
        sealed = _take(self._socket, size, seconds, self._woken)
        if not sealed:
            return b""
        with self._lock:
            self._in.write(sealed)
        return self._opened(size)

    def seal(self, data: bytes) -> bytes:
        with self._lock:
            self._session.write(data)
            return self._out.read()

    def _opened(self, size: int) -> bytes:
        pieces = []
        with self._lock:
            while size > 0:
                try:
                    piece = self._session.read(size)
                except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    break
                if not piece:
                    break
                pieces.append(piece)
                size -= len(piece)
        return b"".join(pieces)
