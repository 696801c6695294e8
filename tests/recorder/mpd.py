"""The rules of the MPD schema (ISO/IEC 23009-1, DASH-MPD.xsd) for the elements that a recording has, and of 5.3 behind
them: what players take for granted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from xml.etree import ElementTree as ET

NAMESPACE: Final = "{urn:mpeg:dash:schema:mpd:2011}"
UNSIGNED: Final = r"\d+"
NUMBER: Final = r"\d+(\.\d+)?"
DURATION: Final = r"PT\d+(\.\d+)?S"
DATE: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
TEXT: Final = r".+"
BOOLEAN: Final = "true|false"


@dataclass(frozen=True)
class Rule:
    children: tuple[str, ...] = ()
    """In this order."""
    required: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()


RULES: Final = {
    "MPD": Rule(
        ("ServiceDescription", "Period", "UTCTiming"),
        ("profiles", "minBufferTime"),
        (
            ("profiles", r"urn:mpeg:dash:profile:(isoff-live|full):2011"),
            ("type", "static|dynamic"),
            ("availabilityStartTime", DATE),
            ("publishTime", DATE),
            ("mediaPresentationDuration", DURATION),
            ("minimumUpdatePeriod", DURATION),
            ("minBufferTime", DURATION),
            ("suggestedPresentationDelay", DURATION),
        ),
    ),
    "ServiceDescription": Rule(("Latency", "PlaybackRate"), (), (("id", UNSIGNED),)),
    "Latency": Rule((), (), (("target", UNSIGNED), ("min", UNSIGNED), ("max", UNSIGNED))),
    "PlaybackRate": Rule((), (), (("min", NUMBER), ("max", NUMBER))),
    "Period": Rule(("AdaptationSet",), (), (("id", TEXT), ("start", DURATION), ("duration", DURATION))),
    "AdaptationSet": Rule(
        ("Representation",),
        (),
        (
            ("id", UNSIGNED),
            ("contentType", "video|audio"),
            ("mimeType", "(video|audio)/(mp4|webm)"),
            ("segmentAlignment", BOOLEAN),
            ("startWithSAP", "[0-6]"),
        ),
    ),
    "Representation": Rule(
        ("AudioChannelConfiguration", "SegmentTemplate"),
        ("id", "bandwidth"),
        (
            ("id", r"\S+"),
            ("bandwidth", UNSIGNED),
            ("codecs", TEXT),
            ("width", UNSIGNED),
            ("height", UNSIGNED),
            ("sar", r"\d+:\d+"),
            ("audioSamplingRate", r"\d+( \d+)?"),
        ),
    ),
    "AudioChannelConfiguration": Rule((), ("schemeIdUri",), (("schemeIdUri", TEXT), ("value", TEXT))),
    "UTCTiming": Rule((), ("schemeIdUri",), (("schemeIdUri", TEXT), ("value", TEXT))),
    "SegmentTemplate": Rule(
        ("SegmentTimeline",),
        (),
        (
            ("timescale", UNSIGNED),
            ("presentationTimeOffset", UNSIGNED),
            ("startNumber", UNSIGNED),
            ("initialization", TEXT),
            ("media", TEXT),
            ("availabilityTimeOffset", NUMBER),
            ("availabilityTimeComplete", BOOLEAN),
        ),
    ),
    "SegmentTimeline": Rule(("S",)),
    "S": Rule((), ("d",), (("t", UNSIGNED), ("d", r"[1-9]\d*"), ("r", r"-?\d+"))),
}


@dataclass
class Listed:
    """A segment as a player finds it: where, when on the presentation's time line, and for how long."""

    name: str
    init: str
    start: Fraction
    duration: Fraction
    media_time: Fraction


def read(manifest: bytes) -> tuple[ET.Element, list[Listed]]:
    """The MPD, which follows the rules, and all segments of which it tells."""
    root = ET.fromstring(manifest)  # noqa: S314 (what we wrote ourselves)
    _check(root)
    dynamic = root.get("type") == "dynamic"
    for name in ("availabilityStartTime", "publishTime", "minimumUpdatePeriod"):
        assert (root.get(name) is not None) == dynamic, name
    assert (root.get("mediaPresentationDuration") is None) == dynamic
    periods = root.findall(f"{NAMESPACE}Period")
    assert periods
    ids = [period.get("id") for period in periods]
    assert len(set(ids)) == len(ids)
    listed: list[Listed] = []
    at = Fraction(0)
    for period in periods:
        start = seconds(period.get("start"))
        assert abs(start - at) < Fraction(1, 100_000), "Periods follow one another"
        last = period is periods[-1]
        assert (period.get("duration") is None) == (dynamic and last)
        found = [segment for track in period.iter(f"{NAMESPACE}Representation") for segment in _segments(track, start)]
        end = max((segment.start + segment.duration for segment in found), default=start)
        if period.get("duration"):
            assert abs(seconds(period.get("duration")) - (end - start)) < Fraction(1, 100_000)
        at = end
        listed += found
    if not dynamic:
        assert abs(seconds(root.get("mediaPresentationDuration")) - at) < Fraction(1, 100_000)
    return root, listed


def _check(element: ET.Element) -> None:
    kind = element.tag.removeprefix(NAMESPACE)
    rule = RULES[kind]
    allowed = dict(rule.attributes)
    for name, value in element.attrib.items():
        assert re.fullmatch(allowed[name], value), f"{kind}@{name}={value}"
    for name in rule.required:
        assert name in element.attrib, f"{kind}@{name}"
    assert not (element.text or "").strip()
    order = [rule.children.index(child.tag.removeprefix(NAMESPACE)) for child in element]
    assert order == sorted(order), f"the order within {kind}"
    for child in element:
        _check(child)


def _segments(representation: ET.Element, period_start: Fraction) -> list[Listed]:
    template = representation.find(f"{NAMESPACE}SegmentTemplate")
    assert template is not None
    scale, offset = (int(template.attrib[name]) for name in ("timescale", "presentationTimeOffset"))
    number = int(template.attrib["startNumber"])
    media = re.fullmatch(r"(.*)\$Number%0(\d+)d\$(.*)", template.attrib["media"])
    assert media is not None
    before, width, after = media.groups()
    out = []
    time: int | None = None
    for entry in template.iter(f"{NAMESPACE}S"):
        time = int(entry.get("t", -1 if time is None else time))
        assert time >= 0, "the first S has its time"
        for _ in range(int(entry.get("r", 0)) + 1):
            ticks = int(entry.attrib["d"])
            out.append(
                Listed(
                    f"{before}{number:0{width}}{after}",
                    template.attrib["initialization"],
                    period_start + Fraction(time - offset, scale),
                    Fraction(ticks, scale),
                    Fraction(time, scale),
                )
            )
            time += ticks
            number += 1
    return out


def seconds(duration: str | None) -> Fraction:
    assert duration is not None
    return Fraction(duration.removeprefix("PT").removesuffix("S"))
