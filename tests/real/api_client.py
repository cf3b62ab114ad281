"""A client of a running instance's API, as an integration has it."""

import json
import urllib.error
import urllib.request
from typing import Any


class Client:
    def __init__(self, base: str, token: str):
        self.base, self.token = base, token

    def is_alive(self) -> bool:
        try:
            return bool(self.raw("/livez"))
        except OSError:
            return False

    def raw(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.base}{path}", timeout=60) as answer:
            return answer.read()

    def ask(
        self, method: str, path: str, body: Any = None, media: str = "application/json"
    ) -> tuple[int, Any]:
        """(status, JSON or bytes)"""
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            f"{self.base}/api/v1/{path}",
            data=None if method == "GET" else data,
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": media},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, _content(answer)
        except urllib.error.HTTPError as error:
            return error.code, _content(error)

    def get(self, path: str) -> Any:
        return self._well("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._well("POST", path, body)

    def read(self, path: str) -> bytes:
        return self._well("GET", path)

    def import_file(self, content: bytes) -> tuple[int, Any]:
        return self.ask("POST", "releases/import/", content, "application/octet-stream")

    def _well(self, method: str, path: str, body: Any = None) -> Any:
        code, content = self.ask(method, path, body)
        assert code < 300, f"{method} {path}: {code} {content}"
        return content


def _content(answer) -> Any:
    body = answer.read()
    return json.loads(body) if "json" in answer.headers.get("Content-Type", "") else body
