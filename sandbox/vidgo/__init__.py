"""A stand-in of the VidGo music API: the documented protocol, real audio and pictures, many ways to fail."""

from sandbox.vidgo.faults import Fault
from sandbox.vidgo.records import CallbackFaults, Delivery, RequestRecord, Submission, Variant
from sandbox.vidgo.results import Task
from sandbox.vidgo.stand_in import VidGoStandIn

__all__ = [
    "CallbackFaults",
    "Delivery",
    "Fault",
    "RequestRecord",
    "Submission",
    "Task",
    "Variant",
    "VidGoStandIn",
]
