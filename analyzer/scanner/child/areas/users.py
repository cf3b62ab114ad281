"""Local accounts. Never their password hashes."""

from analyzer.domain.accounts import parse_passwd
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

MOST_USERS = 10_000


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    text = tree.text("/etc/passwd", limit=4 << 20)
    if text is None:
        notes.partial("users", "there is no /etc/passwd")
        return
    found = parse_passwd(text)
    facts["users"] = found[:MOST_USERS]
    if len(found) > MOST_USERS or "/etc/passwd" in tree.cut:
        notes.partial("users", f"the first {len(facts['users'])} users of a very long /etc/passwd")
    notes.full("users")
