"""The forms of a page, as a browser would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

TYPED = {"text", "search", "number", "email", "url", "password", "date", "datetime-local", "tel", "textarea"}


@dataclass
class Form:
    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)  # names of what a person writes, not picks


class _Parser(HTMLParser):
    def __init__(self, url: str):
        super().__init__()
        self.url, self.forms, self.select = url, [], ""

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if tag == "form":
            self.forms.append(Form(told.get("action") or self.url, told.get("method") or "get"))
        elif tag in ("input", "textarea", "select") and self.forms and told.get("name"):
            self._add(tag, told)
        elif tag == "option" and self.select:
            values = self.forms[-1].values
            if "selected" in told or not values[self.select]:
                values[self.select] = told.get("value") or ""

    def _add(self, tag, told):
        form, name = self.forms[-1], told["name"]
        form.values[name] = told.get("value") or ""
        self.select = name if tag == "select" else ""
        if (told.get("type") or "text" if tag == "input" else tag) in TYPED:
            form.typed.add(name)


def forms_in(page, url: str) -> list[Form]:
    """Those of an answer; none where it is a download."""
    parser = _Parser(url)
    if page["Content-Type"].startswith("text/html"):
        parser.feed(page.content.decode())
    return parser.forms
