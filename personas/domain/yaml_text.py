"""YAML (so JSON too) that people give us, read strictly: no key twice, no aliases."""

from typing import Any

import yaml


class UnreadableYaml(ValueError):
    """`line` counts from 1; None where the parser does not know."""

    def __init__(self, problem: str, line: int | None = None):
        self.problem, self.line = problem, line
        super().__init__(f"line {line}: {problem}" if line else problem)


class _Strict(yaml.SafeLoader):
    """YAML forbids a key twice, PyYAML lets the last one win. A few lines of aliases unfold into gigabytes."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases are not read; write it out", mark)
        return super().compose_node(parent, index)

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, LookupError, AttributeError):  # PyYAML's own, as for the 45th of a month
            told = f"{str(node.value)[:40]} is not the date or number it looks like; in quotes it is a text"
            raise yaml.constructor.ConstructorError(None, None, told, node.start_mark) from None

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is no text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """Plain data. Raises UnreadableYaml with line and reason."""
    try:
        return yaml.load(text, Loader=_Strict)  # noqa: S506  a SafeLoader that reads less
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise UnreadableYaml(error.problem or error.context or "is no YAML", line) from None
    except yaml.YAMLError as error:
        raise UnreadableYaml(" ".join(str(error).split())) from None
    except RecursionError:
        raise UnreadableYaml("is nested too deeply") from None


def dump_yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
