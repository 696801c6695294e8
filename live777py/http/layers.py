"""/session/{stream}/{session}/layer: which encoding of a simulcast publisher a viewer gets.

Live777's bodies, and those of the layer extension of WHEP (webrtc-http-egress-events of the wish working group).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from live777py.errors import Unprocessable
from live777py.http.auth import Access
from live777py.http.keys import STREAM, STREAMS
from live777py.http.messages import json_answer, read_json
from live777py.http.resource import Operation, Resource, json_content
from live777py.streams.layers import AUTOMATIC, LayerChoice
from live777py.streams.views import LayerView

Size = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
LayerId = Annotated[int, msgspec.Meta(ge=0, le=255)]


class LayerRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is absent is left to the gateway: without anything it chooses the best layer for the viewer's network.

    `encodingId` is Live777's name of `rid`; where it stands `mediaId` is not looked at, since its players send any.
    """

    encoding_id: str | None = None
    rid: str | None = None
    media_id: str | int | None = None
    """The index of the video's m-section."""
    spatial_layer_id: LayerId | None = None
    temporal_layer_id: LayerId | None = None
    max_spatial_layer_id: LayerId | None = None
    max_temporal_layer_id: LayerId | None = None
    max_width: Size | None = None
    max_height: Size | None = None

    def choice(self, video: int | None) -> LayerChoice:
        """Raises Unprocessable where it is not about the section `video`."""
        if self.media_id is not None and self.encoding_id is None and str(self.media_id) != str(video):
            raise Unprocessable("mediaId is not the index of an m-section that plays video")
        return LayerChoice(
            rid=self.rid or self.encoding_id or None,
            spatial=self.spatial_layer_id,
            temporal=self.temporal_layer_id,
            max_spatial=self.max_spatial_layer_id,
            max_temporal=self.max_temporal_layer_id,
            max_width=self.max_width,
            max_height=self.max_height,
        )


async def list_layers(request: web.Request) -> web.Response:
    return json_answer(request.app[STREAMS].layers(request[STREAM], request.match_info["session"]))


async def select(request: web.Request) -> web.Response:
    wanted: LayerRequest | None = await read_json(request, LayerRequest | None)
    streams, stream, session = request.app[STREAMS], request[STREAM], request.match_info["session"]
    choice = AUTOMATIC if wanted is None else wanted.choice(streams.video_section(stream, session))
    await streams.select_layer(stream, session, choice)
    return web.Response()


async def select_automatically(request: web.Request) -> web.Response:
    """Live777 stops the video here, which its own page calls automatic."""
    await request.app[STREAMS].select_layer(request[STREAM], request.match_info["session"], AUTOMATIC)
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
            summary="Choose a layer by its ids, or set limits; an empty object or null: the gateway chooses",
            handler=select,
            access=Access.SESSION,
            request=json_content(LayerRequest | None),
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
