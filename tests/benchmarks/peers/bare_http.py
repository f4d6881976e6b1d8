"""The server's ceiling: the sidecar's requests over raw sockets, made before the clock starts.

    python bare_http.py PORT BUCKET FOLDER THREADS

Nothing is parsed but each answer's status and length. Prints the seconds of the load alone, and
those of this process on cores in it.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

port, bucket, folder, threads = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])


def request(path: Path) -> bytes:
    """Return what the sidecar sends for a file: one multipart upload of a new object."""
    content = path.read_bytes()
    resource = {
        "name": str(path.relative_to(folder)),
        "contentType": "application/json",
        "metadata": {"content_sha256": hashlib.sha256(content).hexdigest()},
    }
    body = (
        b"--part\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n"
        + json.dumps(resource).encode()
        + b"\r\n--part\r\ncontent-type: application/json\r\n\r\n"
        + content
        + b"\r\n--part--"
    )
    query = "uploadType=multipart&ifGenerationMatch=0"
    head = (
        f"POST /upload/storage/v1/b/{bucket}/o?{query} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\nContent-Type: multipart/related; boundary=part\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


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
began, cpu_before = time.monotonic(), time.process_time()
with ThreadPoolExecutor(threads) as pool:
    list(pool.map(send, shares))
took, cpu = time.monotonic() - began, time.process_time() - cpu_before
sys.stdout.write(f"{took} {cpu}\n")
