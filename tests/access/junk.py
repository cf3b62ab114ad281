"""What no client should send: values of the wrong kind or size, bodies that are none, questions without sense."""

import json
from zlib import crc32

NUL = "a\x00b"
DEEP: list = []
for _ in range(300):
    DEEP = [DEEP]

# For one field, beside plausible values in the others
VALUES = (
    NUL,
    None,
    "",
    10**30,
    -1,
    2**31,
    2**63,
    1e308,
    True,
    "\ud800",
    "x" * 70_000,
    "٣",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "00000000-0000-0000-0000-000000000000",
    "http://[::1",
    [],
    {},
    [None],
    [[]],
    [{}],
    [NUL, NUL],
    ["\ud800"],
    [10**30],
    {"": None},
    {NUL: NUL},
    {"\ud800": "\ud800"},
    {"id": []},
    {"resources": {"vcpus": 10**30}},
    {"resources": []},
    {"monitoring_tags": {NUL: NUL}},
    {"packages": [NUL]},
    {"network": {"security_groups": [[]]}},
    {"schema_version": 10**30},
    {"post_migration": {"scripts": [{"name": NUL}]}},
    [{"kind": "tcp", "port": 10**30}],
    [{"kind": "http", "port": "80", "path": NUL}],
    DEEP,
)

# (media type, body)
BODIES = (
    ("application/json", b""),
    ("application/json", b"null"),
    ("application/json", b"[]"),
    ("application/json", b"7"),
    ("application/json", b'"x"'),
    ("application/json", b"{"),
    ("application/json", b'{"a": NaN}'),
    ("application/json", b"\xff\xfe{}"),
    ("application/json; charset=nonsense", b"{}"),
    ("application/json; charset=utf-16", b"{}"),
    ("application/json", b"[" * 20_000),
    ("application/json", b"1" * 5_000),
    ("application/json", b'{"": {"": [{"": null}]}}'),
    ("text/plain", b"name=x"),
    ("text/csv", b"at,cpu\n\x00,\xff"),
    ("application/octet-stream", b"\x00\x01\xff"),
    ("application/x-www-form-urlencoded", b"name=%00&%ff=1"),
    ("multipart/form-data", b"no boundary"),
    ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'),
    (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n\x00\xff\r\n--b--\r\n',
    ),
    ("", b"x"),
)

# For the parameters of a list
QUESTIONS = (
    "",
    NUL,
    "x" * 5_000,
    "-1",
    "1e400",
    str(10**30),
    "٣",
    "null",
    "2026-13-45",
    "a,b",
    "😀",
    "true",
    "[]",
    "%",
    "0",
)


def plausible(schema: dict, components: dict):
    """A value as the OpenAPI document asks for it, the smallest there is."""
    if "$ref" in schema:
        return plausible(components[schema["$ref"].rsplit("/", 1)[1]], components)
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return plausible(schema[several][0], components)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: plausible(part, components) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [plausible(schema["items"], components)] * schema.get("minItems", 0)
    if kind == "string":
        return {"date-time": "2030-01-01T00:00:00Z", "uri": "https://a.example/"}.get(
            schema.get("format"), "x"
        )
    return {"integer": max(1, schema.get("minimum", 1)), "number": 1.0, "boolean": True}.get(kind)


def chosen(values, key: str):
    """One of the values, always the same one for a key: a new route does not change what the others are sent."""
    return values[crc32(key.encode()) % len(values)]


def encoded(body: dict) -> bytes:
    return json.dumps(body).encode()
