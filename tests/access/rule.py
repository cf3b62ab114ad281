"""What a route asks for, and the short ways to say it."""

from dataclasses import dataclass, field

SAFE = {"get"}
NOBODY = "superuser"  # no role of a department is enough


@dataclass(frozen=True)
class Rule:
    """`obj`: whose id is `pk` (none: the route is not about one row). `get`, `write`, `delete`: the role that is
    needed, None when there is no such method (`delete` as `write` unless said). `query`, `body`, `media`: what the
    endpoint wants to see before it looks for the row."""

    obj: str = ""
    get: str | None = "viewer"
    write: str | None = "admin"
    delete: str | None = None
    public: bool = False
    own: bool = False  # the row is a person's: nobody else in the department sees it either
    kwargs: dict = field(default_factory=dict)
    query: str = ""
    body: dict = field(default_factory=dict)
    media: str = "application/json"

    def needs(self, method: str) -> str | None:
        if method in SAFE:
            return self.get
        return self.delete or self.write if method == "delete" else self.write


def pages(app: str, entity: str, obj: str, *, write="admin", **others: Rule) -> dict[str, Rule]:
    """The pages of a row by their names; `others` are further ones, or differ."""
    usual = {
        "list": Rule(write=None),
        "create": Rule(get=write, write=write),
        "detail": Rule(obj, write=None),
        "edit": Rule(obj, get=write, write=write),
        "delete": Rule(obj, get=write, write=write),
    }
    return {f"{app}:{entity}_{page}": rule for page, rule in {**usual, **others}.items()}


def resource(name: str, obj: str, *, write="admin", **actions: Rule) -> dict[str, Rule]:
    """The routes of a viewset by their names; an action's underscores are hyphens in its name."""
    usual = {"list": Rule(write=write), "detail": Rule(obj, write=write)}
    return {f"{name}-{action.replace('_', '-')}": rule for action, rule in {**usual, **actions}.items()}


def read(obj: str, **kwargs) -> Rule:
    return Rule(obj, write=None, **kwargs)


def act(obj: str, role="admin", **kwargs) -> Rule:
    """POST only."""
    return Rule(obj, get=None, write=role, **kwargs)


def ask(obj: str, role="admin", **kwargs) -> Rule:
    """A page that asks first: GET and POST need the same role."""
    return Rule(obj, get=role, write=role, **kwargs)


def clonable(obj: str) -> dict[str, Rule]:
    return {"clone": ask(obj)}


def archivable(obj: str) -> dict[str, Rule]:
    return {**clonable(obj), "archive": act(obj), "restore": act(obj)}


def part(entity: str) -> dict[str, Rule]:
    routes = {"clone": act(entity), "used_by": read(entity)}
    return {**pages("personas", entity, entity, **clonable(entity)), **resource(entity, entity, **routes)}


API_ARCHIVABLE = ("clone", "archive", "restore")
