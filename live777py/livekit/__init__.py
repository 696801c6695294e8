"""Streams as LiveKit's rooms, participants and tracks; its server API."""
