from marketplace.models.installation import Installation
from marketplace.models.listing import Listing, Release
from marketplace.models.publisher import Publisher
from marketplace.models.submission import Submission

__all__ = ["Installation", "Listing", "Publisher", "Release", "Submission"]
