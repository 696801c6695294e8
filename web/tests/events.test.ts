import { afterEach, expect, test, vi } from "vitest";
import { GatewayError } from "../src/lib/errors";
import { EventParser, follow } from "../src/lib/events";
import { Gateway, type Snapshot } from "../src/lib/gateway";

afterEach(() => vi.unstubAllGlobals());

test("events come out however the bytes are cut", () => {
  const text =
    ': hello\n\ndata: {"a":\ndata: 1}\n\nevent: x\r\ndata:two\r\n\r\nid: 3\rdata: three\r\rdata\n\ndata: unfinished';
  const whole = new EventParser().push(text);
  expect(whole).toEqual(['{"a":\n1}', "two", "three", ""]);
  const parser = new EventParser();
  expect([...text].flatMap((letter) => parser.push(letter))).toEqual(whole);
});

const stream = (text: string, end = true) =>
  new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(text));
        if (end) controller.close();
      },
    }),
    { headers: { "Content-Type": "text/event-stream", Date: "Sat, 21 Nov 2026 12:00:00 GMT" } },
  );

test("a stream of events carries the token, and its end is an error", async () => {
  const fetched = vi.fn(async (_url: URL, _init: RequestInit) => stream("data: one\n\n"));
  vi.stubGlobal("fetch", fetched);
  const seen: string[] = [];
  const handlers = { onOpen: () => seen.push("open"), onEvent: (data: string) => seen.push(data) };
  const following = follow(new URL("http://gateway/api/sse/streams"), "t", handlers, new AbortController().signal);
  await expect(following).rejects.toThrow("lost");
  expect(seen).toEqual(["open", "one"]);
  expect(new Headers(fetched.mock.calls[0]?.[1].headers).get("Authorization")).toBe("Bearer t");
});

/** Follows a gateway that answers as `answer` says until `enough` snapshots and errors came. */
async function watch(answer: (path: string) => Response, enough: number): Promise<(Snapshot | number)[]> {
  vi.stubGlobal("document", { hidden: false });
  vi.stubGlobal("location", { href: "http://gateway/", origin: "http://gateway" });
  vi.stubGlobal("fetch", async (url: URL) => answer(new URL(url).pathname));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const seen: (Snapshot | number)[] = [];
  const stop = new AbortController();
  const note = (value: Snapshot | number) => seen.push(value) === enough && stop.abort();
  const watching = new Gateway(new URL("http://gateway/")).watch(
    note,
    (error) => note((error as GatewayError).status),
    stop.signal,
  );
  while (!stop.signal.aborted) await vi.advanceTimersByTimeAsync(500);
  await watching;
  vi.useRealTimers();
  return seen;
}

test("a broken stream of events is followed again, the list is sorted, names with numbers as people do", async () => {
  const list = ["cam10", "cam2", "cam1"].map((id) => ({ id }));
  const seen = await watch(() => stream(`data: ${JSON.stringify(list)}\n\n`), 3);
  const ids = (entry: Snapshot | number | undefined) => (entry as Snapshot).streams.map(({ id }) => id);
  expect(ids(seen[0])).toEqual(["cam1", "cam2", "cam10"]);
  expect(seen[1]).toBe(0);
  expect(ids(seen[2])).toEqual(["cam1", "cam2", "cam10"]);
});

test("a gateway without events is asked again and again", async () => {
  const paths: string[] = [];
  const seen = await watch((path) => {
    paths.push(path);
    return path === "/api/sse/streams" ? new Response("", { status: 404 }) : new Response('[{"id":"a"}]');
  }, 2);
  expect(seen.map((entry) => (entry as Snapshot).streams.length)).toEqual([1, 1]);
  expect(paths).toEqual(["/api/sse/streams", "/api/streams/", "/api/streams/"]);
});

test("a refused token is told", async () => {
  expect(await watch(() => new Response("", { status: 401 }), 1)).toEqual([401]);
});
