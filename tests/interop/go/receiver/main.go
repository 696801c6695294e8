// Prints the port that it listens on, and then the event of every post that LiveKit's own receiver accepts, or why not.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/webhook"
)

func main() {
	keys := auth.NewSimpleKeyProvider(os.Args[1], os.Args[2])
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		event, err := webhook.ReceiveWebhookEvent(request, keys)
		if err != nil {
			fmt.Println("refused:", err)
			return
		}
		fmt.Println(event.Event, event.GetRoom().GetName(), event.GetParticipant().GetIdentity(), event.GetTrack().GetSid())
	})))
}
