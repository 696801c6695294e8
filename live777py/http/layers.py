"""/session/{stream}/{session}/layer: which encoding of a simulcast publisher a viewer gets.

Live777's bodies, and those of the layer extension of WHEP (webrtc-http-egress-events of the wish working group).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from live777py.errors import Unprocessable
from live777py.http.auth import Access
from live777py.http.keys import STREAM, STREAMS
from live777py.http.messages import json_answer, read_json
from live777py.http.resource import Operation, Resource, json_content
from live777py.streams.views import LayerView

if TYPE_CHECKING:
    from collections.abc import Sequence


class LayerChoice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`encodingId` is Live777's name of `rid`. Without either and without a limit the gateway chooses the best.

    `mediaId` is an index of m-sections, and ours have one video. An encoding has no layers of its own here.
    """

    encoding_id: str | None = None
    rid: str | None = None
    media_id: str | int | None = None
    max_width: int | None = None
    max_height: int | None = None
    spatial_layer_id: int | None = None
    temporal_layer_id: int | None = None
    max_spatial_layer_id: int | None = None
    max_temporal_layer_id: int | None = None

    def choose(self, layers: Sequence[LayerView]) -> str | None:
        """The rid of one of `layers`, which are ordered from the best; None for automatic. Raises Unprocessable."""
        inside = (self.spatial_layer_id, self.temporal_layer_id, self.max_spatial_layer_id, self.max_temporal_layer_id)
        if any(number is not None for number in inside):
            raise Unprocessable("spatial and temporal layers of an encoding cannot be selected")
        rid = self.rid or self.encoding_id
        if rid:
            if all(layer.encoding_id != rid for layer in layers):
                raise Unprocessable("the publisher has no encoding of this id")
            return rid
        if (self.max_width is None and self.max_height is None) or not layers:
            return None
        return next((layer for layer in layers if self._fits(layer)), layers[-1]).encoding_id

    def _fits(self, layer: LayerView) -> bool:
        return (self.max_width is None or layer.width <= self.max_width) and (
            self.max_height is None or layer.height <= self.max_height
        )


async def list_layers(request: web.Request) -> web.Response:
    return json_answer(request.app[STREAMS].layers(request[STREAM], request.match_info["session"]))


async def select(request: web.Request) -> web.Response:
    choice: LayerChoice | None = await read_json(request, LayerChoice | None)
    streams, stream, session = request.app[STREAMS], request[STREAM], request.match_info["session"]
    chosen = None if choice is None else choice.choose(streams.layers(stream, session))
    await streams.select_layer(stream, session, chosen)
    return web.Response()


async def select_automatically(request: web.Request) -> web.Response:
    """Live777 stops the video here, which its own page calls automatic."""
    await request.app[STREAMS].select_layer(request[STREAM], request.match_info["session"], None)
    return web.Response()


RESOURCE = Resource(
    place="session",
    path="/session/{stream}/{session}/layer",
    operations={
        "GET": Operation(
            summary="The layers of the publisher's video, best first, as this viewer's choice",
            handler=list_layers,
            access=Access.SESSION,
            answers={200: json_content(list[LayerView])},
            problems=(404, 409),
        ),
        "POST": Operation(
            summary="Choose a layer by id or by size; an empty object or null: the gateway chooses",
            handler=select,
            access=Access.SESSION,
            request=json_content(LayerChoice | None),
            answers={200: None},
            problems=(404, 409),
        ),
        "DELETE": Operation(
            summary="Let the gateway choose the layer",
            handler=select_automatically,
            access=Access.SESSION,
            answers={200: None},
            problems=(404, 409),
        ),
    },
)
