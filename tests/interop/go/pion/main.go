// Pion as a WHIP publisher and a WHEP player: `pion publish URL FILE.ivf` sends VP8 over and over, `pion play URL FILE.ivf`
// writes what it gets. Either ends with its standard input.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/ivfwriter"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(mode, address, path string) error {
	connection, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	defer connection.Close()
	failed := make(chan error, 1)
	connected := make(chan struct{})
	connection.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			close(connected)
		case webrtc.PeerConnectionStateFailed:
			failed <- errors.New("the connection has failed")
		}
	})
	if mode == "publish" {
		err = publish(connection, path, connected, failed)
	} else {
		err = play(connection, path, failed)
	}
	if err != nil {
		return err
	}
	session, err := negotiate(connection, address)
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		failed <- nil
	}()
	result := <-failed
	request, err := http.NewRequest(http.MethodDelete, session, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	return result
}

func publish(connection *webrtc.PeerConnection, path string, connected chan struct{}, failed chan error) error {
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "pion")
	if err != nil {
		return err
	}
	sender, err := connection.AddTrack(track)
	if err != nil {
		return err
	}
	go func() {
		// Interceptors answer NACKs while somebody reads RTCP.
		buffer := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(buffer); err != nil {
				return
			}
		}
	}()
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	go func() {
		<-connected
		ticker := time.NewTicker(time.Second / 30)
		for {
			reader, _, err := ivfreader.NewWith(bytes.NewReader(data))
			for err == nil {
				var frame []byte
				if frame, _, err = reader.ParseNextFrame(); err == nil {
					<-ticker.C
					err = track.WriteSample(media.Sample{Data: frame, Duration: time.Second / 30})
				}
			}
			if !errors.Is(err, io.EOF) {
				failed <- err
				return
			}
		}
	}()
	return nil
}

func play(connection *webrtc.PeerConnection, path string, failed chan error) error {
	receive := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := connection.AddTransceiverFromKind(kind, receive); err != nil {
			return err
		}
	}
	connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if track.Kind() != webrtc.RTPCodecTypeVideo {
			return
		}
		writer, err := ivfwriter.New(path, ivfwriter.WithCodec(track.Codec().MimeType))
		for err == nil {
			packet, _, readError := track.ReadRTP()
			if readError != nil {
				return
			}
			err = writer.WriteRTP(packet)
		}
		failed <- err
	})
	return nil
}

// negotiate returns the session's address.
func negotiate(connection *webrtc.PeerConnection, address string) (string, error) {
	offer, err := connection.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(connection)
	if err = connection.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	body := bytes.NewReader([]byte(connection.LocalDescription().SDP))
	response, err := http.Post(address, "application/sdp", body)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("%s: %s", response.Status, answer)
	}
	base, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	session, err := base.Parse(response.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}
	return session.String(), connection.SetRemoteDescription(description)
}
