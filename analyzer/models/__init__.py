from analyzer.models.fleet import EstateCell, Fingerprint, PersonaDraft
from analyzer.models.inventory import InventoryUpload
from analyzer.models.learning import Recommender
from analyzer.models.machine import Disk, Nic, VirtualMachine, VMPersona
from analyzer.models.outcome import SuggestionOutcome
from analyzer.models.prometheus import UsageProvider
from analyzer.models.recommendation import Feedback, Recommendation
from analyzer.models.scan import Package, Scan, Service
from analyzer.models.sizing import SizingSettings
from analyzer.models.software_name import SoftwareName
from analyzer.models.source import SourceEndpoint
from analyzer.models.ssh import SshAccess, SshHost
from analyzer.models.usage import UsageCounters, UsageSeries

__all__ = [
    "Disk",
    "EstateCell",
    "Feedback",
    "Fingerprint",
    "InventoryUpload",
    "Nic",
    "Package",
    "PersonaDraft",
    "Recommendation",
    "Recommender",
    "Scan",
    "Service",
    "SizingSettings",
    "SoftwareName",
    "SourceEndpoint",
    "SshAccess",
    "SshHost",
    "SuggestionOutcome",
    "UsageCounters",
    "UsageProvider",
    "UsageSeries",
    "VMPersona",
    "VirtualMachine",
]
