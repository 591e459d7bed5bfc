"""What this process takes of memory, by Linux."""

from __future__ import annotations

from pathlib import Path


def memory(of: str) -> int:
    """Bytes: VmRSS now, or VmHWM at its peak. getrusage's peak counts the parent's before exec too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(of))
