"""A load generator of its own process: sends the requests it is given over kept connections and says how long each took.

`python -m tests.bench.load HOST PORT CONNECTIONS COUNT [RATE] < requests`, a list in JSON of requests in base64; they are sent in turn as
they stand, `@NUMBER@` in one made unlike every other of the same length. With a RATE it sends so many a second, whatever the answers do.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
import threading
import time


def main() -> None:
    host, port, connections, count = sys.argv[1], *map(int, sys.argv[2:5])
    rate = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    requests = [base64.b64decode(each) for each in json.load(sys.stdin)]
    numbers, lock = iter(range(count)), threading.Lock()
    taken: list[float] = []
    statuses: dict[str, int] = {}
    begun = time.perf_counter() + 0.2

    def work() -> None:
        with socket.create_connection((host, port), timeout=60) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            time.sleep(max(0.0, begun - time.perf_counter()))
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                due = begun + number / rate if rate else time.perf_counter()
                time.sleep(max(0.0, due - time.perf_counter()))
                line.sendall(requests[number % len(requests)].replace(b"@NUMBER@", b"%08d" % number))
                status = read_answer(line)
                with lock:
                    # From when it was due, so that a queue before the service counts.
                    taken.append(time.perf_counter() - due)
                    statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"seconds": time.perf_counter() - begun, "taken": sorted(taken), "statuses": statuses}, sys.stdout)


def read_answer(line: socket.socket) -> str:
    """One answer with a Content-Length; its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = line.recv(65536)
        if not piece:
            raise ConnectionError("the service closed the connection")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in lower else 0
    left = length - len(body)
    while left > 0:
        left -= len(line.recv(min(left, 65536)))
    return head[9:12].decode()


if __name__ == "__main__":
    main()
