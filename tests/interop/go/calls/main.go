// Calls the API by the clients that LiveKit's SDK for Go has inside, with the tokens that it makes, and prints the answers.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
)

func main() {
	url, key, secret := os.Args[1], os.Args[2], os.Args[3]
	rooms := livekit.NewRoomServiceProtobufClient(url, http.DefaultClient)
	dispatches := livekit.NewAgentDispatchServiceProtobufClient(url, http.DefaultClient)
	egress := livekit.NewEgressProtobufClient(url, http.DefaultClient)
	ingress := livekit.NewIngressProtobufClient(url, http.DefaultClient)
	anybody := context.Background()
	ctx := with(key, secret, &auth.VideoGrant{
		RoomCreate: true, RoomList: true, RoomRecord: true, RoomAdmin: true, Room: "show", DestinationRoom: "go", IngressAdmin: true,
	})
	there := with(key, secret, &auth.VideoGrant{RoomCreate: true, RoomAdmin: true, Room: "go"})

	room, err := rooms.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: "go", Metadata: "made by Go", EmptyTimeout: 60})
	say("CreateRoom", err, room.GetName(), room.GetMetadata(), room.GetEmptyTimeout())
	listed, err := rooms.ListRooms(ctx, &livekit.ListRoomsRequest{Names: []string{"go"}})
	say("ListRooms", err, len(listed.GetRooms()))
	room, err = rooms.UpdateRoomMetadata(there, &livekit.UpdateRoomMetadataRequest{Room: "go", Metadata: "again"})
	say("UpdateRoomMetadata", err, room.GetMetadata())
	people, err := rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: "show"})
	say("ListParticipants", err, len(people.GetParticipants()))
	alice, err := rooms.GetParticipant(ctx, &livekit.RoomParticipantIdentity{Room: "show", Identity: "alice"})
	say("GetParticipant", err, alice.GetIdentity(), alice.GetState(), len(alice.GetTracks()))
	alice, err = rooms.UpdateParticipant(ctx, &livekit.UpdateParticipantRequest{
		Room: "show", Identity: "alice", Name: "Alice", Attributes: map[string]string{"a": "b"},
	})
	say("UpdateParticipant", err, alice.GetName(), alice.GetAttributes()["a"])
	track := alice.GetTracks()[0].GetSid()
	muted, err := rooms.MutePublishedTrack(ctx, &livekit.MuteRoomTrackRequest{
		Room: "show", Identity: "alice", TrackSid: track, Muted: true,
	})
	say("MutePublishedTrack", err, muted.GetTrack().GetMuted())
	_, err = rooms.MutePublishedTrack(ctx, &livekit.MuteRoomTrackRequest{Room: "show", Identity: "alice", TrackSid: track})
	say("MutePublishedTrack", err)
	_, err = rooms.SendData(ctx, &livekit.SendDataRequest{Room: "show", Data: []byte("x")})
	say("SendData", err)
	_, err = rooms.UpdateSubscriptions(ctx, &livekit.UpdateSubscriptionsRequest{
		Room: "show", Identity: "alice", TrackSids: []string{track},
	})
	say("UpdateSubscriptions", err)
	_, err = rooms.ForwardParticipant(ctx, &livekit.ForwardParticipantRequest{
		Room: "show", Identity: "alice", DestinationRoom: "go",
	})
	say("ForwardParticipant", err)
	_, err = rooms.MoveParticipant(ctx, &livekit.MoveParticipantRequest{
		Room: "show", Identity: "alice", DestinationRoom: "go",
	})
	say("MoveParticipant", err)
	dispatch, err := dispatches.CreateDispatch(there, &livekit.CreateAgentDispatchRequest{Room: "go", AgentName: "scribe"})
	say("CreateDispatch", err, dispatch.GetAgentName())
	all, err := dispatches.ListDispatch(there, &livekit.ListAgentDispatchRequest{Room: "go"})
	say("ListDispatch", err, len(all.GetAgentDispatches()))
	_, err = dispatches.DeleteDispatch(there, &livekit.DeleteAgentDispatchRequest{Room: "go", DispatchId: dispatch.GetId()})
	say("DeleteDispatch", err)
	_, err = rooms.RemoveParticipant(ctx, &livekit.RoomParticipantIdentity{Room: "show", Identity: "alice"})
	say("RemoveParticipant", err)
	_, err = rooms.GetParticipant(ctx, &livekit.RoomParticipantIdentity{Room: "show", Identity: "alice"})
	say("GetParticipant", err)
	_, err = rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: "go"})
	say("DeleteRoom", err)
	_, err = rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: "go"})
	say("DeleteRoom", err)
	_, err = egress.ListEgress(ctx, &livekit.ListEgressRequest{})
	say("ListEgress", err)
	_, err = ingress.ListIngress(ctx, &livekit.ListIngressRequest{})
	say("ListIngress", err)
	_, err = rooms.ListRooms(with(key, secret+"x", &auth.VideoGrant{RoomList: true}), &livekit.ListRoomsRequest{})
	say("ListRooms", err)
	_, err = rooms.ListRooms(anybody, &livekit.ListRoomsRequest{})
	say("ListRooms", err)
}

func with(key, secret string, grant *auth.VideoGrant) context.Context {
	token, err := auth.NewAccessToken(key, secret).SetVideoGrant(grant).ToJWT()
	if err != nil {
		panic(err)
	}
	ctx, err := twirp.WithHTTPRequestHeaders(context.Background(), http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		panic(err)
	}
	return ctx
}

func say(call string, err error, facts ...any) {
	var refused twirp.Error
	switch {
	case errors.As(err, &refused):
		fmt.Println(call, "refused:", refused.Code(), refused.Msg())
	case err != nil:
		fmt.Println(call, "failed:", err)
	default:
		fmt.Println(append([]any{call}, facts...)...)
	}
}
