"""What is proven of a publisher, by API."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from marketplace.services import proof


class ProofBeginSerializer(serializers.Serializer):
    domain = serializers.CharField(max_length=253)


class ProofSerializer(serializers.Serializer):
    domain = serializers.CharField()
    line = serializers.CharField(help_text="What the file or the TXT record has to say.")
    file = serializers.CharField()
    record = serializers.CharField()


class ProofCheckSerializer(serializers.Serializer):
    how = serializers.ChoiceField(choices=["file", "dns"])


class WithProof:
    """Actions of a publisher about the domain that it controls."""

    @extend_schema(request=ProofBeginSerializer, responses=ProofSerializer)
    @action(detail=True, methods=["post"])
    def prove(self, request, pk=None):
        """Begins the proof of a domain; what was proven before is proven no more."""
        publisher = self.get_object()
        asked = ProofBeginSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = proof.proof_begin(publisher=publisher, by=request.user, **asked.validated_data)
        told = {"domain": row.domain, "line": proof.proof_line(row)}
        where = {"file": f"https://{row.domain}/{proof.FILE}", "record": f"{proof.RECORD}.{row.domain}"}
        return Response({**told, **where})

    @extend_schema(request=ProofCheckSerializer)
    @action(detail=True, methods=["post"], url_path="check-proof")
    def check_proof(self, request, pk=None):
        """Looks for the line now. 409 when it is not there."""
        return self.act(request, proof.proof_check, ProofCheckSerializer)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def vouch(self, request, pk=None):
        """A superuser knows who they are."""
        return self.act(request, proof.proof_by_admin)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="let-through")
    def let_through(self, request, pk=None):
        """A superuser has looked at a publisher whose name was held."""
        return self.act(request, proof.hold_release)
