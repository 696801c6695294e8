"""A worker of livekit-agents, as its documentation has them. What a job does is its metadata."""

import asyncio
import os

from livekit.agents import AgentServer, JobContext, cli

# On a busy machine a process may take longer than livekit-agents waits before it kills it.
server = AgentServer(
    port=0, load_fnc=lambda: 0.0, num_idle_processes=1, initialize_process_timeout=60, shutdown_process_timeout=60
)


@server.rtc_session(agent_name="helper")
async def entrypoint(ctx: JobContext) -> None:
    print("JOB", ctx.job.id, ctx.job.metadata, flush=True)
    match ctx.job.metadata:
        case "join":
            await ctx.connect()
        case "crash":
            os._exit(3)
        case _:
            ended = asyncio.Event()

            async def end() -> None:
                print("END", ctx.job.id, flush=True)
                ended.set()

            ctx.add_shutdown_callback(end)
            await ended.wait()


if __name__ == "__main__":
    cli.run_app(server)
