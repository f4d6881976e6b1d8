"""The server's ceiling: the same files over raw sockets, requests made before the clock starts.

    python bare_http.py PORT BUCKET FOLDER THREADS

Nothing is parsed but each answer's status and length. Prints the seconds of the load alone.
"""

from __future__ import annotations

import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

port, bucket, folder, threads = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])


def request(path: Path) -> bytes:
    content = path.read_bytes()
    name = quote(str(path.relative_to(folder)), safe="")
    head = (
        f"POST /upload/storage/v1/b/{bucket}/o?uploadType=media&name={name} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def send(requests: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = connection.makefile("rb")
        for message in requests:
            connection.sendall(message)
            if b" 200 " not in answers.readline():
                raise SystemExit("the server refused an upload")
            length = 0
            while (line := answers.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.read(length)


paths = sorted(folder.rglob("*.json"))
shares = [[request(path) for path in paths[number::threads]] for number in range(threads)]
began = time.monotonic()
with ThreadPoolExecutor(threads) as pool:
    list(pool.map(send, shares))
sys.stdout.write(f"{time.monotonic() - began}\n")
