"""The real Kafka that tests run against, where there is one."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from typedrpc import Topics

KAFKA = os.environ.get("TYPEDRPC_KAFKA", "")
FEW = Topics(request_partitions=3)


def kafka_script() -> Any:
    """scripts/kafka.py as a module: clusters of a test's own."""
    path = Path(__file__).parent.parent / "scripts" / "kafka.py"
    spec = importlib.util.spec_from_file_location("kafka_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
