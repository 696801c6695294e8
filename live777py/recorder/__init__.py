"""Recordings: frames to CMAF and WebM segments, their DASH manifests and HLS playlists, and one file again."""
