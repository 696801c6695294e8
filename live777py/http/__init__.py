"""The HTTP door: WHIP, WHEP, Live777's API, metrics and the web pages. One module per resource."""
