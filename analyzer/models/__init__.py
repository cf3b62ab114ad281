from analyzer.models.inventory import InventoryUpload
from analyzer.models.learning import Recommender
from analyzer.models.machine import Disk, Nic, VirtualMachine, VMPersona
from analyzer.models.recommendation import Feedback, Recommendation
from analyzer.models.scan import Package, Scan, Service
from analyzer.models.source import SourceEndpoint
from analyzer.models.ssh import SshAccess, SshHost
from analyzer.models.usage import UsageSeries

__all__ = [
    "Disk",
    "Feedback",
    "InventoryUpload",
    "Nic",
    "Package",
    "Recommendation",
    "Recommender",
    "Scan",
    "Service",
    "SourceEndpoint",
    "SshAccess",
    "SshHost",
    "UsageSeries",
    "VMPersona",
    "VirtualMachine",
]
