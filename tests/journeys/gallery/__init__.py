"""Every component on a few pages of its own, so that a browser can be asked how they look and behave.

Not part of the product: `@pytest.mark.urls("tests.journeys.gallery.urls")` adds these pages to it.
"""
