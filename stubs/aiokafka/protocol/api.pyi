from typing import Any, ClassVar

class Response:
    SCHEMA: ClassVar[Any]

class RequestStruct:
    API_KEY: ClassVar[int]
    API_VERSION: ClassVar[int]
    RESPONSE_TYPE: ClassVar[type[Response]]
    SCHEMA: ClassVar[Any]
    def __init__(self, *fields: Any) -> None: ...
