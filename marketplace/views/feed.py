"""The feed for other instances: public, signed, without a login."""

from django.http import HttpResponse
from django.views import View

from marketplace.services.feed import bundle_for_others, feed_now
from marketplace.services.keys import chain_lines, chain_of, key_ensure
from personas.errors import Missing, Refused

SIGNED_FILE = "application/octet-stream"


class Feed(View):
    http_method_names = ["get", "head"]

    def get(self, request):
        return HttpResponse(feed_now(), content_type=SIGNED_FILE)


class FeedKeys(View):
    """The statements about the feed's own keys, in base64, one a line."""

    http_method_names = ["get", "head"]

    def get(self, request):
        key_ensure(publisher=None, by=None)
        return HttpResponse(chain_lines(chain_of(None)), content_type="text/plain")


class FeedBundle(View):
    http_method_names = ["get", "head"]

    def get(self, request, pk):
        try:
            return HttpResponse(bundle_for_others(pk), content_type=SIGNED_FILE)
        except (Missing, Refused) as error:
            return HttpResponse(f"{error.message}\n", status=404, content_type="text/plain")
