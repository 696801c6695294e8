"""HTTP requests to servers that a user or another server named: where they may go, and how much comes back."""

from live777py.outbound.client import Answer, Outbound
from live777py.outbound.endpoint import Endpoint
from live777py.outbound.policy import AddressPolicy

__all__ = ["AddressPolicy", "Answer", "Endpoint", "Outbound"]
