"""How PostgreSQL searches the catalogue: full text by the index marketplace_listing_words, and where a word is nowhere,
the word of a name that is nearly it (a slip of the finger) by the index marketplace_listing_trigrams."""

import re

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, ExpressionWrapper, F, Func, Q, QuerySet, Value
from django.db.models.functions import Length

from marketplace.domain.spelling import closest_word
from marketplace.models import Listing

FEW = 5_000
"""Up to so many are found first, and then looked at by id: beside an order and a LIMIT PostgreSQL would go through all
listings in that order and break each one's text into words again. Of more than that the next one is never far."""

MOST_WORDS = 8  # of a search, that are looked at for slips
NEAR_NAMES = 20  # in which the word that was meant is looked for


def listings_searched(rows: QuerySet[Listing], words: str) -> QuerySet[Listing]:
    """Those of `rows` that hold all the words, wherever they stand; where their name holds them, first. Where there is
    none, those that hold what was meant."""
    found = _found(rows, words)
    if found.exists():
        return found
    return _found(rows, " ".join(_meant(rows, word) for word in words.split()[:MOST_WORDS]))


def _found(rows: QuerySet[Listing], words: str) -> QuerySet[Listing]:
    number = _number(words)
    if not number:
        return rows.none()
    if number > FEW:
        return rows.filter(by_words(words))
    return rows.filter(_among(_holding(words))).order_by(_in_the_name(words).desc(), "name", "pk")


def _holding(words: str) -> QuerySet[Listing]:
    return Listing.objects.filter(by_words(words)).order_by()


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


def _number(words: str) -> int:
    """Of all listings, those that the reader does not see among them: it only tells how to ask. At most FEW + 1."""
    return _holding(words)[: FEW + 1].count()


def _meant(rows: QuerySet[Listing], word: str) -> str:
    """Only `rows` are asked: what the reader does not see can't be told by what is corrected and what is not."""
    if _found(rows, word).exists():
        return word
    near = rows.filter(by_likeness(word)).order_by(Length("name"))  # no index has it: reads only what is near
    return closest_word(word, near.values_list("name", flat=True)[:NEAR_NAMES])
