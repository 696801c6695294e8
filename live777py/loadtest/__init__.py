"""The load tool: many publishers or viewers of one WHIP or WHEP server, on the gateway's own client peer."""
