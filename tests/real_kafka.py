"""The real Kafka that tests run against, where there is one."""

from __future__ import annotations

import os

from typedrpc import Topics

KAFKA = os.environ.get("TYPEDRPC_KAFKA", "")
FEW = Topics(request_partitions=3)
