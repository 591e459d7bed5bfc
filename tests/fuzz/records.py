"""Records that no typedrpc process writes, made at random: equal seeds make equal records."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

Headers = list[tuple[str, bytes | None]]

METHODS = ("echo", "echo", "slow", "fail", "log", "ask")
_KNOWN = (
    *("correlation_id", "reply_to", "reply_partition", "content-type", "rpc-protocol", "rpc-method", "rpc-timeout"),
    *("rpc-status", "rpc-queue-ms", "rpc-exec-ms"),
)
_STATUSES = (b"OK", b"OK", b"INTERNAL", b"INVALID_ARGUMENT", b"NOT_FOUND", b"NONE", b"", b"\xff", None)


class Thrown(NamedTuple):
    """A record to throw, and the kind that it is counted as. Partition None: any."""

    kind: str
    topic: str
    partition: int | None
    key: bytes | None
    headers: Headers
    body: bytes | None


class Place(NamedTuple):
    """Where to throw. `bare` is a service's topic that takes plain requests, `unknown` are topics that nobody
    has made, `forbidden` those where no reply may go.
    """

    service: str
    bare: str
    partitions: int
    replies: str
    reply_partition: int
    cancels: str
    answers: str
    nonce: bytes
    unknown: tuple[str, ...]
    forbidden: tuple[str, ...]


class Records:
    """An endless row of them."""

    def __init__(self, seed: int, place: Place) -> None:
        self._random = Random(seed)
        self._place = place
        self._count = 0
        self._valid: deque[Thrown] = deque(maxlen=50)
        kinds: dict[Callable[[], Thrown], int] = {
            self._request: 20,
            self._mutated_request: 20,
            self._strange_body: 8,
            self._strange_address: 8,
            self._strange_timeout: 5,
            self._any_headers: 5,
            self._plain: 5,
            self._foreign: 8,
            self._repeat: 5,
            self._reply: 14,
            self._cancel: 10,
        }
        self._kinds = list(kinds)
        self._weights = [sum(list(kinds.values())[: i + 1]) for i in range(len(kinds))]

    def next(self) -> Thrown:
        """The next one."""
        return self._random.choices(self._kinds, cum_weights=self._weights)[0]()

    def reply_to(self, correlation_id: bytes) -> Thrown:
        """A reply, good or not, to a call that is known to wait."""
        random = self._random
        headers: Headers = [
            ("correlation_id", correlation_id),
            ("content-type", b"application/json"),
            ("rpc-protocol", b"1"),
            ("rpc-status", random.choice(_STATUSES)),
            ("rpc-queue-ms", random.choice((b"0", b"-1", b"9" * 40, b"\xff", None))),
            *self._some_headers(3),
        ]
        body = self._body() if random.random() < 0.7 else _mutate(random, self._order())
        return self._at_replies("forged reply", headers, body)

    # Kinds

    def _request(self) -> Thrown:
        random, method = self._random, self._random.choice(METHODS)
        self._count += 1
        headers: Headers = [
            ("correlation_id", b"fuzz-%d" % self._count),
            ("content-type", b"application/json"),
            ("rpc-protocol", b"1"),
            ("rpc-method", f"{self._place.service}/{method}".encode()),
            ("rpc-timeout", b"%d" % random.randrange(1, 20_000)),
        ]
        if method != "log":
            headers += [("reply_to", self._place.answers.encode()), ("reply_partition", b"0")]
        made = self._at_service("valid request", headers, self._arguments(method))
        self._valid.append(made)
        return made

    def _mutated_request(self) -> Thrown:
        valid, random = self._request(), self._random
        headers, body = valid.headers, valid.body
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(headers))
            name, value = headers[at]
            match random.randrange(7):
                case 0:
                    headers[at] = (name, None)
                case 1:
                    del headers[at]
                    headers.append((name, value))
                case 2:
                    headers.insert(at, random.choice(headers))
                case 3:
                    headers[at] = (_mutate(random, name.encode()).decode(errors="replace"), value)
                case 4:
                    headers[at] = (name, _mutate(random, value or b"x"))
                case _:
                    body = _mutate(random, body or b"x")
        return valid._replace(kind="mutated request", headers=headers, body=body)

    def _strange_body(self) -> Thrown:
        return self._request()._replace(kind="strange body", body=self._body())

    def _strange_address(self) -> Thrown:
        random, place = self._random, self._place
        topics = (place.answers, place.replies, *place.unknown, *place.forbidden, "", ".", "..", "a/b", "x" * 300, "ü")
        partitions = (
            b"0",
            b"1",
            b"-1",
            b"99",
            b"2147483647",
            b"2147483648",
            b"9" * 30,
            b"\xd9\xa3",
            b"",
            b"\xff",
            None,
        )
        ids = (b"", None, b"\xff" * 8, b"x" * 512, b"x" * 513, b"y" * 9000, random.randbytes(12))
        strange: dict[str, bytes | None] = {
            "reply_to": random.choice((random.choice(topics).encode(), random.randbytes(5), None)),
            "reply_partition": random.choice(partitions),
            "correlation_id": random.choice(ids),
        }
        changes = {name: value for name, value in strange.items() if random.random() < 0.5}
        valid = self._request()
        headers = [(name, changes.get(name, value)) for name, value in valid.headers]
        return valid._replace(kind="strange address", headers=headers)

    def _strange_timeout(self) -> Thrown:
        valid = self._request()
        values = (b"0", b"-5", b"1e9", b"1_000", b" 1", b"9" * 16, b"9" * 17, b"%d" % 2**53, b"", None, b"NaN", b"\xff")
        value = self._random.choice(values)
        headers = [(name, value if name == "rpc-timeout" else v) for name, v in valid.headers]
        return valid._replace(kind="strange time-out", headers=headers)

    def _any_headers(self) -> Thrown:
        most = 90 if self._random.random() < 0.1 else 12
        return self._at_service("any headers", self._some_headers(most), self._body())

    def _plain(self) -> Thrown:
        content = self._random.choice((b"application/json", b"text/plain", b"", b"\xff", None))
        headers: Headers = [("correlation_id", b"plain"), ("reply_to", self._place.answers.encode())]
        made = self._at_service("plain request", [*headers, ("content-type", content)], self._body())
        topic = self._random.choice((self._place.bare, self._place.service))
        return made._replace(topic=topic, body=self._order() if self._random.random() < 0.3 else made.body)

    def _foreign(self) -> Thrown:
        """A request in the dialect of another framework, or in several at once."""
        random = self._random
        to = random.choice((self._place.answers, *self._place.forbidden, *self._place.unknown)).encode()
        partition = random.choice((b"0", b"\x00" * 4, b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"9" * 10, b"", None))
        id_ = random.choice((random.randbytes(16), b"text", b"", None, b"x" * 600))
        headers: Headers = [
            *((name, id_) for name in ("kafka_correlationId", "REPLY_CORRELATION_ID")),
            *((name, to) for name in ("kafka_replyTopic", "REPLY_TOPIC")),
            *((name, partition) for name in ("kafka_replyPartition", "REPLY_PARTITION")),
            *self._some_headers(2),
        ]
        kept = [header for header in headers if random.random() < 0.7]
        made = self._at_service("request of another framework", kept, self._body())
        return made._replace(topic=self._place.bare)

    def _repeat(self) -> Thrown:
        return self._random.choice(self._valid)._replace(kind="repeat") if self._valid else self._request()

    def _reply(self) -> Thrown:
        random = self._random
        ids = (self._place.nonce + b"-%d" % random.randrange(10**6), random.randbytes(40), b"", self._place.nonce)
        made = self.reply_to(random.choice(ids))
        kept = [header for header in made.headers if random.random() < 0.9]
        return made._replace(kind="reply to nobody", headers=kept)

    def _cancel(self) -> Thrown:
        random = self._random
        if self._valid and random.random() < 0.6:
            headers = list(random.choice(self._valid).headers)
        else:
            headers = self._some_headers(6)
        body = self._body() if random.random() < 0.2 else None
        return Thrown("cancel", self._place.cancels, 0, None, headers, body)

    # Parts

    def _at_service(self, kind: str, headers: Headers, body: bytes | None) -> Thrown:
        random = self._random
        key = random.randbytes(random.randrange(20)) if random.random() < 0.2 else None
        return Thrown(kind, self._place.service, random.randrange(self._place.partitions), key, headers, body)

    def _at_replies(self, kind: str, headers: Headers, body: bytes | None) -> Thrown:
        return Thrown(kind, self._place.replies, self._place.reply_partition, None, headers, body)

    def _some_headers(self, most: int) -> Headers:
        random = self._random
        return [(self._name(), self._value()) for _ in range(random.randrange(most + 1))]

    def _name(self) -> str:
        random = self._random
        if random.random() < 0.7:
            return random.choice(_KNOWN)
        return "".join(chr(random.choice((random.randrange(0xD800), random.randrange(128)))) for _ in range(4))

    def _value(self) -> bytes | None:
        random = self._random
        match random.randrange(6):
            case 0:
                return None
            case 1:
                return b"%d" % random.randrange(-1, 2**40)
            case 2:
                return random.choice((self._place.service, self._place.answers, "1", "OK")).encode()
            case 3:
                return f"{self._place.service}/{random.choice(METHODS)}".encode()
            case 4:
                return random.randbytes(random.randrange(64))
            case _:
                return b"v" * (20_000 if random.random() < 0.02 else random.randrange(30))

    def _arguments(self, method: str) -> bytes:
        match method:
            case "echo":
                return b'{"order":' + self._order() + b"}"
            case "slow":
                return b'{"seconds":%.4f}' % (self._random.random() * 0.03)
            case "log":
                return b'{"line":"a line"}'
            case _:
                return b"{}"

    def _order(self, depth: int = 0) -> bytes:
        random = self._random
        order: dict[str, Any] = {
            "id": random.randrange(10**9),
            "name": "".join(random.choices("abcäöü€😀 ", k=8)),
            "price": f"{random.random():.4f}",
            "when": "2026-03-01T12:00:00Z",
            "ratio": random.random() * 10 ** random.randrange(30),
            "tags": ["x"] * random.randrange(4),
            "below": [json.loads(self._order(depth + 1))] if depth < 3 and random.random() < 0.3 else [],
        }
        return json.dumps(order, ensure_ascii=random.random() < 0.5).encode()

    def _body(self) -> bytes | None:
        random = self._random
        match random.randrange(10):
            case 0:
                return None
            case 1:
                return random.randbytes(random.randrange(200))
            case 2:
                return random.choice((b"[", b'{"order":', b'{"order":{"below":[')) * random.randrange(5000)
            case 3:
                depth = random.randrange(1000)
                return b'{"order":' + b"[" * depth + b"]" * depth + b"}"
            case 4:
                return '{"order":{"name":"€€€€😀'.encode()[: random.randrange(10, 40)]
            case 5:
                return random.choice((b"", b"{}", b"[]", b"null", b"0", b'""', b"1e999", b"NaN", b'{"order":{}}'))
            case 6:
                value = random.choice(("1e400", "NaN", "-0", "9" * 400, "null", '"\\ud800"', "true", "[{}]"))
                field = random.choice(("id", "name", "price", "when", "ratio", "tags", "below", "nobody"))
                return f'{{"order":{{"id":1,"{field}":{value}}}}}'.encode()
            case 7:
                return b'{"seconds":%s}' % random.choice((b"-1", b"1e308", b"1e999", b'"1"', b"{}"))
            case _:
                return _mutate(random, b'{"order":' + self._order() + b"}")


def _mutate(random: Random, data: bytes) -> bytes:
    """Some bytes flipped, cut, doubled or put in."""
    changed = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0:
                changed[at:at] = random.randbytes(random.randrange(4))
            case 1:
                del changed[at : at + random.randrange(1, 6)]
            case 2:
                changed[at:at] = changed[at : at + 10]
            case _:
                changed[at : at + 1] = random.randbytes(1)
    return bytes(changed)
