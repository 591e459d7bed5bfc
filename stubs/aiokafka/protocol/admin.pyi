from aiokafka.protocol.api import Response

class CreateAclsRequest:
    def __init__(
        self,
        resource_type: int,
        resource_name: str,
        resource_pattern_type_filter: int,
        principal: str,
        host: str,
        operation: int,
        permission_type: int,
    ) -> None: ...

class DescribeConfigsRequest:
    def __init__(self, resources: list[tuple[int, str, list[str] | None]]) -> None: ...

DescribeGroupsResponse_v3: type[Response]
