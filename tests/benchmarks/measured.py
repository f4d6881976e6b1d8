"""Runs a command and writes what it took as JSON: wall_sec, cpu_sec, peak_mb, exit_code.

    python -I -S measured.py RESULT_FILE COMMAND …

A process of its own, and a small one: Linux counts the memory of whoever forks a command as the
command's, so a benchmark with much in memory can't start what it measures.
"""

import json
import os
import sys
import time

result_file, *command = sys.argv[1:]
began = time.monotonic()
child = os.posix_spawnp(command[0], command, os.environ)
_, status, used = os.wait4(child, 0)
took = {
    "wall_sec": time.monotonic() - began,
    "cpu_sec": used.ru_utime + used.ru_stime,
    "peak_mb": used.ru_maxrss / 1024,
    "exit_code": os.waitstatus_to_exitcode(status),
}
with open(result_file, "w", encoding="utf-8") as out:  # noqa: PTH123 - pathlib is 10 MB
    json.dump(took, out)
