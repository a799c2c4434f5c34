"""The verbs of the device program, each with the types of what it takes and of the events it emits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from .events import (
    AccuracyEvent,
    LatencyEvent,
    MemoryJobEvent,
    MeteredEvent,
    PredictEvent,
    ProbeEvent,
    ProfileJobEvent,
    SustainedEvent,
    VerifyEvent,
)
from .jobs import AccuracyJob, LatencyJob, MemoryJob, PredictJob, ProbeJob, ProfileJob, TimedJob, VerifyJob
from .requests import (
    FactsEvent,
    FetchRequest,
    FollowEvent,
    FollowRequest,
    HaveEvent,
    HaveRequest,
    InstalledEvent,
    InstallRequest,
    NoRequest,
    PlaceEvent,
    PlaceRequest,
    PurgedEvent,
    PutRequest,
    ReleasedEvent,
    StartRequest,
    StoredEvent,
)

Given = TypeVar("Given", bound=Mapping[str, object])
"""A job or a request."""
Answer = TypeVar("Answer", bound=Mapping[str, object])
"""A union of events."""


class Verb(str, Generic[Given, Answer]):
    """The name of something the device program does, with the types of what it takes and of the events it emits."""

    __slots__ = ()


PROBE: Verb[ProbeJob, ProbeEvent] = Verb("probe")
LATENCY: Verb[LatencyJob, LatencyEvent] = Verb("latency")
SUSTAINED: Verb[TimedJob, SustainedEvent] = Verb("sustained")
ENERGY: Verb[TimedJob, MeteredEvent] = Verb("energy")
MEMORY: Verb[MemoryJob, MemoryJobEvent] = Verb("memory")
PROFILE: Verb[ProfileJob, ProfileJobEvent] = Verb("profile")
ACCURACY: Verb[AccuracyJob, AccuracyEvent] = Verb("accuracy")
PREDICT: Verb[PredictJob, PredictEvent] = Verb("predict")
VERIFY: Verb[VerifyJob, VerifyEvent] = Verb("verify")

FACTS: Verb[NoRequest, FactsEvent] = Verb("facts")
HAVE: Verb[HaveRequest, HaveEvent] = Verb("have")
PUT: Verb[PutRequest, StoredEvent] = Verb("put")
INSTALL: Verb[InstallRequest, InstalledEvent] = Verb("install")
FETCH: Verb[FetchRequest, InstalledEvent] = Verb("fetch")
PLACE: Verb[PlaceRequest, PlaceEvent] = Verb("place")
START: Verb[StartRequest, FollowEvent] = Verb("start")
FOLLOW: Verb[FollowRequest, FollowEvent] = Verb("follow")
RELEASE: Verb[NoRequest, ReleasedEvent] = Verb("release")
PURGE: Verb[NoRequest, PurgedEvent] = Verb("purge")
