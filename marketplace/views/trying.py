"""Would it fit? What a listing would do to one's own machines, before it is bought."""

from marketplace.selling_forms import TryForm
from marketplace.services.forecast import forecast
from marketplace.views.selling import Buying
from personas.errors import Refused


class Forecast(Buying):
    form_class = TryForm
    template_name = "marketplace/try.html"

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user}

    def get_context_data(self, **context):
        return super().get_context_data(submit_label="Try it", **context)

    def form_valid(self, form):
        """The answer stands under the question; nothing is kept."""
        release = self.listing.newest
        found = []
        try:
            if release is None:
                raise Refused("There is no version to install.")
            for vm in form.cleaned_data["machines"]:
                template = form.cleaned_data["template"]
                found.append(forecast(release=release, vm=vm, template=template, by=self.request.user))
        except Refused as error:
            form.add_error(None, error.message)
        return self.render_to_response(self.get_context_data(form=form, found=found))
