"""How PostgreSQL searches the catalogue: full text by the index marketplace_listing_words, and where a word is nowhere,
the word of a name that is nearly it (a slip of the finger) by the index marketplace_listing_trigrams."""

import re

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, ExpressionWrapper, F, Func, Q, QuerySet, Value
from django.db.models.functions import Length

from marketplace.domain.spelling import closest_word
from marketplace.models import Listing

FEW = 5_000
"""Up to so many are found first, and then looked at by id: beside an order that an index has and a LIMIT PostgreSQL
would go through all listings in that order and break each one's text into words again. Of more than that the next one
is never far."""

MOST_WORDS = 8  # of a search, that are looked at for slips
NEAR_NAMES = 20  # in which the word that was meant is looked for


def listings_searched(rows: QuerySet[Listing], words: str, *, is_ordered: bool = False) -> QuerySet[Listing]:
    """Those of `rows` that hold all the words, wherever they stand; where their name holds them, first, unless
    `is_ordered` says that an order follows. Where there is none, those that hold what was meant."""
    found = _found(rows, words, is_ordered)
    if found is None:
        meant = " ".join(_meant(rows, word) for word in words.split()[:MOST_WORDS])
        found = _found(rows, meant, is_ordered)
    return rows.none() if found is None else found


def _found(rows: QuerySet[Listing], words: str, is_ordered: bool) -> QuerySet[Listing] | None:
    """None when there is none."""
    holding = rows.filter(by_words(words))
    number = holding.order_by().values("pk")[: FEW + 1].count()
    if not number:
        return None
    if number > FEW:
        return holding
    if is_ordered:
        holding = rows.filter(_among(holding.order_by()))
    found = holding.order_by(_in_the_name(words).desc(), "name", "pk")
    found.known_number = number
    return found


def _among(found: QuerySet[Listing]) -> Func:
    """Not `pk__in`: that becomes a join, for which the whole table is read."""
    ids = ArraySubquery(found.values("pk")[:FEW])
    template = "(%(expressions)s))"
    return Func(F("pk"), ids, template=template, arg_joiner=" = ANY(", output_field=BooleanField())


def by_words(words: str) -> Func:
    """All of them, in any order."""
    template, between = "(to_tsvector('simple', %(expressions)s))", ") @@ websearch_to_tsquery('simple', "
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


def _meant(rows: QuerySet[Listing], word: str) -> str:
    """Only `rows` are asked: what the reader does not see can't be told by what is corrected and what is not."""
    if rows.filter(by_words(word)).order_by().exists():
        return word
    near = rows.filter(by_likeness(word)).order_by(Length("name"))  # no index has it: reads only what is near
    return closest_word(word, near.values_list("name", flat=True)[:NEAR_NAMES])
