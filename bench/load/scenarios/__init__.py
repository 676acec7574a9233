"""One function for each comparison: scenario(options) -> Result. The names are those of ./dev bench NAME."""

from __future__ import annotations

from load.scenarios import activity, bodies, cold, connections, holds, latency, micro, requests, scale, websockets

ALL = {
    "requests": requests.run,
    "latency": latency.run,
    "connections": connections.run,
    "bodies": bodies.run,
    "echo": websockets.echo,
    "sockets": websockets.sockets,
    "holds": holds.run,
    "scale": scale.run,
    "workers": scale.workers,
    "activity": activity.run,
    "first_byte": cold.first_byte,
    "starts": cold.starts,
    "micro": micro.run,
}
