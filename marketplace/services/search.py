"""How PostgreSQL searches the catalogue: full text by the index marketplace_listing_words, whole words first, then
beginnings; and where a word is nowhere, the word of a name that is nearly it (a slip of the finger) by the index
marketplace_listing_trigrams."""

import re
from collections.abc import Callable
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, ExpressionWrapper, F, Func, Q, QuerySet, UUIDField, Value

from marketplace.domain.spelling import closest_word
from marketplace.models import Listing
from marketplace.models.listing import Known

FEW = 5_000
"""Up to so many are found first, by id alone, and then looked at: beside an order that an index has and a LIMIT
PostgreSQL would go through all listings in that order and break each one's text into words again. Of more than that the
next one is never far."""

MOST_WORDS = 8  # of a search, that are looked at for beginnings and slips
NEAR_NAMES = 20  # in which the word that was meant is looked for


def listings_searched(rows: QuerySet[Listing], words: str) -> QuerySet[Listing]:
    """Those of `rows` that hold all the words, wherever they stand; where their name holds them, first. Where there is
    none, those that hold words that begin so; and where there is none of these, what was meant."""
    found = _found(rows, words, by_words)
    if found is None:
        found = _found(rows, words, by_beginnings)
    if found is None:
        found = _found(rows, _meant(rows, words), by_words)
    return rows.none() if found is None else found


def _found(rows: QuerySet[Listing], words: str, match: Callable[[str], Func]) -> QuerySet[Listing] | None:
    """None when there is none."""
    ordered = rows.order_by(_in_the_name(words).desc(), "name", "pk")
    ids = list(ordered.filter(match(words)).values_list("pk", flat=True)[: FEW + 1])
    if not ids:
        return None
    if len(ids) > FEW:
        return rows.filter(match(words))
    found = ordered.filter(_among(ids))
    found.known = Known(ids, ordered)
    return found


def _among(ids: list[UUID]) -> Func:
    """Not `pk__in`: one parameter for all of them."""
    return Func(
        F("pk"),
        Value(ids, output_field=ArrayField(UUIDField())),
        template="(%(expressions)s))",
        arg_joiner=" = ANY(",
        output_field=BooleanField(),
    )


def by_words(words: str) -> Func:
    """All of them, in any order."""
    return _matching("websearch_to_tsquery", words)


def by_beginnings(words: str) -> Func:
    """Words that begin with them, in any order. None where they are a question (`-not`, `"so exactly"`)."""
    plain = words.split() if re.fullmatch(r"[\w\s]+", words) else []
    return _matching("to_tsquery", " & ".join(f"{word}:*" for word in plain[:MOST_WORDS]))


def _matching(query: str, words: str) -> Func:
    template, between = "(to_tsvector('simple', %(expressions)s))", f") @@ {query}('simple', "
    return Func(
        F("search_text"), Value(words), template=template, arg_joiner=between, output_field=BooleanField()
    )


def by_likeness(word: str) -> Func:
    """Names that hold something like it."""
    between = " %%> "  # the index's own operator; doubled for the driver
    return Func(
        F("name"), Value(word), template="(%(expressions)s)", arg_joiner=between, output_field=BooleanField()
    )


def _in_the_name(words: str) -> ExpressionWrapper:
    named = Q(pk__isnull=False)
    for word in re.findall(r"\w+", words):
        named &= Q(name__icontains=word)
    return ExpressionWrapper(named, output_field=BooleanField())


def _meant(rows: QuerySet[Listing], words: str) -> str:
    asked = words.split()[:MOST_WORDS]
    if len(asked) == 1:
        return _nearest(rows, words)  # it is nowhere, or there were no need to ask
    return " ".join(word if _is_somewhere(rows, word) else _nearest(rows, word) for word in asked)


def _is_somewhere(rows: QuerySet[Listing], word: str) -> bool:
    return rows.filter(by_words(word)).order_by().exists()


def _nearest(rows: QuerySet[Listing], word: str) -> str:
    """Only `rows` are asked: what the reader does not see can't be told by what is corrected and what is not."""
    near = rows.filter(by_likeness(word)).order_by()
    return closest_word(word, near.values_list("name", flat=True)[:NEAR_NAMES])
