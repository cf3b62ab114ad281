"""One module an area of the facts: `read(tree, facts, notes)` fills its part of the document."""
